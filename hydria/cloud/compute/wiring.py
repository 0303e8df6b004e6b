"""Puts NICs into guests and takes them out again: VFs by the NICs, ordinary ports by the fabric. Keeps no books."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hydria.base import log
from hydria.base.errors import Retryable
from hydria.cloud.hypervisor.guest import Guest
from hydria.sriov.inventory import VfId, VfSettings
from hydria.sriov.nics import Nics, Tap

logger = log.Logger(__name__)

FIRST_NIC = "eth0"
"""The one that we configure as DHCP would; all others the guest finds by their MAC."""


class Fabric(Protocol):
    """Where ordinary ports end."""

    def plug(
        self, *, port_id: str, mac: str, physical_network: str, pid: int, name: str, mtu: int, vlan: int
    ) -> None: ...

    def plug_tap(self, *, port_id: str, mac: str, physical_network: str, mtu: int, vlan: int) -> Tap: ...

    def unplug(self, *, port_id: str) -> None: ...

    def ports(self) -> Collection[str]: ...

    def configure(self, *, pid: int, mac: str, addresses: Sequence[str]) -> None: ...

    def introduce(self, *, mac: str, addresses: Sequence[str]) -> None: ...


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


class Wiring(ABC):
    """For one kind of guests. Nobody calls two of its methods about one server at the same time."""

    def __init__(self, nics: Nics, fabric: Fabric) -> None:
        self._nics = nics
        self._fabric = fabric

    @abstractmethod
    def plug(self, nic: Nic, *, server_id: str, child: Guest) -> None:
        """May run twice. Raises Retryable when the guest is gone, Terminal when the NIC can't do it."""

    @abstractmethod
    def set_anew(self, nic: Nic, *, server_id: str, child: Guest) -> None:
        """A NIC that the guest has, after its port's settings changed. Of an ordinary port nothing is set there."""

    @abstractmethod
    def unplug(self, port_id: str, vf: VfId | None, *, server_id: str) -> None:
        """Wherever the guest has put it, and also after the guest's end. May run twice.

        Raises Retryable while a virtual machine does not let go of it.
        """

    def take_back(self, vfs: Iterable[VfId]) -> None:
        for vf in vfs:
            logger.warning("VF without a claim taken back", vf=vf)
            self._nics.take_back(vf)

    def unplug_all_but(self, port_ids: Collection[str]) -> None:
        for port_id in set(self._fabric.ports()) - set(port_ids):
            logger.warning("port without a server unplugged", port_id=port_id)
            self._fabric.unplug(port_id=port_id)

    def _take(self, port_id: str, vf: VfId | None) -> None:
        if vf is not None:
            self._nics.take_back(vf)
        else:
            self._fabric.unplug(port_id=port_id)


class NamespaceWiring(Wiring):
    """For containers: NICs are moved into their network namespaces."""

    def plug(self, nic: Nic, *, server_id: str, child: Guest) -> None:
        self._plug(nic, server_id, child)
        if nic.addresses:
            self._fabric.configure(pid=child.pid, mac=nic.mac, addresses=nic.addresses)

    def _plug(self, nic: Nic, server_id: str, child: Guest) -> None:
        if nic.vf is not None:
            self.set_anew(nic, server_id=server_id, child=child)
            return
        name = FIRST_NIC if nic.addresses else free_name(child.pid)
        self._fabric.plug(
            port_id=nic.port_id,
            mac=nic.mac,
            physical_network=nic.physical_network,
            pid=child.pid,
            name=name,
            mtu=nic.mtu,
            vlan=nic.vlan,
        )

    def set_anew(self, nic: Nic, *, server_id: str, child: Guest) -> None:  # noqa: ARG002 - the process tells
        if nic.vf is not None:
            self._nics.hand_over(nic.vf, settings_of(nic), pid=child.pid, holder=holder_of(nic))

    def unplug(self, port_id: str, vf: VfId | None, *, server_id: str) -> None:  # noqa: ARG002
        self._take(port_id, vf)


def holder_of(nic: Nic) -> str:
    return f"port {nic.port_id}"


def settings_of(nic: Nic) -> VfSettings:
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
