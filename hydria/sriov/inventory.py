"""PFs and VFs as plain values, and the rules by which they are read. Knows nothing of where they come from."""

from collections.abc import Collection, Iterator, Sequence
from typing import Literal, Self

from msgspec import Struct

from hydria.base.errors import Invalid


class VfId(Struct, frozen=True, order=True):
    """A VF wherever it is: namespaces and guests may rename its netdev, PF and index stay."""

    pf: str
    index: int

    def __str__(self) -> str:
        return f"{self.pf}/{self.index}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what str() wrote.

        >>> VfId.parse("pf-public/3")
        VfId(pf='pf-public', index=3)
        """
        pf, _, index = text.rpartition("/")
        if not pf or not (index.isascii() and index.isdigit()):
            raise Invalid(f"'{text}' is not a VF: expected PF/INDEX, such as pf-public/3.")
        return cls(pf, int(index))

    @property
    def kernel_name(self) -> str:
        """What the kernel calls the netdev of this VF while nobody has renamed it.

        >>> VfId("enp1s0f0", 3).kernel_name
        'enp1s0f0v3'
        """
        return f"{self.pf}v{self.index}"


class VfSettings(Struct, frozen=True, kw_only=True):
    """What `ip link set PF vf N ...` can say, under its names; None leaves it as it is."""

    mac: str | None = None
    vlan: int = 0
    spoofchk: bool = True
    trust: bool = False
    link_state: Literal["auto", "enable", "disable"] = "auto"
    min_tx_rate: int = 0
    max_tx_rate: int = 0
    mtu: int | None = None


class Vf(Struct, frozen=True):
    id: VfId
    settings: VfSettings = VfSettings()
    """As its PF reports them now."""
    at_home: bool = True
    """Its netdev is where the PF's is. False: in a guest's namespace, given to vfio-pci, or gone together with one.

    Also while it bears what it was set to for a guest: a crash or the guest's end leaves that for `take_back` to clear.
    """
    foreign: bool = False
    """Somebody has it whom we did not give it to (`holder` says who): not ours to give, nor to take back."""
    holder: str = ""
    """Who has it, in words for people; empty: nobody."""
    pci_address: str | None = None
    netdev: str | None = None
    """What it is called while it is at home and has a netdev."""
    driver: str | None = None


class VfCounters(Struct, frozen=True, kw_only=True):
    """What the PF counts of one VF, from the VF's side; None: its driver does not say."""

    rx_packets: int | None = None
    tx_packets: int | None = None
    rx_bytes: int | None = None
    tx_bytes: int | None = None
    rx_dropped: int | None = None
    tx_dropped: int | None = None
    spoofed: int | None = None
    """Frames that the spoof check kept from leaving."""


class Pf(Struct, frozen=True, kw_only=True):
    name: str
    physical_network: str
    """Empty: the configuration gives it to none."""
    driver: str
    pci_address: str | None = None
    numa_node: int | None = None
    link_up: bool
    speed: int | None = None
    """Mbit/s; None while it has no link, or where the driver does not say."""
    totalvfs: int | None = None
    """What the device can have; None: a software PF has no limit."""
    eswitch_mode: Literal["legacy", "switchdev"] | None = None
    """As `devlink dev eswitch show` says; None: the driver has no devlink, which means legacy."""
    mac: str | None = None
    mtu: int | None = None
    vfs: tuple[Vf, ...] = ()

    @property
    def numvfs(self) -> int:
        return len(self.vfs)

    def free(self, claimed: Collection[VfId]) -> list[Vf]:
        """VFs that nobody has claimed and that are here to be handed over, lowest index first."""
        here = (vf for vf in self.vfs if vf.at_home and not vf.foreign and vf.id not in claimed)
        return sorted(here, key=lambda vf: vf.id)


def strays(pfs: Sequence[Pf], claimed: Collection[VfId]) -> Iterator[VfId]:
    """VFs that are away although nobody claims them: a crash left them, somebody has to take them back."""
    lost = (vf for pf in pfs for vf in pf.vfs if not vf.at_home and not vf.foreign)
    return (vf.id for vf in lost if vf.id not in claimed)
