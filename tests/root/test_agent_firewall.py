"""What the amphora lets in, tried from outside. Names of upstream's holes (H-n) where one must not come back."""

import contextlib
import socket
import struct
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from hydria.base import process
from hydria.model.spec import HealthMonitorSpec, ListenerSpec, Spec
from hydria.render import nftables
from root.amphora_network import SHORT, World, eventually, ip
from root.amphora_world import (
    AGENT,
    LISTENER,
    MEMBER_NIC,
    POOL,
    SPEC,
    VIP,
    VIP6,
    VIP_NIC,
    Amphora,
    Certificates,
    generations,
)

pytestmark = pytest.mark.root


def with_listeners(*listeners: ListenerSpec, base: Spec = SPEC) -> Spec:
    return replace(base, generation=next(generations), listeners=listeners)


def test_only_listener_ports_answer(here: World, amphora: Amphora) -> None:
    amphora.put(with_listeners(LISTENER, replace(LISTENER, id="l2", protocol="TCP", protocol_port=8080)))
    # Somebody listens on every address, and yet nobody outside hears of it.
    amphora.run("bash", "-c", "exec python3 -m http.server 8000 >/dev/null 2>&1 & disown")
    eventually(lambda: amphora.run("bash", "-c", "echo >/dev/tcp/127.0.0.1/8000", check=False).status == 0)
    for vip in (VIP, VIP6):
        assert [port for port in (22, 80, 1025, 8000, 8080, AGENT[1]) if here.client.can_connect(vip, port)] == [
            80,
            8080,
        ]
    fixed = VIP_NIC.addresses[0].partition("/")[0]
    assert not here.client.can_connect(fixed, 8000)


def test_members_network_reaches_no_listener(here: World, amphora: Amphora) -> None:
    amphora.put(with_listeners(LISTENER))
    member = here.backends[0]
    own = MEMBER_NIC.addresses[0].partition("/")[0]
    ip("route", "add", f"{VIP}/32", "via", own, netns=member.name)
    assert not member.can_connect(VIP, 80)


@pytest.mark.parametrize(
    ("cidrs", "client", "stranger", "client6"),
    [
        (None, True, True, True),
        ((), True, True, True),
        (("203.0.113.10/32",), True, False, False),
        (("203.0.113.0/24",), True, True, False),
        (("0.0.0.0/0",), True, True, False),
        (("::/0",), False, False, True),
        (("2001:db8:1::10/128", "203.0.113.66/32"), False, True, True),
        (("203.0.113.0/24", "203.0.113.10/32"), True, True, False),
    ],
    ids=["none", "empty", "host", "network", "H-7: all of IPv4 only", "all of IPv6 only", "both", "overlapping"],
)
def test_allowed_cidrs(
    here: World,
    amphora: Amphora,
    *,
    cidrs: tuple[str, ...] | None,
    client: bool,
    stranger: bool,
    client6: bool,
) -> None:
    amphora.put(with_listeners(replace(LISTENER, allowed_cidrs=cidrs)))
    assert here.client.can_connect(VIP, 80) is client
    assert here.stranger.can_connect(VIP, 80) is stranger
    assert here.client.can_connect(VIP6, 80) is client6


def test_h3_last_listener_deleted_closes_its_port(here: World, amphora: Amphora) -> None:
    amphora.put(with_listeners(LISTENER))
    assert here.client.can_connect(VIP, 80)
    amphora.put(with_listeners())
    assert not here.client.can_connect(VIP, 80)
    assert "tcp . 80" not in amphora.run("nft", "list", "table", "inet", "hydria").stdout


def test_h22_disabled_listener_is_closed_and_the_other_stays(here: World, amphora: Amphora) -> None:
    second = replace(LISTENER, id="l2", protocol_port=81)
    amphora.put(with_listeners(LISTENER, second))
    amphora.put(with_listeners(second))
    assert [port for port in (80, 81) if here.client.can_connect(VIP, port)] == [81]
    assert "tcp . 80 " not in amphora.run("nft", "list", "table", "inet", "hydria").stdout


@pytest.mark.parametrize(
    ("vip", "member"),
    [("normal", "direct"), ("direct", "normal"), ("direct", "direct"), ("normal", "normal")],
    ids=["H-4: VF member, normal VIP", "H-15: VF VIP, normal member", "both VFs", "neither"],
)
def test_traffic_and_checks_with_every_mix_of_ports(here: World, amphora: Amphora, vip: str, member: str) -> None:
    monitor = HealthMonitorSpec(id="hm", type="HTTP", delay=1, timeout=1, max_retries=1, max_retries_down=1)
    spec = replace(
        with_listeners(LISTENER, replace(LISTENER, id="tcp", protocol="TCP", protocol_port=81)),
        interfaces=(replace(VIP_NIC, vnic_type=vip), replace(MEMBER_NIC, vnic_type=member)),
        pools=(replace(POOL, health_monitor=monitor),),
    )
    assert amphora.put(spec).faults == ()
    here.client.get(VIP, 80)
    checked = "show stat"
    eventually(lambda: _stat(amphora, checked).count("L7OK") >= 3)
    assert [here.client.get(VIP, port)[0] for port in (80, 81)] == [200, 200]
    assert "notrack" not in amphora.run("nft", "list", "ruleset").stdout


def _stat(amphora: Amphora, command: str) -> str:
    script = (
        "import socket,sys;s=socket.socket(socket.AF_UNIX);s.connect('/run/hydria/haproxy.sock');"
        "s.sendall(sys.argv[1].encode()+b'\\n');print(b''.join(iter(lambda:s.recv(65536),b'')).decode())"
    )
    return amphora.run("python3", "-c", script, command).stdout


def test_h16_first_rules_of_an_amphora_are_whole(here: World, amphora: Amphora) -> None:
    """Nothing has to be there before: the first spec's listeners are open, everything else is closed."""
    amphora.put(with_listeners(LISTENER))
    assert here.client.can_connect(VIP, 80)
    assert not here.client.can_connect(VIP, 81)


def test_h18_h19_neighbours_mld_and_ping(here: World, amphora: Amphora) -> None:
    amphora.put(with_listeners(LISTENER))
    for vip in (VIP, VIP6):
        ping = ["ip", "netns", "exec", here.client.name, "ping", "-c", "1", "-W", "2", vip]
        assert process.run(ping, check=False).status == 0
    rules = amphora.run("nft", "list", "chain", "inet", "hydria", "input").stdout
    assert "mld-listener-query" in rules
    flood = ["ip", "netns", "exec", here.client.name, "ping", "-q", "-c", "150", "-i", "0.002", "-W", "1", VIP]
    received = int(process.run(flood, check=False).stdout.partition(" received")[0].split()[-1])
    assert 1 <= received <= nftables.ECHO_BURST + nftables.ECHO_PER_SECOND * 3


def test_h20_forbidden_sources_lose_their_established_connections(here: World, amphora: Amphora) -> None:
    amphora.put(with_listeners(LISTENER))
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with here.client.connect(VIP, 80) as kept, here.stranger.connect(VIP, 80) as lost:
        for connection in (kept, lost):
            connection.sendall(request)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        amphora.put(with_listeners(replace(LISTENER, allowed_cidrs=("203.0.113.10/32",))))
        kept.sendall(request)
        assert kept.recv(4096).startswith(b"HTTP/1.1 200")
        lost.settimeout(SHORT)
        lost.sendall(request)
        with pytest.raises(TimeoutError):
            lost.recv(4096)
    assert amphora.observed().reloads == 0


def test_spoofed_loopback_sources_are_dropped(here: World, amphora: Amphora) -> None:
    """T18. Counted as dropped, so the packet did arrive."""
    amphora.put(with_listeners(LISTENER))
    here.client.can_connect(VIP, 80)
    # The kernel's own checks of such sources are put aside.
    for key in ("route_localnet", "accept_local"):
        amphora.run("bash", "-c", f"echo 1 >/proc/sys/net/ipv4/conf/eth1/{key}")
    ip("neigh", "replace", VIP, "lladdr", VIP_NIC.mac_address, "dev", "eth0", netns=here.client.name)

    def send() -> None:
        header = struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 64, 17, 0, socket.inet_aton("127.0.0.9"), socket.inet_aton(VIP)
        )
        destination = bytes.fromhex(VIP_NIC.mac_address.replace(":", ""))
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
            raw.bind(("eth0", 0x0800))
            frame = destination + bytes.fromhex("020000000001") + b"\x08\x00" + _with_checksum(header)
            raw.send(frame + struct.pack("!HHHH", 1000, 80, 8, 0))

    def dropped() -> bool:
        rules = amphora.run("nft", "list", "chain", "inet", "hydria", "input").stdout.splitlines()
        return any("127.0.0.0/8" in rule and "packets 0 " not in rule for rule in rules)

    here.client.namespace.inside(send)
    eventually(dropped)


def _with_checksum(header: bytes) -> bytes:
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return header[:10] + struct.pack("!H", ~total & 0xFFFF) + header[12:]


def test_rules_are_replaced_under_traffic_without_a_failed_request(here: World, amphora: Amphora) -> None:
    """T17, the agent's own way: every spec has other rules, and no reload."""
    amphora.put(with_listeners(LISTENER))
    stop, failures, done = threading.Event(), [], []

    def request() -> None:
        while not stop.is_set():
            try:
                done.append(here.client.get(VIP, 80, timeout=5)[0])
            except OSError as error:
                failures.append(error)

    with contextlib.ExitStack() as stack:
        threads = [threading.Thread(target=request) for _ in range(2)]
        for thread in threads:
            thread.start()
            stack.callback(thread.join)
        stack.callback(stop.set)
        for number in range(120):
            cidrs = ("203.0.113.0/24", f"198.51.100.{number}/32")
            observed = amphora.put(with_listeners(replace(LISTENER, allowed_cidrs=cidrs)))
    assert (observed.faults, observed.reloads) == ((), 0)
    assert failures == []
    assert set(done) == {200}
    assert len(done) > 100


def test_500_listeners_of_20_cidrs_load(here: World) -> None:
    """T20."""
    listeners = [
        ListenerSpec(
            id=str(number),
            protocol="TCP",
            protocol_port=number + 1,
            allowed_cidrs=tuple(f"10.{block}.{number % 256}.0/24" for block in range(20)),
        )
        for number in range(500)
    ]
    here.client.namespace.inside(lambda: process.run(["nft", "-j", "-f", "-"], stdin=nftables.render(listeners)))
    loaded = here.client.namespace.inside(lambda: process.run(["nft", "list", "ruleset"])).stdout
    # Ports 1 and 257 have the same networks.
    assert loaded.count("10.19.0.0/24") == 2
    assert "10.19.243.0/24" in loaded


def test_amphora_without_nftables_refuses_sriov_ports(here: World, tmp_path: Path) -> None:
    """T16: with the reason; and what needs no firewall of ours is served."""
    amphora = Amphora(here, Certificates(tmp_path), nftables=False)
    assert b'"nftables":false' in amphora.call("GET", "/v1/info")[1]
    amphora.plug_vip()
    amphora.plug_members()
    observed = amphora.put(with_listeners(LISTENER))
    assert {(fault.resource_type, fault.resource_id) for fault in observed.faults} == {
        ("interface", "port-vip"),
        ("interface", "port-members"),
    }
    assert all("no nftables" in fault.reason for fault in observed.faults)
    assert observed.interfaces == ()
    normal = tuple(replace(interface, vnic_type="normal") for interface in SPEC.interfaces)
    assert amphora.put(replace(with_listeners(LISTENER), interfaces=normal)).faults == ()
    assert here.client.get(VIP, 80)[0] == 200


def test_pmtu_errors_are_let_in(here: World, amphora: Amphora) -> None:
    """T19: the client's own NIC has a smaller MTU than the path says; a big answer arrives all the same."""
    amphora.put(with_listeners(LISTENER))
    rules = amphora.run("nft", "list", "chain", "inet", "hydria", "input").stdout
    assert "packet-too-big" in rules
    assert "icmp type { destination-unreachable" in rules
    ip("link", "set", "eth0", "mtu", "1300", netns=here.client.name)
    assert here.client.get(VIP, 80, path="/" + "x" * 6000)[0] == 200
