"""Puts NICs into guests and takes them out again: VFs by the NICs, ordinary ports by the fabric. Keeps no books."""

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hydria.base import log
from hydria.base.errors import Retryable
from hydria.sriov.inventory import VfId, VfSettings
from hydria.sriov.nics import Nics

logger = log.Logger(__name__)

FIRST_NIC = "eth0"
"""The one that we configure as DHCP would; all others the guest finds by their MAC."""


class Fabric(Protocol):
    """Where ordinary ports end."""

    def plug(
        self, *, port_id: str, mac: str, physical_network: str, pid: int, name: str, mtu: int, vlan: int
    ) -> None: ...

    def unplug(self, *, port_id: str) -> None: ...

    def ports(self) -> Collection[str]: ...

    def configure(self, *, pid: int, mac: str, addresses: Sequence[str]) -> None: ...


@dataclass(frozen=True)
class Nic:
    port_id: str
    mac: str
    mtu: int
    physical_network: str
    vlan: int = 0
    vf: VfId | None = None
    spoofchk: bool = True
    trust: bool = False
    min_tx_rate: int = 0
    max_tx_rate: int = 0
    """Mbit/s; 0: none."""
    addresses: tuple[str, ...] = ()
    """Given to the first NIC of a server only, with their prefix lengths."""


class Wiring:
    def __init__(self, nics: Nics, fabric: Fabric) -> None:
        self._nics = nics
        self._fabric = fabric

    def plug(self, nic: Nic, *, pid: int) -> None:
        """May run twice. Raises Retryable when the guest is gone, Terminal when the NIC can't do it."""
        self._plug(nic, pid)
        if nic.addresses:
            self._fabric.configure(pid=pid, mac=nic.mac, addresses=nic.addresses)

    def _plug(self, nic: Nic, pid: int) -> None:
        if nic.vf is not None:
            self._nics.hand_over(nic.vf, _settings(nic), pid=pid, holder=f"port {nic.port_id}")
            return
        name = FIRST_NIC if nic.addresses else free_name(pid)
        self._fabric.plug(
            port_id=nic.port_id,
            mac=nic.mac,
            physical_network=nic.physical_network,
            pid=pid,
            name=name,
            mtu=nic.mtu,
            vlan=nic.vlan,
        )

    def set_anew(self, nic: Nic, *, pid: int) -> None:
        """A NIC that the guest has, after its port's settings changed. Of an ordinary port nothing is set there."""
        if nic.vf is not None:
            self._nics.hand_over(nic.vf, _settings(nic), pid=pid, holder=f"port {nic.port_id}")

    def unplug(self, port_id: str, vf: VfId | None) -> None:
        """Wherever the guest has put it, and also after the guest's end. May run twice."""
        if vf is not None:
            self._nics.take_back(vf)
        else:
            self._fabric.unplug(port_id=port_id)

    def take_back(self, vfs: Iterable[VfId]) -> None:
        for vf in vfs:
            logger.warning("VF without a claim taken back", vf=vf)
            self._nics.take_back(vf)

    def unplug_all_but(self, port_ids: Collection[str]) -> None:
        for port_id in set(self._fabric.ports()) - set(port_ids):
            logger.warning("port without a server unplugged", port_id=port_id)
            self._fabric.unplug(port_id=port_id)


def _settings(nic: Nic) -> VfSettings:
    return VfSettings(
        mac=nic.mac,
        vlan=nic.vlan,
        spoofchk=nic.spoofchk,
        trust=nic.trust,
        min_tx_rate=nic.min_tx_rate,
        max_tx_rate=nic.max_tx_rate,
        mtu=nic.mtu,
    )


def free_name(pid: int) -> str:
    """eth1, eth2, ...: the first that the guest has not, in the namespace that its NICs arrive in."""
    try:
        lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()
    except OSError as error:
        raise Retryable(f"Plugging a NIC into process {pid}: it is gone") from error
    used = {line.partition(":")[0].strip() for line in lines}
    return next(name for number in itertools.count(1) if (name := f"eth{number}") not in used)
