"""The boundary between VFs of real NICs and their software stand-ins: everything above it is the same code."""

import os
import threading
from collections.abc import Iterator, Mapping
from typing import Protocol

from msgspec import Struct

from hydria.sriov.inventory import Pf, VfCounters, VfId, VfSettings


class Tap(Struct, frozen=True):
    """An open queue of a tap or macvtap, with virtio headers (IFF_VNET_HDR). Whoever is given it closes it."""

    fd: int

    def close(self) -> None:
        os.close(self.fd)


class PciDevice(Struct, frozen=True):
    """Bound to vfio-pci: `device_add vfio-pci,host=ADDRESS`."""

    address: str
    """Such as 0000:01:10.0."""

    def close(self) -> None:
        """Nothing of it is open here."""


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

    def hand_over_to_machine(self, vf: VfId, settings: VfSettings, *, holder: str = "") -> Tap | PciDevice:
        """The same for a virtual machine: gives what its hypervisor makes a NIC of.

        May run twice for a PciDevice. A macvtap that a living process has is not given a second time, as frames would
        be spread over both: Retryable names the process, so ask the hypervisor first whether it has the NIC already.
        Raises Terminal also where VFs cannot be given to virtual machines (no IOMMU, no driver vfio-pci).
        """
        ...

    def adjust(self, vf: VfId, settings: VfSettings, *, holder: str = "") -> None:
        """Change settings of a VF while a virtual machine has it: all but its MAC, which is the guest's by now.

        Raises Conflict when no virtual machine has it, Terminal when the NIC cannot do what `settings` ask.
        """
        ...

    def take_back(self, vf: VfId) -> None:
        """Make the VF free and as it was before it was handed over, wherever it is, also after its guest died.

        May run twice. A VF that is gone together with its PF needs nothing.
        """
        ...
