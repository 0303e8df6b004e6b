"""The world of tests/root/amphora_world.py, where amphora, clients and backends have real VFs in place of veths.

Its management network stays a bridge, as in production.
"""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hardware import CARDS, ip, until

from hydria.model.spec import Observed, Spec
from hydria.sriov.hardware import HardwareNics
from hydria.sriov.inventory import VfId, VfSettings
from root.amphora_network import World
from root.amphora_network import ip as ip_of_words
from root.amphora_world import MEMBER_MAC, VIP_MAC, Amphora, Certificates

WIRE = {VIP_MAC: "public", MEMBER_MAC: "members"}
OWN = 0
"""The amphora's VF of each PF; the others are its neighbours'."""


class VfWorld(World):
    def __init__(self, stack: contextlib.ExitStack, directory: Path) -> None:
        self.nics = HardwareNics({card.pf: wire for wire, card in CARDS.items()}, records=directory / "records")
        self._others = {wire: itertools.count(OWN + 1) for wire in CARDS}
        super().__init__(stack, directory)

    def amphora(self, certificates: Certificates, *, nftables: bool = True) -> Amphora:
        return VfAmphora(self, certificates, nftables=nftables)

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

    def _give_to_host(self, wire: str, name: str, netns: str) -> str:
        """For Hydria it is somebody else's."""
        vf = CARDS[wire].vf(next(self._others[wire]))
        ip(f"link set dev {vf} down")
        ip(f"link set dev {vf} name {name} netns {netns}")
        # Before the namespace ends, which would give it back under another name.
        self.stack.callback(ip_of_words, "link", "set", "dev", name, "name", vf, "netns", "1", netns=netns)
        self.stack.callback(ip_of_words, "link", "set", "dev", name, "down", netns=netns)
        return vf


class VfAmphora(Amphora):
    world: VfWorld

    def unplug_vip(self) -> None:
        self.world.unplug(VIP_MAC)

    def put(self, spec: Spec) -> Observed:
        """Once its VFs have a link: a real one takes a moment from being set up."""
        observed = super().put(spec)
        for interface in observed.interfaces:
            until(f"{interface.name} has a link", lambda name=interface.name: self._has_carrier(name))
        return observed

    def _has_carrier(self, name: str) -> bool:
        return "LOWER_UP" in self.run("ip", "link", "show", "dev", name, check=False).stdout


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        yield VfWorld(stack, tmp_path)
