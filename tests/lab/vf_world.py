"""The world of tests/root/amphora_world.py, where amphora, clients and backends have real VFs in place of veths.

Its management network stays a bridge, as in production.
"""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hardware import CARDS, ip, until

from hydria.base import process
from hydria.sriov.hardware import HardwareNics
from hydria.sriov.inventory import VfId, VfSettings
from root.amphora_network import World
from root.amphora_network import ip as ip_of_words
from root.amphora_world import MEMBER_MAC, VIP_MAC

WIRE = {VIP_MAC: "public", MEMBER_MAC: "members"}
OWN = 0
"""The amphora's VF of each PF; the others are its neighbours'."""


class VfWorld(World):
    def __init__(self, stack: contextlib.ExitStack, directory: Path) -> None:
        self.nics = HardwareNics({card.pf: wire for wire, card in CARDS.items()}, records=directory / "records")
        self._others = {wire: itertools.count(OWN + 1) for wire in CARDS}
        super().__init__(stack, directory)

    def plug(self, bridge: str, name: str, *, netns: str, mac: str | None = None, mtu: int = 1500) -> str:
        if bridge not in CARDS:
            return super().plug(bridge, name, netns=netns, mac=mac, mtu=mtu)
        if mac is None:
            return self._give_to_host(bridge, name, netns)
        vf = VfId(CARDS[bridge].pf, OWN)
        self.nics.hand_over(vf, VfSettings(mac=mac, mtu=mtu), pid=int(netns))
        self.stack.callback(self.nics.take_back, vf)
        return str(vf)

    def unplug(self, mac: str) -> None:
        self.nics.take_back(VfId(CARDS[WIRE[mac]].pf, OWN))

    def await_link(self, pid: int, name: str) -> None:
        """A real one takes a moment from being set up."""
        enter = ["nsenter", "-t", str(pid), "-n", "-m", "-p", "nsenter", "--net=/run/netns/amphora-haproxy"]
        show = [*enter, "ip", "link", "show", "dev", name]
        until(f"{name} has a link", lambda: "LOWER_UP" in process.run(show, check=False).stdout)

    def _give_to_host(self, wire: str, name: str, netns: str) -> str:
        """For Hydria it is somebody else's."""
        vf = CARDS[wire].vf(next(self._others[wire]))
        ip(f"link set dev {vf} down")
        ip(f"link set dev {vf} name {name} netns {netns}")
        # Before the namespace ends, which would give it back under another name.
        self.stack.callback(ip_of_words, "link", "set", "dev", name, "name", vf, "netns", "1", netns=netns)
        self.stack.callback(ip_of_words, "link", "set", "dev", name, "down", netns=netns)
        return vf


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        yield VfWorld(stack, tmp_path)
