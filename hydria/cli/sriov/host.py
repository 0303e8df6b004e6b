"""The PFs of this machine as the commands see them, with what a configuration says of them."""

import threading
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from hydria.base.config import Config, load
from hydria.base.errors import Forbidden, NotFound, Retryable
from hydria.base.log import Logger
from hydria.sriov import preparation
from hydria.sriov.hardware import HardwareNics, host_pfs
from hydria.sriov.inventory import Pf, Vf
from hydria.sriov.netlink.events import LinkEvents
from hydria.sriov.preparation import Device
from hydria.sriov.records import Records

log = Logger(__name__)

_RESCAN_SECONDS = 1.0
"""Records and drivers change without a link event."""
_QUIET_SECONDS, _QUIET_LOOKS = 0.05, 40


class Machine(Struct, frozen=True):
    physical_networks: dict[str, str]
    """PF name → physical network."""
    fabric: str
    """Whose VFs are ours."""

    @classmethod
    def of(cls, config: Config) -> "Machine":
        # A fabric of software PFs says nothing of the machine's own.
        hosts = () if config.fabric.kind == "software" else config.cloud.hosts
        return cls({pf: network for host in hosts for pf, network in host.pfs.items()}, config.fabric.name)

    @classmethod
    def load(cls, path: Path | None) -> "Machine":
        """Without a file no PF is on a physical network."""
        return cls.of(load(path) if path is not None else Config())

    def pfs(self) -> tuple[Pf, ...]:
        try:
            return host_pfs(self.physical_networks, fabric=self.fabric)
        except PermissionError as error:
            raise Forbidden(f"Looking at the PFs: {error}. Only root may see who has which VF.") from error

    def nics(self) -> HardwareNics:
        """Of every PF with a driver, whether it is on a physical network or not."""
        names = {pf.name: pf.physical_network for pf in self.pfs()}
        return HardwareNics(names, fabric=self.fabric)

    def watch(self, stop: threading.Event) -> Iterator[tuple[Pf, ...]]:
        """As Nics.watch, of all PFs, also of those that come."""
        before: tuple[Pf, ...] | None = None
        now: tuple[Pf, ...] = ()
        with LinkEvents() as events:
            while not stop.is_set():
                try:
                    now = self.pfs()
                except Retryable as error:  # a PF went away under our eyes
                    log.debug("looking at the NICs failed", reason=error)
                else:
                    if now != before:
                        before = now
                        yield now
                events.wait(_RESCAN_SECONDS)
                self._await_quiet(now, stop)

    def _await_quiet(self, pfs: tuple[Pf, ...], stop: threading.Event) -> None:
        """A VF that is being handed over or taken back shows states that are none: wait, though not for long."""
        records = Records()
        for _ in range(_QUIET_LOOKS):
            if not any(pf.pci_address and records.is_locked(pf.pci_address) for pf in pfs):
                return
            stop.wait(_QUIET_SECONDS)


def pf_of(device: Device, found: tuple[Pf, ...]) -> Pf:
    """Raises NotFound where it has gone away meanwhile."""
    pf = next((pf for pf in found if pf.pci_address == device.pci_address), None)
    if pf is None:
        raise NotFound(f"PF {device} has gone away.")
    return pf


def pf_named(name: str, found: tuple[Pf, ...]) -> Pf:
    """Raises what `preparation.find` raises."""
    return pf_of(preparation.find(name), found)


def vf_named(name: str, found: tuple[Pf, ...]) -> tuple[Vf, Pf] | None:
    """By PF/INDEX, by PCI address or by the name of its link."""
    vfs = ((vf, pf) for pf in found for vf in pf.vfs)
    return next(((vf, pf) for vf, pf in vfs if name in {str(vf.id), vf.pci_address, vf.netdev}), None)
