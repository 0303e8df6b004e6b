"""PCI devices that can have VFs, as sysfs shows them, and the files that bind drivers. Knows nothing of netlink.

Everything is below one root, so that a directory with a few files is a machine to the tests.
"""

import errno
import os
import re
from pathlib import Path

from msgspec import Struct

from hydria.base.errors import Retryable

ROOT = Path("/sys")

_REPRESENTOR = re.compile(r"(c\d+)?pf\d+(vf|sf)\d+|pf\d+")
"""phys_port_name of what a switchdev NIC shows for a function of its own: it is no wire."""


_NET_ADDR_RANDOM = 1


class SysfsFailed(Retryable):
    """The kernel did not take what was written; `errno` says how."""

    def __init__(self, attempt: str, error: OSError) -> None:
        super().__init__(f"{attempt}: {error.strerror}")
        self.errno = error.errno or 0


class VfDevice(Struct, frozen=True):
    index: int
    address: str
    driver: str | None = None
    override: str | None = None
    """The only driver that may bind it."""
    netdev: str | None = None
    """None: it has none, or it is in another network namespace."""
    random_mac: str | None = None
    """One that its driver has made up, because its PF gave it none when it was bound."""
    group: int | None = None
    """Its IOMMU group."""
    incarnation: int = 0
    """Another number for a VF that is at the same address after all VFs were removed and made anew."""


class PfDevice(Struct, frozen=True, kw_only=True):
    address: str
    driver: str | None = None
    netdev: str | None = None
    numa_node: int | None = None
    totalvfs: int = 0
    vfs: tuple[VfDevice, ...] = ()


class Sysfs:
    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._pci = root / "bus/pci"

    def pfs(self) -> tuple[PfDevice, ...]:
        """Every network card that could have VFs, by address."""
        files = sorted(self._pci.glob("devices/*/sriov_totalvfs"))
        # 0x02....: network controllers. Storage and accelerators have VFs too.
        return tuple(_pf(file.parent) for file in files if (_text(file.parent / "class") or "0x02").startswith("0x02"))

    def vf(self, address: str) -> VfDevice | None:
        """One VF, read anew; its index is not known here. None: it is gone."""
        device = self._pci / "devices" / address
        return _vf(-1, device) if device.is_dir() else None

    def speed(self, netdev: str) -> int | None:
        """Mbit/s."""
        # -1 or EINVAL while there is no link.
        found = _number(self._root / "class/net" / netdev / "speed")
        return found if found is not None and found > 0 else None

    def has_driver(self, driver: str) -> bool:
        return (self._pci / "drivers" / driver).is_dir()

    def group_members(self, address: str) -> list[tuple[str, str | None]]:
        """Address and driver of every device of this one's IOMMU group."""
        members = self._pci / "devices" / address / "iommu_group/devices"
        return [(device.name, _link_name(device / "driver")) for device in sorted(members.glob("*"))]

    def unbind(self, address: str) -> None:
        """May run twice."""
        if driver := _link_name(self._pci / "devices" / address / "driver"):
            file = self._pci / "drivers" / driver / "unbind"
            # ENODEV: somebody was faster.
            _write(f"Unbind {address} from {driver}", file, address, fine=(errno.ENODEV,))

    def bind(self, address: str, driver: str) -> None:
        """May run twice."""
        if _link_name(self._pci / "devices" / address / "driver") != driver:
            _write(f"Bind {address} to driver {driver}", self._pci / "drivers" / driver / "bind", address)

    def probe(self, address: str) -> None:
        """Let the kernel find a driver. None that fits is no error."""
        _write(f"Find a driver for {address}", self._pci / "drivers_probe", address, fine=(errno.EINVAL, errno.ENODEV))

    def override(self, address: str, driver: str | None) -> None:
        """Let no other driver have it; None lets any."""
        file = self._pci / "devices" / address / "driver_override"
        _write(f"Set driver_override of {address} to {driver}", file, driver or "\n")


def is_representor(phys_port_name: str | None) -> bool:
    """Whether a link with this phys_port_name stands for another function of the NIC.

    >>> is_representor("pf0vf3"), is_representor("p0"), is_representor(None)
    (True, False, False)
    """
    return _REPRESENTOR.fullmatch(phys_port_name or "") is not None


def _pf(device: Path) -> PfDevice:
    numa_node = _number(device / "numa_node")
    return PfDevice(
        address=device.name,
        driver=_link_name(device / "driver"),
        netdev=_netdev(device),
        # -1: the machine has no NUMA, or its firmware does not say.
        numa_node=numa_node if numa_node is not None and numa_node >= 0 else None,
        totalvfs=_number(device / "sriov_totalvfs") or 0,
        vfs=tuple(_vfs(device)),
    )


def _vfs(pf: Path) -> list[VfDevice]:
    links = ((int(link.name.removeprefix("virtfn")), link) for link in pf.glob("virtfn*"))
    found = [(index, address) for index, link in sorted(links) if (address := _link_name(link))]
    return [_vf(index, pf.parent / address) for index, address in found]


def _vf(index: int, device: Path) -> VfDevice:
    override = _text(device / "driver_override")
    group = _link_name(device / "iommu_group")
    return VfDevice(
        index=index,
        address=device.name,
        driver=_link_name(device / "driver"),
        override=None if override in (None, "", "(null)") else override,
        netdev=(netdev := _netdev(device)),
        random_mac=_random_mac(device / "net" / netdev) if netdev else None,
        group=int(group) if group else None,
        incarnation=_incarnation(device),
    )


def _incarnation(device: Path) -> int:
    try:
        # sysfs numbers its directories once and for all: a device that was removed and came back has a new number.
        return device.stat().st_ino
    except OSError:
        return 0


def _netdev(device: Path) -> str | None:
    """Its own: a switchdev NIC keeps the representors of its functions in the same directory."""
    for netdev in sorted((device / "net").glob("*")):
        if not is_representor(_text(netdev / "phys_port_name")):
            return netdev.name
    return None


def _random_mac(netdev: Path) -> str | None:
    return _text(netdev / "address") if _number(netdev / "addr_assign_type") == _NET_ADDR_RANDOM else None


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        # Also EOPNOTSUPP and EINVAL: that is how drivers say that they do not know.
        return None


def _number(file: Path) -> int | None:
    try:
        return int(_text(file) or "")
    except ValueError:
        return None


def _link_name(link: Path) -> str | None:
    try:
        return link.readlink().name
    except OSError:
        return None


def _write(attempt: str, file: Path, text: str, *, fine: tuple[int, ...] = ()) -> None:
    try:
        # Not Path.write_text: these files exist or the kernel lacks them, and creating one says EACCES, not ENOENT.
        fd = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as error:
        if error.errno not in fine:
            raise SysfsFailed(attempt, error) from error
