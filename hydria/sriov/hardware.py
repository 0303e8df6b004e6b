"""VFs of real SR-IOV NICs behind the Nics interface, watched by netlink events. Keeps nothing that the kernel knows."""

import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import structs

from hydria.base.errors import HydriaError, Retryable
from hydria.base.log import Logger
from hydria.sriov import ethtool, namespaces, records
from hydria.sriov import sysfs as sysfs_
from hydria.sriov.census import Census
from hydria.sriov.inventory import Pf, VfCounters, VfId, VfSettings
from hydria.sriov.kernel import Kernel, Linux
from hydria.sriov.life import Life
from hydria.sriov.netlink.events import LinkEvents
from hydria.sriov.nics import Nics, PciDevice
from hydria.sriov.records import Records

log = Logger(__name__)

_RESCAN_SECONDS = 10.0
"""For what no link event tells of: a driver bound, a device that appeared without netdev."""
_LISTEN_SECONDS = 0.25
_SETTLE_SECONDS = 0.05
"""One change of a link is several events."""

_SPOOFED = re.compile(r"vf[_ -]?(\d+)(?!\d).*spoof|spoof.*vf[_ -]?(\d+)", re.IGNORECASE)


def host_pfs(
    physical_networks: Mapping[str, str],
    *,
    sysfs: Path = sysfs_.ROOT,
    records: Path = records.DIRECTORY,
    fabric: str = "hydria",
) -> tuple[Pf, ...]:
    """All PFs of the machine, also those without a driver, which are called by their PCI address."""
    return Census(Linux(sysfs_.Sysfs(sysfs)), Records(records), physical_networks, fabric).pfs()


class HardwareNics(Nics):
    """The PFs `pfs` (PF name → physical network), which are in the network namespace `home`."""

    def __init__(
        self,
        pfs: Mapping[str, str],
        *,
        sysfs: Path = sysfs_.ROOT,
        records: Path | Records = records.DIRECTORY,
        home: Path = namespaces.OWN,
        fabric: str = "hydria",
        kernel: Kernel | None = None,
    ) -> None:
        self._pfs = dict(pfs)
        self._home = home
        self._kernel = kernel or Linux(sysfs_.Sysfs(sysfs), home)
        books = records if isinstance(records, Records) else Records(records)
        self._census = Census(self._kernel, books, self._pfs, fabric)
        self._life = Life(self._kernel, books, self._pfs, fabric)
        self._missing: frozenset[str] = frozenset()

    def scan(self) -> tuple[Pf, ...]:
        found = self._census.pfs(lambda name: name in self._pfs)
        missing = frozenset(self._pfs.keys() - {pf.name for pf in found})
        if gone := missing - self._missing:
            log.warning("PFs are not there", pfs=", ".join(sorted(gone)))
        if back := self._missing - missing:
            log.info("PFs are there again", pfs=", ".join(sorted(back)))
        self._missing = missing
        return found

    def watch(self, stop: threading.Event) -> Iterator[tuple[Pf, ...]]:
        before: tuple[Pf, ...] | None = None
        while not stop.is_set():
            try:
                with LinkEvents(self._home) as events:
                    changing = False
                    while not stop.is_set():
                        if (now := self.scan()) != before:
                            before = now
                            yield now
                        # Once more soon after a change: the netdev of a VF goes before its device does.
                        changing = _changes(events, stop, _LISTEN_SECONDS if changing else _RESCAN_SECONDS)
            except HydriaError as error:
                log.warning("looking at the NICs failed", reason=error)
                stop.wait(1)

    def counters(self) -> Mapping[VfId, VfCounters]:
        found: dict[VfId, VfCounters] = {}
        links = {link.name: link for link in self._kernel.links()}
        for name in self._pfs.keys() & links.keys():
            try:
                counted = self._kernel.counters(links[name].index)
            except Retryable as error:
                log.debug("PF says nothing of what its VFs do", pf=name, reason=error)
                continue
            spoofed = _spoofed(ethtool.statistics(name, self._home))
            for index, counters in counted.items():
                found[VfId(name, index)] = structs.replace(counters, spoofed=spoofed.get(index))
        return found

    def hand_over(self, vf: VfId, settings: VfSettings, *, pid: int, holder: str = "") -> None:
        self._life.hand_over(vf, settings, pid=pid, holder=holder)

    def hand_over_to_machine(self, vf: VfId, settings: VfSettings, *, holder: str = "") -> PciDevice:
        return self._life.hand_over_to_machine(vf, settings, holder=holder)

    def adjust(self, vf: VfId, settings: VfSettings, *, holder: str = "") -> None:
        self._life.adjust(vf, settings, holder=holder)

    def take_back(self, vf: VfId) -> None:
        self._life.take_back(vf)


def _changes(events: LinkEvents, stop: threading.Event, seconds: float) -> bool:
    """Whether links change within that time; returns as soon as they have, or when `stop` is set."""
    for _ in range(round(seconds / _LISTEN_SECONDS)):
        if stop.is_set():
            return False
        if events.wait(_LISTEN_SECONDS):
            stop.wait(_SETTLE_SECONDS)
            return True
    return False


def _spoofed(statistics: Mapping[str, int]) -> dict[int, int]:
    """By index of the VF. A counter of the whole PF blames nobody.

    >>> _spoofed({"rx_packets": 9, "vf_3_spoofed": 2, "spoof_drops_vf10": 1, "tx_spoofed": 5})
    {3: 2, 10: 1}
    """
    found: dict[int, int] = {}
    for name, value in statistics.items():
        if match := _SPOOFED.search(name):
            index = int(match[1] or match[2])
            found[index] = found.get(index, 0) + value
    return found
