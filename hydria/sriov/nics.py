"""The boundary between VFs of real NICs and their software stand-ins: everything above it is the same code."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hydria.sriov.inventory import Pf, VfCounters, VfId, VfSettings


@dataclass(frozen=True)
class PciDevice:
    """A VF that a virtual machine is given whole; it is bound to vfio-pci."""

    address: str
    """0000:01:10.0"""


@dataclass(frozen=True)
class Tap:
    """A network interface whose frames a virtual machine reads and writes by a file descriptor."""

    fd: int
    """Whoever got it closes it; the interface is gone with the last one."""


class Nics(Protocol):
    """The SR-IOV NICs of one host. Keeps no books: who may have which VF is decided above (claims)."""

    def scan(self) -> tuple[Pf, ...]:
        """All PFs with all their VFs, as they are now. Raises Retryable while the NICs cannot be read."""
        ...

    def watch(self, stop: threading.Event) -> Iterator[tuple[Pf, ...]]:
        """What `scan` gives: now, and again within a second of each change of a PF (link, VFs, gone, new).

        Ends when `stop` is set. Does not end for trouble with the NICs: it is logged and tried again.
        """
        ...

    def counters(self) -> Mapping[VfId, VfCounters]:
        """What the PFs count of their VFs; a VF whose PF says nothing is left out."""
        ...

    def hand_over(self, vf: VfId, settings: VfSettings, *, pid: int, holder: str = "") -> None:
        """Set the VF up through its PF, then put it into the network namespace of process `pid`.

        It arrives DOWN, without addresses, with `settings.mac`. May run twice, also while the guest has renamed the
        VF or moved it into a namespace of its own; other settings than the first time are set while it stays there,
        but another MAC brings it in anew. A VF that another guest of ours holds is taken back from it first.
        `holder` says whose it is then, such as "port 9a1f...", to those who list VFs.
        Raises Retryable when the process is gone, Conflict when somebody else holds the VF or uses the MAC, Terminal
        when the NIC cannot do what `settings` ask; whenever it raises, the VF is as it was before.
        """
        ...

    def hand_over_vfio(self, vf: VfId, settings: VfSettings, *, holder: str = "") -> Path:
        """The same for a virtual machine: bind the VF to vfio-pci. Gives the /dev/vfio/GROUP to be opened."""
        ...

    def take_back(self, vf: VfId) -> None:
        """Make the VF free and as it was before it was handed over, wherever it is, also after its guest died.

        May run twice. A VF that is gone together with its PF needs nothing.
        """
        ...
