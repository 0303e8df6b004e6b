"""The few things that the life of a VF needs of Linux, as one interface: sysfs, netlink and namespaces stand behind it.

Knows nothing of records, holders and what is right. The tests have a kernel of their own that behaves as this one.
"""

import contextlib
import errno
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct, structs

from hydria.base import process
from hydria.base.errors import Retryable
from hydria.sriov import namespaces
from hydria.sriov.inventory import VfCounters
from hydria.sriov.netlink import Link, Netlink, NetlinkFailed
from hydria.sriov.netlink import devlink as devlinks
from hydria.sriov.netlink.events import LinkEvents
from hydria.sriov.netlink.vfs import PfNetlink, Setting, VfState
from hydria.sriov.sysfs import PfDevice, Sysfs, VfDevice, is_representor
from hydria.sriov.tag import Tag

VFIO = "vfio-pci"

_NETDEV_SECONDS = 10.0
"""iavf makes its netdev only after its PF has answered, seconds after it was bound."""


class Place(Struct, frozen=True):
    """A link in a namespace that is not ours."""

    namespace: Path
    link: Link


class Kernel(Protocol):
    """Raises Retryable (NetlinkFailed, SysfsFailed) with an errno where Linux refuses."""

    def pfs(self) -> tuple[PfDevice, ...]: ...

    def vf(self, address: str) -> VfDevice | None: ...

    def links(self) -> list[Link]:
        """All that are where the PFs are."""
        ...

    def addresses(self, link: int) -> list[str]: ...

    def away(self, address: str) -> Place | None:
        """The netdev of a VF in whichever other namespace it is."""
        ...

    def states(self, pf: int) -> Mapping[int, VfState]: ...

    def counters(self, pf: int) -> Mapping[int, VfCounters]: ...

    def speed(self, netdev: str) -> int | None: ...

    def eswitch_mode(self, address: str) -> devlinks.Mode | None: ...

    def set_vf(self, pf: int, index: int, setting: Setting, state: VfState) -> None: ...

    def guest(self, pid: int) -> int:
        """Inode of a guest's network namespace."""
        ...

    def set_link(
        self,
        link: int,
        *,
        name: str | None = None,
        up: bool | None = None,
        mtu: int | None = None,
        tag: Tag | None = None,
    ) -> None: ...

    def move(self, link: Link, *, pid: int) -> None:
        """Into the namespace of process `pid`, under another name where the guest has that one already."""
        ...

    def unbind(self, address: str) -> None:
        """Its netdev goes too, in whichever namespace it is."""
        ...

    def bind(self, address: str, driver: str | None) -> Link | None:
        """To `driver`, or to any that fits; gives the new netdev, down, where the PFs are."""
        ...

    def override(self, address: str, driver: str | None) -> None: ...

    def ensure_vfio(self) -> bool:
        """Whether there is vfio-pci to bind to."""
        ...

    def vfio_users(self, group: int) -> list[int]:
        """Processes that have the devices of an IOMMU group: they would be waited for without end."""
        ...

    def group_members(self, address: str) -> list[tuple[str, str | None]]: ...


def link_of(links: Iterable[Link], device: PfDevice | VfDevice) -> Link | None:
    """Which of `links` is the netdev of `device`."""
    for link in links:
        # Before Linux 5.14 a link does not say what it is of; sysfs does, for the namespace that it was mounted in.
        is_its = link.name == device.netdev if link.device is None else link.device == device.address
        if is_its and not is_representor(link.port):
            return link
    return None


def without_random_mac(state: VfState, device: VfDevice) -> VfState:
    """What people have set: igb reports a MAC that the driver of the VF made up as if the VF was given it.

    Giving that back as a setting would keep the VF from ever having another one of its own.
    """
    if state.settings.mac is None or state.settings.mac != device.random_mac:
        return state
    return structs.replace(state, settings=structs.replace(state.settings, mac=None))


class Linux(Kernel):
    def __init__(self, sysfs: Sysfs, home: Path = namespaces.OWN) -> None:
        self._sysfs = sysfs
        self._home = home

    def pfs(self) -> tuple[PfDevice, ...]:
        return self._sysfs.pfs()

    def vf(self, address: str) -> VfDevice | None:
        return self._sysfs.vf(address)

    def links(self) -> list[Link]:
        with Netlink(self._home) as netlink:
            return netlink.links()

    def addresses(self, link: int) -> list[str]:
        with Netlink(self._home) as netlink:
            return netlink.addresses(link)

    def away(self, address: str) -> Place | None:
        home = namespaces.inode(self._home)

        def look(namespace: Path) -> Place | None:
            if namespaces.inode(namespace) == home:
                return None
            with Netlink(namespace) as netlink:
                found = (link for link in netlink.links() if link.device == address)
                return next((Place(namespace, link) for link in found), None)

        return namespaces.search(look)

    def states(self, pf: int) -> Mapping[int, VfState]:
        with PfNetlink(self._home) as netlink:
            return netlink.states(pf)

    def counters(self, pf: int) -> Mapping[int, VfCounters]:
        with PfNetlink(self._home) as netlink:
            return netlink.counters(pf)

    def speed(self, netdev: str) -> int | None:
        return self._sysfs.speed(netdev)

    def eswitch_mode(self, address: str) -> devlinks.Mode | None:
        return devlinks.eswitch_mode(self._home, address)

    def set_vf(self, pf: int, index: int, setting: Setting, state: VfState) -> None:
        with PfNetlink(self._home) as netlink:
            netlink.set_vf(pf, index, setting, state)

    def guest(self, pid: int) -> int:
        return namespaces.guest_inode(pid)

    def set_link(
        self,
        link: int,
        *,
        name: str | None = None,
        up: bool | None = None,
        mtu: int | None = None,
        tag: Tag | None = None,
    ) -> None:
        with Netlink(self._home) as netlink:
            netlink.set_link(link, name=name, up=up, mtu=mtu, tag=tag)

    def move(self, link: Link, *, pid: int) -> None:
        guest = namespaces.of_process(pid)
        with Netlink(self._home) as netlink:
            try:
                netlink.set_link(link.index, namespace=guest)
            except NetlinkFailed as error:
                if error.errno != errno.EEXIST:
                    raise
                # The guest names its NICs as it likes and finds this one by its MAC.
                netlink.set_link(link.index, namespace=guest, name="vf%d")

    def unbind(self, address: str) -> None:
        self._sysfs.unbind(address)

    def bind(self, address: str, driver: str | None) -> Link | None:
        with LinkEvents(self._home) as events:
            if driver is None:
                self._sysfs.probe(address)
            else:
                self._sysfs.bind(address, driver)
            return self._await_netdev(address, events)

    def _await_netdev(self, address: str, events: LinkEvents) -> Link | None:
        deadline = time.monotonic() + _NETDEV_SECONDS
        while (device := self._sysfs.vf(address)) is not None and device.driver not in (None, VFIO):
            if (link := link_of(self.links(), device)) is not None:
                return link
            self._fetch(address)
            if time.monotonic() > deadline:
                raise Retryable(f"Binding VF {address} to {device.driver}: no netdev within {_NETDEV_SECONDS:.0f} s")
            events.wait(0.1)
        return None

    def _fetch(self, address: str) -> None:
        """A driver makes a netdev in the machine's first namespace, which need not be where the PFs are."""
        first = namespaces.of_process(1)
        with contextlib.suppress(namespaces.NoNamespace):
            if namespaces.inode(first) == namespaces.inode(self._home):
                return
            with Netlink(first) as netlink:
                for link in netlink.links():
                    if link.device == address:
                        netlink.set_link(link.index, namespace=self._home)

    def override(self, address: str, driver: str | None) -> None:
        self._sysfs.override(address, driver)

    def ensure_vfio(self) -> bool:
        if not self._sysfs.has_driver(VFIO):
            # A machine without modprobe has the driver built in or not at all.
            with contextlib.suppress(process.ProcessFailed):
                process.run(["modprobe", VFIO])
        return self._sysfs.has_driver(VFIO)

    def vfio_users(self, group: int) -> list[int]:
        return namespaces.holders_of_file(Path(f"/dev/vfio/{group}"))

    def group_members(self, address: str) -> list[tuple[str, str | None]]:
        return self._sysfs.group_members(address)
