"""Gives a host's PFs their VFs and takes them away again: the kernel's `sriov_numvfs`, the VFs' driver, the PF up.

Works on PCI devices as sysfs shows them, for a PF that has no driver yet has no link. Knows nothing of who runs it.
"""

import re
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from msgspec import Struct

from hydria.base import log, process
from hydria.base.errors import Conflict, Invalid, NotFound, Terminal
from hydria.sriov.inventory import Vf
from hydria.sriov.netlink import Netlink

logger = log.Logger(__name__)

SYSFS = Path("/sys")

VFS_SECONDS = 20.0
"""How long VFs may take to get their driver: each of igb's 7 takes 0.2 s, bigger NICs have up to 256."""

_LOOK_SECONDS = 0.02
_PCI_NETWORK = "0x02"
_PCI_ADDRESS = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", re.IGNORECASE)


class Device(Struct, frozen=True, kw_only=True):
    """A PCI network device that can have VFs."""

    pci_address: str
    netdev: str | None
    """None: it has no driver, or a driver that makes no link, or its link is in another network namespace."""
    driver: str | None
    totalvfs: int
    numvfs: int
    autoprobe: bool
    """The kernel looks for a driver for new VFs."""
    is_up: bool = False

    def __str__(self) -> str:
        return f"{self.netdev} ({self.pci_address})" if self.netdev else self.pci_address


def devices(sysfs: Path = SYSFS) -> list[Device]:
    """All that can have VFs, by PCI address."""
    paths = sorted((sysfs / "bus/pci/devices").glob("*"))
    return [_device(path) for path in paths if (path / "sriov_totalvfs").exists() and _is_nic(path)]


def find(name: str, sysfs: Path = SYSFS) -> Device:
    """By the name of its link or by its PCI address. Raises NotFound, or Invalid for what cannot have VFs."""
    path = _path(name, sysfs)
    address = path.name
    called = name if name == address else f"{name} ({address})"
    if (path / "physfn").exists():
        pf = (path / "physfn").resolve()
        raise Invalid(f"{called} is a VF of {_device(pf)}: name the PF.", field="pf")
    if not (path / "sriov_totalvfs").exists():
        raise Invalid(f"{called} has no SR-IOV capability.{_capable(sysfs)}", field="pf")
    if not _is_nic(path):
        raise Invalid(f"{called} is no network device, though it has SR-IOV.{_capable(sysfs)}", field="pf")
    return _device(path)


def plan(device: Device, numvfs: int, vfs: Sequence[Vf]) -> tuple[int, ...]:
    """The numbers to write into `sriov_numvfs`, one after another; none: it has that many. `vfs` as they are now.

    Raises Invalid for a number that the device cannot have, Conflict while VFs that would vanish are in use.
    """
    if numvfs < 0:
        raise Invalid(f"{device} cannot have {numvfs} VFs.", field="vfs")
    if numvfs > device.totalvfs:
        limit = f"at most {device.totalvfs}" if device.totalvfs else "none: SR-IOV is switched off in its firmware"
        raise Invalid(f"{device} cannot have {numvfs} VFs: {limit} (sriov_totalvfs).", field="vfs")
    if numvfs and device.driver is None:
        modules = f"modprobe $(cat /sys/bus/pci/devices/{device.pci_address}/modalias)"
        raise Invalid(f"{device} has no driver, without which it has no VFs: {modules}", field="pf")
    if numvfs == device.numvfs:
        return ()
    if held := in_use(vfs):
        raise Conflict(f"{device} keeps its {device.numvfs} VFs, because some are in use: {'; '.join(held)}.")
    # The kernel answers EBUSY to any step from one number of VFs to another that is not 0.
    return (0, numvfs) if device.numvfs and numvfs else (numvfs,)


def in_use(vfs: Sequence[Vf]) -> list[str]:
    """Who has which, in words; whoever changes the number of VFs would take them away from under them."""
    held = (vf for vf in vfs if vf.holder or vf.foreign or not vf.at_home)
    return [f"{vf.netdev or vf.pci_address or vf.id} by {vf.holder or 'somebody unknown'}" for vf in held]


def set_numvfs(device: Device, steps: Sequence[int], sysfs: Path = SYSFS) -> None:
    """Take the steps of `plan`; when one fails, go back to what there was. Raises Terminal."""
    with ExitStack() as undo:
        if steps and device.numvfs:
            undo.callback(_restore, device, sysfs)
        for number in steps:
            _write_numvfs(device, number, sysfs)
        undo.pop_all()
    if steps:
        logger.info("number of VFs set", pf=device, numvfs=steps[-1], before=device.numvfs)


def await_drivers(device: Device, numvfs: int, sysfs: Path = SYSFS, *, seconds: float = VFS_SECONDS) -> list[str]:
    """Wait until each VF has its driver; gives the PCI addresses of those that have none by then.

    Where no udevd runs nobody loads the VFs' driver for the kernel, so we ask for it.
    """
    vfs = [_pci(device, sysfs) / f"virtfn{index}" for index in range(numvfs)]
    if not device.autoprobe:
        return [vf.resolve().name for vf in vfs if not (vf / "driver").exists()]
    for alias in {_read(vf / "modalias") for vf in vfs} - {""}:
        with suppress(process.ProcessFailed):  # a driver built into the kernel needs no modprobe
            process.run(["modprobe", "--quiet", "--", alias])
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while missing := [vf.resolve().name for vf in vfs if not (vf / "driver").exists()]:
        if time.monotonic() > deadline:
            return missing
        pause.wait(_LOOK_SECONDS)
    return []


def bring_up(device: Device) -> None:
    """VFs carry nothing while their PF is down. May run twice. Raises Terminal where it has no link here."""
    if device.netdev is None:
        raise Terminal(f"{device} cannot be brought up: it has no network device in this namespace")
    with Netlink() as netlink:
        netlink.set_link(netlink.need(device.netdev).index, up=True)


def _restore(device: Device, sysfs: Path) -> None:
    try:
        if _number(_pci(device, sysfs) / "sriov_numvfs") == 0:
            _write_numvfs(device, device.numvfs, sysfs)
    except Terminal:
        logger.exception("VFs could not be made again", pf=device, numvfs=device.numvfs)


def _write_numvfs(device: Device, number: int, sysfs: Path) -> None:
    try:
        (_pci(device, sysfs) / "sriov_numvfs").write_text(str(number))
    except OSError as error:
        raise Terminal(
            f"Giving {device} {number} VFs: {error.strerror} (sriov_numvfs, driver {device.driver or 'none'};"
            " dmesg may say more)"
        ) from error


def _path(name: str, sysfs: Path) -> Path:
    if match := _PCI_ADDRESS.fullmatch(name):
        path = sysfs / "bus/pci/devices" / f"{match[1] or '0000'}:{match[2]}".lower()
        if path.exists():
            return path
        raise NotFound(f"There is no PCI device {name}.{_capable(sysfs)}")
    link = sysfs / "class/net" / name
    if not name or "/" in name or not link.exists():
        raise NotFound(f"There is no network device {name or repr(name)}.{_capable(sysfs)}")
    device = (link / "device").resolve()
    if not (sysfs / "bus/pci/devices" / device.name).exists():
        raise Invalid(f"{name} has no SR-IOV capability: it is no PCI device.{_capable(sysfs)}", field="pf")
    return sysfs / "bus/pci/devices" / device.name


def _capable(sysfs: Path) -> str:
    names = ", ".join(str(device) for device in devices(sysfs))
    return f" PFs here: {names}." if names else " This machine has no NIC with SR-IOV."


def _device(path: Path) -> Device:
    netdev = next((entry.name for entry in sorted((path / "net").glob("*"))), None)
    # Hexadecimal; bit 0 is IFF_UP (include/uapi/linux/if.h).
    flags = _read(path / "net" / netdev / "flags") if netdev else ""
    return Device(
        pci_address=path.resolve().name,
        netdev=netdev,
        driver=(path / "driver").resolve().name if (path / "driver").exists() else None,
        totalvfs=_number(path / "sriov_totalvfs"),
        numvfs=_number(path / "sriov_numvfs"),
        # Kernels before 4.12 have no such file, and always do it.
        autoprobe=_read(path / "sriov_drivers_autoprobe") != "0",
        is_up=bool(int(flags or "0", 16) & 1),
    )


def _pci(device: Device, sysfs: Path) -> Path:
    return sysfs / "bus/pci/devices" / device.pci_address


def _is_nic(path: Path) -> bool:
    return _read(path / "class").startswith(_PCI_NETWORK)


def _number(path: Path) -> int:
    return int(_read(path) or 0)


def _read(path: Path) -> str:
    """Empty: there is no such attribute, or the device went away, or its driver does not say."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
