"""Who has a VF: nobody, a guest of ours, or somebody else. Reads, and changes nothing."""

from collections.abc import Sequence

from msgspec import Struct

from hydria.base.errors import Retryable
from hydria.sriov import namespaces
from hydria.sriov.inventory import VfId
from hydria.sriov.kernel import VFIO, Kernel, link_of
from hydria.sriov.netlink import Link
from hydria.sriov.records import Record
from hydria.sriov.sysfs import PfDevice, VfDevice
from hydria.sriov.tag import Tag


class Target(Struct, frozen=True):
    """One VF with all that it takes to change it."""

    vf: VfId
    pf: PfDevice
    pf_link: Link
    device: VfDevice

    @property
    def address(self) -> str:
        return self.device.address

    def __str__(self) -> str:
        return f"VF {self.vf} ({self.address})"

    def describes(self, record: Record) -> bool:
        """False: the record is of a VF that was at this address before the PF, or its VFs, were made anew."""
        return (record.pf_index, record.incarnation) == (self.pf_link.index, self.device.incarnation)


class Standing(Struct, frozen=True):
    at_home: bool = True
    foreign: bool = False
    holder: str = ""
    unrecorded: bool = False
    """It bears our tag, yet there is no record of what it was before."""


def find(kernel: Kernel, vf: VfId) -> Target | None:
    """None: its PF is not there, or has no such VF."""
    links = kernel.links()
    for pf in kernel.pfs():
        link = link_of(links, pf)
        if link is not None and link.name == vf.pf:
            device = next((device for device in pf.vfs if device.index == vf.index), None)
            return Target(vf, pf, link, device) if device else None
    return None


def standing(kernel: Kernel, links: Sequence[Link], target: Target, record: Record | None, fabric: str) -> Standing:
    """`links` are those that are where the PFs are."""
    if record is not None and target.describes(record):
        # Also one that its guest's end has brought home: it still has the guest's MAC, VLAN and trust.
        return Standing(at_home=False, holder=record.holder or "Hydria")
    device = target.device
    if device.driver == VFIO:
        return Standing(at_home=False, foreign=True, holder=VFIO)
    if (link := link_of(links, device)) is not None:
        return _of_link(kernel, links, link, Tag(fabric, "vf", str(target.vf)))
    if device.driver is None:
        return Standing()
    return _elsewhere(kernel, target, Tag(fabric, "vf", str(target.vf)))


def _of_link(kernel: Kernel, links: Sequence[Link], link: Link, ours: Tag) -> Standing:
    if ours.is_same(link.tag):
        return Standing(at_home=False, holder="Hydria", unrecorded=True)
    use = _use(kernel, links, link)
    return Standing(foreign=bool(use), holder=use)


def _use(kernel: Kernel, links: Sequence[Link], link: Link) -> str:
    """What the machine itself does with the netdev of a VF; empty: nothing."""
    if link.master is not None:
        return f"enslaved to {next((other.name for other in links if other.index == link.master), link.master)}"
    # A link's own index stands where nothing is below it.
    if above := [other.name for other in links if other.link == link.index and other.index != link.index]:
        return f"below {', '.join(above)}"
    if link.is_up and (addresses := _addresses(kernel, link)):
        return f"up with {', '.join(addresses)}"
    return ""


def _addresses(kernel: Kernel, link: Link) -> list[str]:
    try:
        return kernel.addresses(link.index)
    except Retryable:
        # It went away since it was listed.
        return []


def _elsewhere(kernel: Kernel, target: Target, ours: Tag) -> Standing:
    place = kernel.away(target.address)
    if place is None:
        # Drivers such as uio_pci_generic have none; or its namespace is just ending, and the next look finds it.
        return Standing(at_home=False, foreign=True, holder=f"driver {target.device.driver}, which shows no netdev")
    where = namespaces.words(place.namespace)
    if ours.is_same(place.link.tag):
        return Standing(at_home=False, holder=where, unrecorded=True)
    return Standing(at_home=False, foreign=True, holder=where)
