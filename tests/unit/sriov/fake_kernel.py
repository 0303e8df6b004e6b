"""A kernel with PFs, VFs, drivers and namespaces that behaves as Linux with igb does, and can stop at any call."""

import errno
import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import structs

from hydria.sriov import namespaces
from hydria.sriov.inventory import VfCounters
from hydria.sriov.kernel import VFIO, Kernel, Place
from hydria.sriov.netlink import Link, NetlinkFailed
from hydria.sriov.netlink.vfs import Setting, VfState
from hydria.sriov.records import Record, Records
from hydria.sriov.sysfs import PfDevice, SysfsFailed, VfDevice
from hydria.sriov.tag import Tag

HOME = 1
"""Inode of the namespace that the PFs are in."""


class Killed(BaseException):
    """As SIGKILL: nobody catches it, and nothing that happens on the way out reaches kernel or disk."""


@dataclass
class Netdev:
    index: int
    name: str
    mac: str
    device: str
    mtu: int = 1500
    is_up: bool = False
    tag: Tag | None = None
    namespace: int = HOME
    random: bool = False
    addresses: tuple[str, ...] = ()
    master: int | None = None

    def link(self) -> Link:
        return Link(
            index=self.index,
            name=self.name,
            kind=None,
            mac=self.mac,
            mtu=self.mtu,
            tag=self.tag,
            master=self.master,
            link=None,
            is_up=self.is_up,
            has_carrier=self.is_up,
            device=self.device,
        )


@dataclass
class FakeVf:
    index: int
    address: str
    incarnation: int
    state: VfState = field(default_factory=VfState)
    driver: str | None = None
    override: str | None = None
    netdev: Netdev | None = None


@dataclass
class FakePf:
    name: str
    address: str
    index: int
    mac: str
    vfs: list[FakeVf]
    refuses: dict[Setting, int] = field(default_factory=dict)
    """Settings that its driver does not take, with the errno that it gives."""
    link_up: bool = True
    driver: str = "igb"


class FakeKernel(Kernel):
    def __init__(self) -> None:
        self._numbers = itertools.count(10)
        self.pfs_: dict[str, FakePf] = {}
        self.processes: dict[int, int] = {}
        """pid → inode of its network namespace."""
        self.inner: dict[int, int] = {}
        """Named namespace of a guest → namespace of the guest that it ends with."""
        self.drivers = {"igbvf"}
        self.iommu = True
        self.modprobe_works = True
        self.vfio_opened: set[int] = set()
        self.devlink_mode: dict[str, str] = {}
        self.calls = 0
        self._left: int | None = None
        self.dead = False

    # The end of the world, and its beginning

    def kill_after(self, calls: int) -> None:
        self._left = calls

    def restart(self) -> None:
        self._left, self.dead = None, False

    def step(self) -> None:
        if self.dead or self._left == 0:
            self.dead = True
            raise Killed
        self.calls += 1
        if self._left is not None:
            self._left -= 1

    def number(self) -> int:
        return next(self._numbers)

    # What people and guests do

    def add_pf(self, name: str, address: str, numvfs: int) -> FakePf:
        pf = FakePf(name, address, self.number(), f"52:54:00:00:00:{len(self.pfs_):02x}", [])
        self.pfs_[name] = pf
        self.set_numvfs(name, numvfs)
        return pf

    def set_numvfs(self, name: str, numvfs: int) -> None:
        pf = self.pfs_[name]
        bus = pf.address.rsplit(":", 1)[0]
        pf.vfs = [FakeVf(index, f"{bus}:10.{index}", self.number()) for index in range(numvfs)]
        for vf in pf.vfs:
            self._probe(vf, "igbvf")

    def recreate_pf(self, name: str) -> None:
        """As unbinding and binding the PF's driver does."""
        old = self.pfs_.pop(name)
        pf = self.add_pf(name, old.address, len(old.vfs))
        pf.mac, pf.refuses = old.mac, old.refuses

    def start_guest(self) -> int:
        pid, inode = self.number(), self.number()
        self.processes[pid] = inode
        return pid

    def make_inner(self, pid: int) -> int:
        inode = self.number()
        self.inner[inode] = self.processes[pid]
        return inode

    def end_guest(self, pid: int) -> None:
        """What it had comes home, down, under another name where its own is taken."""
        inode = self.processes.pop(pid)
        ended = {inode} | {inner for inner, outer in self.inner.items() if outer == inode}
        self.inner = {inner: outer for inner, outer in self.inner.items() if outer != inode}
        for netdev in [netdev for netdev in self.netdevs() if netdev.namespace in ended]:
            if netdev.name in self.names(HOME):
                netdev.name = f"dev{netdev.index}"
            netdev.namespace, netdev.is_up, netdev.addresses = HOME, False, ()

    def fake(self, pf: str, index: int) -> FakeVf:
        return self.pfs_[pf].vfs[index]

    def netdevs(self) -> list[Netdev]:
        return [vf.netdev for pf in self.pfs_.values() for vf in pf.vfs if vf.netdev is not None]

    def names(self, namespace: int) -> set[str]:
        pfs = set(self.pfs_) if namespace == HOME else set()
        return pfs | {netdev.name for netdev in self.netdevs() if netdev.namespace == namespace}

    # Kernel

    def pfs(self) -> tuple[PfDevice, ...]:
        self.step()
        return tuple(
            PfDevice(
                address=pf.address,
                driver=pf.driver,
                netdev=pf.name,
                totalvfs=7,
                vfs=tuple(self._device(vf) for vf in pf.vfs),
            )
            for pf in self.pfs_.values()
        )

    def vf(self, address: str) -> VfDevice | None:
        self.step()
        found = self._find(address)
        return self._device(found[1]) if found else None

    def links(self) -> list[Link]:
        self.step()
        pfs = [Netdev(pf.index, pf.name, pf.mac, pf.address, is_up=pf.link_up).link() for pf in self.pfs_.values()]
        return pfs + [netdev.link() for netdev in self.netdevs() if netdev.namespace == HOME]

    def addresses(self, link: int) -> list[str]:
        self.step()
        return list(self._netdev(link).addresses)

    def away(self, address: str) -> Place | None:
        self.step()
        found = (netdev for netdev in self.netdevs() if netdev.device == address and netdev.namespace != HOME)
        return next((Place(Path(f"/proc/{netdev.namespace}/ns/net"), netdev.link()) for netdev in found), None)

    def states(self, pf: int) -> Mapping[int, VfState]:
        self.step()
        return {vf.index: vf.state for vf in self._pf(pf).vfs}

    def counters(self, pf: int) -> Mapping[int, VfCounters]:
        self.step()
        return {vf.index: VfCounters(rx_packets=0) for vf in self._pf(pf).vfs}

    def speed(self, netdev: str) -> int | None:
        self.step()
        return 1000 if self.pfs_[netdev].link_up else None

    def eswitch_mode(self, address: str) -> None:
        self.step()
        return self.devlink_mode.get(address)  # type: ignore[return-value]

    def set_vf(self, pf: int, index: int, setting: Setting, state: VfState) -> None:
        self.step()
        found = self._pf(pf)
        if setting in found.refuses:
            raise NetlinkFailed("Set VF", found.refuses[setting], "refused")
        vf = found.vfs[index]
        names = {"rate": ("min_tx_rate", "max_tx_rate")}.get(setting, (setting,))
        values = {name: getattr(state.settings, name) for name in names}
        qos = state.vlan_qos if setting == "vlan" else vf.state.vlan_qos
        vf.state = VfState(settings=structs.replace(vf.state.settings, **values), vlan_qos=qos)

    def guest(self, pid: int) -> int:
        self.step()
        if pid not in self.processes:
            raise namespaces.NoNamespace(f"Opening network namespace of {pid}")
        return self.processes[pid]

    def set_link(
        self,
        link: int,
        *,
        name: str | None = None,
        up: bool | None = None,
        mtu: int | None = None,
        tag: Tag | None = None,
    ) -> None:
        self.step()
        netdev = self._netdev(link)
        if mtu is not None and not 68 <= mtu <= 9216:
            raise NetlinkFailed("Set link", errno.EINVAL, "Invalid argument (EINVAL)")
        if name is not None and name != netdev.name and name in self.names(HOME):
            raise NetlinkFailed("Set link", errno.EEXIST, "File exists (EEXIST)")
        netdev.name = name or netdev.name
        netdev.is_up = netdev.is_up if up is None else up
        netdev.mtu = mtu or netdev.mtu
        netdev.tag = tag or netdev.tag

    def move(self, link: Link, *, pid: int) -> None:
        self.step()
        netdev = self._netdev(link.index)
        if pid not in self.processes:
            raise namespaces.NoNamespace(f"Opening network namespace of {pid}")
        netdev.namespace, netdev.is_up, netdev.addresses = self.processes[pid], False, ()

    def unbind(self, address: str) -> None:
        self.step()
        _, vf = self._need(address)
        vf.driver, vf.netdev = None, None

    def bind(self, address: str, driver: str | None) -> Link | None:
        self.step()
        _, vf = self._need(address)
        driver = driver or vf.override or "igbvf"
        if driver not in self.drivers or vf.override not in (None, driver):
            raise SysfsFailed("Bind", OSError(errno.ENODEV, "No such device"))
        if vf.driver is None:
            self._probe(vf, driver)
        return vf.netdev.link() if vf.netdev else None

    def override(self, address: str, driver: str | None) -> None:
        self.step()
        self._need(address)[1].override = driver

    def ensure_vfio(self) -> bool:
        self.step()
        if self.modprobe_works:
            self.drivers.add(VFIO)
        return VFIO in self.drivers

    def vfio_users(self, group: int) -> list[int]:
        self.step()
        return [4711] if group in self.vfio_opened else []

    def group_members(self, address: str) -> list[tuple[str, str | None]]:
        self.step()
        return [(address, self._need(address)[1].driver)]

    def _probe(self, vf: FakeVf, driver: str) -> None:
        vf.driver = driver
        if driver == VFIO:
            return
        index = self.number()
        random = vf.state.settings.mac is None
        mac = vf.state.settings.mac or f"02:00:00:00:{index >> 8:02x}:{index & 255:02x}"
        taken = self.names(HOME)
        name = next(name for number in itertools.count() if (name := f"eth{number}") not in taken)
        vf.netdev = Netdev(index, name, mac, vf.address, random=random)
        # igbvf tells its PF, and igb then reports it as if the VF had been given it.
        vf.state = VfState(settings=structs.replace(vf.state.settings, mac=mac), vlan_qos=vf.state.vlan_qos)

    def _device(self, vf: FakeVf) -> VfDevice:
        home = vf.netdev if vf.netdev and vf.netdev.namespace == HOME else None
        return VfDevice(
            index=vf.index,
            address=vf.address,
            driver=vf.driver,
            override=vf.override,
            netdev=home.name if home else None,
            random_mac=home.mac if home and home.random else None,
            group=vf.index + 100 if self.iommu else None,
            incarnation=vf.incarnation,
        )

    def _find(self, address: str) -> tuple[FakePf, FakeVf] | None:
        return next(((pf, vf) for pf in self.pfs_.values() for vf in pf.vfs if vf.address == address), None)

    def _need(self, address: str) -> tuple[FakePf, FakeVf]:
        found = self._find(address)
        if found is None:
            raise SysfsFailed("Write", OSError(errno.ENOENT, "No such file or directory"))
        return found

    def _pf(self, index: int) -> FakePf:
        for pf in self.pfs_.values():
            if pf.index == index:
                return pf
        raise NetlinkFailed("Look for PF", errno.ENODEV, "No such device (ENODEV)")

    def _netdev(self, index: int) -> Netdev:
        for netdev in self.netdevs():
            if netdev.index == index and netdev.namespace == HOME:
                return netdev
        raise NetlinkFailed("Look for link", errno.ENODEV, "No such device (ENODEV)")


class MortalRecords(Records):
    """Records of a process that the kernel's `kill_after` also ends while it writes."""

    def __init__(self, kernel: FakeKernel, directory: Path) -> None:
        super().__init__(directory)
        self._kernel = kernel

    def write(self, address: str, record: Record) -> None:
        self._kernel.step()
        super().write(address, record)

    def drop(self, address: str) -> None:
        self._kernel.step()
        super().drop(address)


@contextmanager
def killed_after(kernel: FakeKernel, calls: int) -> Iterator[None]:
    """Run the block in a process that ends before its call number `calls`, if it gets there."""
    kernel.kill_after(calls)
    try:
        yield
    except Killed:
        pass
    finally:
        kernel.restart()
