"""VFs for a machine without SR-IOV NICs: macvlans on a veth, handed over and taken back as a NIC's VFs are.

The PFs live in a network namespace of their own, where only we name things: a VF that is at home is known by its
name there. One that is away is known by its tag alone, because guests rename it and move it on. For a virtual machine
a macvtap stands in the macvlan's place: under its name, and yet away.
"""

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

from hydria.base.errors import Conflict, Retryable, Terminal
from hydria.base.log import Logger
from hydria.sriov import namespaces, taps
from hydria.sriov.inventory import Pf, Vf, VfCounters, VfId, VfSettings
from hydria.sriov.netlink import Link, Netlink
from hydria.sriov.nics import Nics, Tap
from hydria.sriov.tag import Tag

log = Logger(__name__)

_LOOK_SECONDS = 0.5


class SoftwareNics(Nics):
    """The software PFs `pfs` (PF name → physical network) in the named namespace `namespace`."""

    def __init__(self, namespace: str, pfs: Mapping[str, str]) -> None:
        self._fabric = namespace
        self._home = namespaces.named(namespace)
        self._pfs = dict(pfs)

    def scan(self) -> tuple[Pf, ...]:
        at_home = self._names_at_home()
        with Netlink(self._home) as netlink:
            links = {name: netlink.link(name) for name in self._pfs if name in at_home}
        return tuple(
            Pf(
                name=name,
                physical_network=network,
                driver="macvlan",
                link_up=link is not None and link.is_up and link.has_carrier,
                vfs=tuple(Vf(vf, at_home=vf.kernel_name in at_home) for vf in _vfs(link)),
            )
            for name, network in self._pfs.items()
            for link in [links.get(name)]
        )

    def _names_at_home(self) -> frozenset[str]:
        given = taps.macvtaps(self._home)
        return frozenset(name for name, index in namespaces.link_indices(self._home).items() if index not in given)

    def ensure_vfs(self, pf: str, numvfs: int) -> None:
        """Make the VFs that the PF lacks and write their number onto it. VFs in guests are left there.

        As with real PFs there never become fewer: a guest may hold the one that would have to go.
        """
        with Netlink(self._home) as netlink:
            link = netlink.need(pf)
            numvfs = max(numvfs, len(_vfs(link)))
            wanted = {vf.kernel_name: vf for vf in (VfId(pf, index) for index in range(numvfs))}
            netlink.set_link(link.index, tag=Tag(self._fabric, "pf", pf, numvfs))
            missing = {wanted[name] for name in wanted.keys() - namespaces.link_names(self._home)}
            # A PF without a tag was made just now: none can be away.
            away = self._all_away() if missing and link.tag is not None else frozenset()
            for vf in sorted(missing):
                if str(vf) not in away:
                    self._make(netlink, link, vf)

    def hand_over(self, vf: VfId, settings: VfSettings, *, pid: int, holder: str = "") -> None:  # noqa: ARG002 - the tag says whose it is
        self._refuse_unsupported(vf, settings)
        guest = namespaces.of_process(pid)
        tag = Tag(self._fabric, "vf", str(vf), namespaces.guest_inode(pid))
        with Netlink(self._home) as netlink:
            link = netlink.link(vf.kernel_name)
            if link is None and (self._is_in(guest, tag) or self._find_away(vf, tag) is not None):
                return
            if link is None or _is_given(link):
                link = self._take_back(netlink, vf)
            netlink.set_link(link.index, up=False, mac=settings.mac, mtu=settings.mtu, tag=tag)
            netlink.set_link(link.index, namespace=guest)
        log.info("VF handed over", vf=vf, pid=pid, mac=settings.mac)

    def hand_over_to_machine(self, vf: VfId, settings: VfSettings, *, holder: str = "") -> Tap:  # noqa: ARG002
        self._refuse_unsupported(vf, settings)
        with Netlink(self._home) as netlink, contextlib.ExitStack() as undo:
            pf = netlink.need(vf.pf)
            self._refuse_in_use(vf, netlink.link(vf.kernel_name))
            undo.callback(self._take_back, netlink, vf)
            self._delete(netlink, vf)
            netlink.add_macvtap(vf.kernel_name, link=pf.index, mac=settings.mac or self._factory_mac(vf))
            link = netlink.need(vf.kernel_name)
            netlink.set_link(link.index, mtu=settings.mtu, tag=self._free_tag(vf), up=True)
            tap = taps.open_macvtap(self._home, link)
            undo.pop_all()
        log.info("VF given to a virtual machine", vf=vf, mac=settings.mac)
        return tap

    def adjust(self, vf: VfId, settings: VfSettings, *, holder: str = "") -> None:  # noqa: ARG002
        self._refuse_unsupported(vf, settings)
        with Netlink(self._home) as netlink:
            link = netlink.link(vf.kernel_name)
            if link is None or not _is_given(link):
                raise Conflict(f"VF {vf} is with no virtual machine")
            if settings.mtu not in (None, link.mtu):
                netlink.set_link(link.index, mtu=settings.mtu)

    def _refuse_in_use(self, vf: VfId, link: Link | None) -> None:
        if link is not None and _is_given(link) and (pids := taps.users_of_macvtap(self._home, link)):
            raise Retryable(f"VF {vf} is still in use by process {', '.join(map(str, pids))}")

    def watch(self, stop: threading.Event) -> Iterator[tuple[Pf, ...]]:
        before: tuple[Pf, ...] | None = None
        while not stop.is_set():
            if (now := self.scan()) != before:
                before = now
                yield now
            stop.wait(_LOOK_SECONDS)

    def counters(self) -> Mapping[VfId, VfCounters]:
        """A macvlan's are the guest's own; the PF keeps none."""
        return {}

    def take_back(self, vf: VfId) -> None:
        with Netlink(self._home) as netlink:
            self._take_back(netlink, vf)
        log.info("VF taken back", vf=vf)

    def _take_back(self, netlink: Netlink, vf: VfId) -> Link:
        """Deleting and making it anew restores everything at once, and takes 16 ms where moving takes 25."""
        pf = netlink.need(vf.pf)
        link = netlink.link(vf.kernel_name)
        if link is not None and self._is_as_made(link, vf):
            return link
        self._delete(netlink, vf)
        return self._make(netlink, pf, vf)

    def _delete(self, netlink: Netlink, vf: VfId) -> None:
        """Wherever it is."""
        if (link := netlink.link(vf.kernel_name)) is not None:
            netlink.delete_link(link.index)
        elif (away := self._find_away(vf)) is not None:
            self._delete_away(*away)

    def _delete_away(self, guest: Path, link: Link) -> None:
        try:
            with Netlink(guest) as netlink:
                netlink.delete_link(link.index)
        except namespaces.NoNamespace:
            log.debug("guest ended meanwhile, its VF with it", link=link.name)

    def _make(self, netlink: Netlink, pf: Link, vf: VfId) -> Link:
        netlink.add_macvlan(vf.kernel_name, link=pf.index, mac=self._factory_mac(vf))
        link = netlink.need(vf.kernel_name)
        netlink.set_link(link.index, tag=self._free_tag(vf))
        return link

    def _is_as_made(self, link: Link, vf: VfId) -> bool:
        return not _is_given(link) and link.tag == self._free_tag(vf) and link.mac == self._factory_mac(vf)

    def _find_away(self, vf: VfId, tag: Tag | None = None) -> tuple[Path, Link] | None:
        """Look into every namespace of the machine: only the kernel knows where a guest has put it."""
        wanted = tag or self._free_tag(vf)

        def look(namespace: Path) -> tuple[Path, Link] | None:
            for link in self._links_of_guest(namespace):
                if wanted == link.tag or (tag is None and wanted.is_same(link.tag)):
                    return namespace, link
            return None

        return namespaces.search(look)

    def _all_away(self) -> frozenset[str]:
        """Ids of all VFs of the fabric that are in a guest, in one go."""
        found: set[str] = set()

        def look(namespace: Path) -> None:
            tags = [link.tag for link in self._links_of_guest(namespace)]
            found.update(tag.id for tag in tags if tag and (tag.fabric, tag.kind) == (self._fabric, "vf"))

        namespaces.search(look)
        return frozenset(found)

    def _links_of_guest(self, namespace: Path) -> list[Link]:
        if namespaces.inode(namespace) == namespaces.inode(self._home):
            return []
        with Netlink(namespace) as netlink:
            return netlink.links()

    def _is_in(self, guest: Path, tag: Tag) -> bool:
        with Netlink(guest) as netlink:
            return any(link.tag == tag for link in netlink.links())

    def _free_tag(self, vf: VfId) -> Tag:
        return Tag(self._fabric, "vf", str(vf))

    def _factory_mac(self, vf: VfId) -> str:
        """The same VF always has the same MAC of its own, locally administered."""
        octets = hashlib.sha256(f"{self._fabric}/{vf}".encode()).digest()[:5]
        return ":".join(f"{octet:02x}" for octet in (0x02, *octets))

    def _refuse_unsupported(self, vf: VfId, settings: VfSettings) -> None:
        # What would let a guest see or do more than it may is refused. A macvlan always follows the PF's link,
        # takes any source MAC and no foreign destination MAC: spoofchk, trust and link_state have nothing to switch.
        if settings.vlan:
            raise Terminal(f"VF {vf} cannot have VLAN {settings.vlan}: a software PF does not tag")
        if settings.min_tx_rate or settings.max_tx_rate:
            raise Terminal(f"VF {vf} cannot have a tx rate: a software PF does not limit")


def _is_given(link: Link) -> bool:
    """To a virtual machine, or it was meant to be."""
    return link.kind == "macvtap"


def _vfs(pf: Link | None) -> list[VfId]:
    if pf is None or pf.tag is None:
        return []
    return [VfId(pf.name, index) for index in range(pf.tag.detail or 0)]
