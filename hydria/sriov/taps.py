"""Queues of taps and macvtaps, by which virtual machines have NICs. Knows nothing of ports and VFs."""

import contextlib
import fcntl
import os
import stat
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

from hydria.base import process
from hydria.base.errors import Retryable, Terminal
from hydria.sriov import detached, namespaces
from hydria.sriov.netlink import Link
from hydria.sriov.nics import Tap

_TUN = Path("/dev/net/tun")
_CLASS = "class/macvtap"

# linux/if_tun.h
_TUNSETIFF = 0x400454CA
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_IFREQ = struct.Struct("16sH22x")


def create(namespace: Path, name: str) -> Tap:
    """Make the tap `name` in that namespace; it ends with whoever closes its queue last.

    Raises Terminal where this kernel has no taps, Retryable (EBUSY) where somebody has one of that name.
    """
    _ensure_tun()
    # Which namespace a tap is made in is settled when the device is opened, not by TUNSETIFF.
    return namespaces.inside(namespace, lambda: _queue(_TUN, name, None))


def open_macvtap(namespace: Path, link: Link) -> Tap:
    """One more queue of a macvtap that is in that namespace: frames are spread over all that are open."""

    def work() -> Tap:
        device = _device(link)
        # A node of our own: /dev/tapN is named after the ifindex, which is one per namespace, and may mean another's.
        with detached.mounted("tmpfs") as top:
            os.mknod("tap", stat.S_IFCHR | 0o600, device, dir_fd=top)
            return _queue("tap", link.name, top)

    return namespaces.inside(namespace, work)


def macvtaps(namespace: Path) -> frozenset[int]:
    """By ifindex, all macvtaps of that namespace: 0.2 ms, where asking netlink for the kind of each link takes 20."""

    def look() -> frozenset[int]:
        with contextlib.ExitStack() as stack:
            top = stack.enter_context(detached.mounted("sysfs"))
            try:
                entries = stack.enter_context(os.scandir(stack.enter_context(_opened(_CLASS, top))))
            except FileNotFoundError:
                # The module is not loaded: nobody has made one yet.
                return frozenset()
            return frozenset(int(entry.name.removeprefix("tap")) for entry in entries)

    return namespaces.inside(namespace, look)


def users_of_macvtap(namespace: Path, link: Link) -> list[int]:
    """Processes that have a queue of it."""
    device = namespaces.inside(namespace, lambda: _device(link))
    return namespaces.holders(lambda fd: fd.stat().st_rdev == device)


def users(names: Collection[str]) -> list[int]:
    """Processes that have a queue of a tap of one of these names, in whichever namespace that is."""
    lines = {f"iff:\t{name}" for name in names}

    def is_one(fd: Path) -> bool:
        if fd.readlink() != _TUN:
            return False
        return not lines.isdisjoint((fd.parent.parent / "fdinfo" / fd.name).read_text().splitlines())

    return namespaces.holders(is_one)


def _ensure_tun() -> None:
    if not _TUN.exists():
        # Systems without udev's static nodes have the device only once the module is there.
        with contextlib.suppress(process.ProcessFailed):
            process.run(["modprobe", "tun"])
    if not _TUN.exists():
        raise Terminal(f"Making a tap: there is no {_TUN} (modprobe tun failed)")


def _device(link: Link) -> int:
    """Its character device, of which only a sysfs of its own namespace tells."""
    try:
        with detached.mounted("sysfs") as top, _opened(f"{_CLASS}/tap{link.index}/dev", top) as file:
            major, _, minor = os.read(file, 64).decode().strip().partition(":")
    except OSError as error:
        raise Retryable(f"Looking for the device of macvtap {link.name}: {error.strerror}") from error
    return os.makedev(int(major), int(minor))


def _queue(device: str | Path, name: str, directory: int | None) -> Tap:
    """With virtio headers, as QEMU expects of a tap that it is given."""
    with contextlib.ExitStack() as undo:
        try:
            fd = os.open(device, os.O_RDWR | os.O_CLOEXEC, dir_fd=directory)
            undo.callback(os.close, fd)
            fcntl.ioctl(fd, _TUNSETIFF, _IFREQ.pack(name.encode(), _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR))
        except OSError as error:
            raise Retryable(f"Opening a queue of {name}: {error.strerror}") from error
        undo.pop_all()
    return Tap(fd)


@contextlib.contextmanager
def _opened(path: str, directory: int) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)
