"""Holes of upstream in the amphora, each tried from outside. More of the firewall's are in test_agent_firewall.py."""

import contextlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from hydria.agent.namespace import Namespace
from hydria.model.spec import PEERS_PORT, HealthMonitorSpec, ListenerSpec, Spec
from root.amphora_network import SHORT, Host, World, eventually
from root.amphora_world import LISTENER, MEMBERS, POOL, SPEC, VIP, VIP6, Amphora, Certificates, generations

pytestmark = pytest.mark.root

VRRP = 112
BASE, BASE6 = "203.0.113.105", "2001:db8:1::105"
STRANGER, STRANGER6 = "203.0.113.66", "2001:db8:1::66"


def spec(*listeners: ListenerSpec, **changes: object) -> Spec:
    return replace(SPEC, generation=next(generations), listeners=listeners or (LISTENER,), **changes)


def ruleset(amphora: Amphora) -> str:
    """Without counters' values."""
    return amphora.run("nft", "-s", "list", "ruleset").stdout


def speak_vrrp(host: Host, family: int, target: str) -> None:
    def send() -> None:
        with socket.socket(family, socket.SOCK_RAW, VRRP) as raw:
            raw.sendto(b"advertisement", (target, 0))

    host.namespace.inside(send)


@contextlib.contextmanager
def hearing(amphora: Amphora, family: int, protocol: int = VRRP) -> Iterator[socket.socket]:
    inside = Namespace(directory=Path(f"/proc/{amphora.pid}/root/run/netns"))
    with inside.inside(lambda: socket.socket(family, socket.SOCK_RAW, protocol)) as ear:
        ear.settimeout(SHORT)
        yield ear


@pytest.mark.parametrize(
    ("family", "base", "peer"),
    [(socket.AF_INET, BASE, STRANGER), (socket.AF_INET6, BASE6, STRANGER6)],
    ids=["IPv4", "IPv6"],
)
def test_h1_h13_vrrp_of_either_family_is_heard_from_the_peer_alone(
    here: World, amphora: Amphora, family: int, base: str, peer: str
) -> None:
    """Upstream's rule for IPv6 did not load at all; without a VF its security group let everybody speak."""
    assert amphora.put(spec(peers=(peer,))).faults == ()
    with hearing(amphora, family) as ear:
        speak_vrrp(here.client, family, base)
        with pytest.raises(TimeoutError):
            ear.recv(2048)
        speak_vrrp(here.stranger, family, base)
        assert ear.recv(2048).endswith(b"advertisement")
        amphora.put(spec())
        speak_vrrp(here.stranger, family, base)
        with pytest.raises(TimeoutError):
            ear.recv(2048)


def test_h2_h13_the_port_of_stick_tables_is_open_to_the_peer_alone(here: World, amphora: Amphora) -> None:
    amphora.put(spec(peers=(STRANGER, STRANGER6)))
    inside = Namespace(directory=Path(f"/proc/{amphora.pid}/root/run/netns"))
    with inside.inside(lambda: socket.create_server(("::", PEERS_PORT), family=socket.AF_INET6, dualstack_ipv6=True)):
        for base in (BASE, BASE6):
            assert here.stranger.can_connect(base, PEERS_PORT)
            assert not here.client.can_connect(base, PEERS_PORT)
        amphora.put(spec())
        assert not here.stranger.can_connect(BASE, PEERS_PORT)


def test_h10_rules_are_replaced_whole_and_never_added_to(amphora: Amphora) -> None:
    """Upstream's script for UDP appended its rules at each call, and flushed those of all interfaces at the end."""
    amphora.put(spec())
    first = ruleset(amphora)
    amphora.put(spec(LISTENER, replace(LISTENER, id="l2", protocol_port=81), peers=(STRANGER,)))
    assert ruleset(amphora) != first
    for _ in range(3):
        amphora.put(spec())
        assert ruleset(amphora) == first
    assert ruleset(amphora).count("chain input") == 1


def test_h8_the_vip_replugged_keeps_every_address(here: World, tmp_path: Path) -> None:
    """Upstream's way of plugging a network knew of no additional VIPs."""
    amphora = Amphora(here, Certificates(tmp_path))
    amphora.plug_vip()
    amphora.plug_members()
    amphora.put(spec())
    amphora.unplug_vip()
    amphora.plug_vip()
    eventually(lambda: {f"{VIP}/32", f"{VIP6}/128"} <= addresses(amphora, "eth1"))
    assert amphora.put(spec()).faults == ()
    assert [here.client.get(vip, 80)[0] for vip in (VIP, VIP6)] == [200, 200]


def addresses(amphora: Amphora, name: str) -> set[str]:
    return {address for nic in amphora.observed().interfaces if nic.name == name for address in nic.addresses}


def test_h17_rules_that_do_not_load_are_told_and_the_old_ones_stand(here: World, tmp_path: Path) -> None:
    """No `nft -o`, whose merging depends on the version; and whatever nft refuses, nothing is half done."""
    amphora = Amphora(here, Certificates(tmp_path))
    amphora.plug_vip()
    amphora.plug_members()
    amphora.put(spec())
    before = ruleset(amphora)
    program = here.directory / "configuration/programs/nft"
    program.unlink()
    program.write_text('#!/bin/sh\ncase "$*" in *-f*) echo cannot >&2; exit 1;; esac\nexec /usr/sbin/nft "$@"\n')
    program.chmod(0o755)
    observed = amphora.put(spec(LISTENER, replace(LISTENER, id="l2", protocol_port=81)))
    (fault,) = {(fault.resource_type, "cannot" in fault.reason) for fault in observed.faults}
    assert fault == ("loadbalancer", True)
    assert ruleset(amphora) == before
    assert here.client.can_connect(VIP, 80)
    assert not here.client.can_connect(VIP, 81)
    program.unlink()
    program.symlink_to("/usr/sbin/nft")
    assert amphora.put(spec(LISTENER, replace(LISTENER, id="l2", protocol_port=81))).faults == ()
    assert here.client.can_connect(VIP, 81)


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"one")

    def log_message(self, *_: object) -> None:
        """Silent."""


def test_8b8d969d0_members_reached_through_the_vips_own_interface(here: World, amphora: Amphora) -> None:
    """LP#2070312: rules without connection tracking dropped what such members answered."""
    server = here.stranger.namespace.inside(lambda: http.server.ThreadingHTTPServer((STRANGER, 80), Answer))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    here.stack.callback(server.server_close)
    here.stack.callback(server.shutdown)
    monitor = HealthMonitorSpec(id="hm", type="HTTP", delay=1, timeout=1, max_retries=1, max_retries_down=1)
    pool = replace(POOL, members=(replace(MEMBERS[0], address=STRANGER),), health_monitor=monitor)
    tcp = replace(LISTENER, id="tcp", protocol="TCP", protocol_port=81)
    assert amphora.put(spec(LISTENER, tcp, pools=(pool,))).faults == ()
    eventually(lambda: here.client.get(VIP, 80) == (200, "one"))
    assert here.client.get(VIP, 81) == (200, "one")
