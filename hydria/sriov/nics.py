"""The boundary between VFs of real NICs and their software stand-ins: everything above it is the same code."""

from typing import Protocol

from hydria.sriov.inventory import Pf, VfId, VfSettings


class Nics(Protocol):
    """The SR-IOV NICs of one host. Keeps no books: who may have which VF is decided above (claims)."""

    def scan(self) -> tuple[Pf, ...]:
        """All PFs with all their VFs, as they are now. Raises Retryable while the NICs cannot be read."""
        ...

    def hand_over(self, vf: VfId, settings: VfSettings, *, pid: int) -> None:
        """Set the VF up through its PF, then put it into the network namespace of process `pid`.

        It arrives DOWN, without addresses, with `settings.mac`. May run twice, also while the guest has renamed the
        VF or moved it into a namespace of its own. A VF that another guest holds is taken back from it first.
        Raises Retryable when the process is gone, Terminal when the NIC cannot do what `settings` ask.
        """
        ...

    def take_back(self, vf: VfId) -> None:
        """Make the VF free and as it was before it was handed over, wherever it is, also after its guest died.

        May run twice.
        """
        ...
