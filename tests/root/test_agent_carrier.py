"""A NIC that loses its link and gets it again: told at once, and the VIPs advertised anew."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from hydria.model.heartbeat import Heartbeat
from hydria.model.spec import Heartbeats
from root.amphora_network import Host, World, ip
from root.amphora_world import SPEC, VIP, VIP6, VIP_MAC, Amphora, Certificates, Controller

pytestmark = pytest.mark.root

SLOW = replace(SPEC, heartbeats=Heartbeats(controllers=SPEC.heartbeats.controllers, interval=60.0))
"""So that a heartbeat which comes soon comes for a reason."""


@pytest.fixture
def plugged(here: World, tmp_path: Path) -> tuple[Amphora, str]:
    """With the other end of the VIP's NIC: without it the NIC has no link, as a VF whose PF lost its own."""
    amphora = Amphora(here, Certificates(tmp_path))
    far_end = amphora.plug_vip()
    amphora.plug_members()
    return amphora, far_end


@contextlib.contextmanager
def listening(host: Host) -> Iterator[socket.socket]:
    everything = 0x0003  # ETH_P_ALL
    with host.namespace.inside(
        lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(everything))
    ) as ear:
        ear.settimeout(10)
        yield ear


def hear_both_families(ear: socket.socket) -> None:
    """Until somebody has said that VIP and VIP6 are at the VIP's NIC."""
    mac = bytes.fromhex(VIP_MAC.replace(":", ""))
    signs = {VIP: mac + socket.inet_aton(VIP), VIP6: b"\x20\0\0\0" + socket.inet_pton(socket.AF_INET6, VIP6)}
    deadline = time.monotonic() + 10
    while signs:
        assert time.monotonic() < deadline, f"not advertised: {list(signs)}"
        frame = ear.recv(2048)
        if frame[6:12] == mac:
            signs = {vip: sign for vip, sign in signs.items() if sign not in frame}


def carrier(heartbeat: Heartbeat) -> bool:
    return {nic.name: nic.carrier for nic in heartbeat.nics.values()}["eth1"]


def test_link_loss_is_told_within_a_second_and_the_vips_are_advertised_when_it_returns(
    here: World, plugged: tuple[Amphora, str]
) -> None:
    amphora, far_end = plugged
    controller = Controller(here)
    observed = amphora.put(SLOW)
    assert {nic.name: nic.carrier for nic in observed.interfaces} == {"eth1": True, "eth2": True}
    controller.until(carrier)
    ip("link", "set", far_end, "down", netns=here.fabric)
    heartbeat = controller.until(lambda heartbeat: not carrier(heartbeat))
    assert {nic.name: nic.carrier for nic in heartbeat.nics.values()} == {"eth1": False, "eth2": True}
    assert {nic.name: nic.carrier for nic in amphora.observed().interfaces} == {"eth1": False, "eth2": True}
    with listening(here.stranger) as ear:
        ip("link", "set", far_end, "up", netns=here.fabric)
        controller.until(carrier)
        hear_both_families(ear)
    assert here.client.get(VIP, 80)[0] == 200


def test_a_link_that_comes_only_after_the_spec_is_advertised(here: World, plugged: tuple[Amphora, str]) -> None:
    """As a VF of an igb: it has no link for seconds after it was brought up."""
    amphora, far_end = plugged
    ip("link", "set", far_end, "down", netns=here.fabric)
    observed = amphora.put(SLOW)
    assert observed.faults == ()
    assert {nic.name: nic.up and not nic.carrier for nic in observed.interfaces} == {"eth1": True, "eth2": False}
    with listening(here.stranger) as ear:
        ip("link", "set", far_end, "up", netns=here.fabric)
        hear_both_families(ear)


def test_heartbeats_count_errors_beside_drops(here: World, plugged: tuple[Amphora, str]) -> None:
    amphora, _ = plugged
    controller = Controller(here)
    amphora.put(SPEC)
    here.client.get(VIP, 80)
    nic = controller.until(lambda beat: beat.nics.get(VIP_MAC) is not None and beat.nics[VIP_MAC].rx_packets > 0).nics[
        VIP_MAC
    ]
    assert (nic.name, nic.carrier, nic.rx_errors, nic.tx_errors) == ("eth1", True, 0, 0)
    assert nic.rx_bytes > nic.rx_packets
