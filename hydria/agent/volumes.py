"""Block devices: which of them has a file system with a given label, and mounting it. Needs no udev.

Read from the superblocks, because early in a boot there is no /dev/disk/by-label yet.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from hydria.base.errors import Retryable

DEVICES = Path("/sys/class/block")
PLACE = Path("/run/hydria-config-drive")
_UNLIKELY = ("ram", "loop", "zram", "fd")
_PVD = 0x8000
"""Of ISO 9660: sixteen sectors are left to boot code; the primary volume descriptor is the first after them."""
_READ = _PVD + 0x800
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


class MountFailed(Retryable):
    """The kernel refused; the text says what."""


class Volume(Struct, frozen=True):
    device: Path
    kind: str
    """As mount(2) calls the file system."""
    label: str


def find(label: str, devices: Path = DEVICES, nodes: Path = Path("/dev")) -> Volume | None:
    """The first by name. Labels are compared as cloud-init does: FAT's may be in capitals."""
    for entry in sorted(devices.iterdir()):
        if not entry.name.startswith(_UNLIKELY):
            volume = read(nodes / entry.name)
            if volume is not None and volume.label.casefold() == label.casefold():
                return volume
    return None


def read(device: Path) -> Volume | None:
    """None: it cannot be read, as a drive without a medium, or has neither file system."""
    try:
        with device.open("rb", buffering=0) as file:
            start = file.read(_READ)
    except OSError:
        return None
    for kind, label in (("iso9660", _iso9660(start)), ("vfat", _vfat(start))):
        if label is not None:
            return Volume(device, kind, label)
    return None


def _iso9660(start: bytes) -> str | None:
    """ECMA-119, 8.4: type 1, "CD001", version 1; the volume identifier is padded with spaces."""
    descriptor = start[_PVD:]
    return _text(descriptor[40:72]) if descriptor[:7] == b"\x01CD001\x01" else None


def _vfat(start: bytes) -> str | None:
    """The boot sector's extended part (signature 0x29): of FAT12 and FAT16 it begins at 36, of FAT32 at 64."""
    if start[510:512] != b"\x55\xaa":
        return None
    for extended in (36, 64):
        if start[extended + 2 : extended + 3] == b"\x29" and start[extended + 18 : extended + 21] == b"FAT":
            return _text(start[extended + 7 : extended + 18])
    return None


def _text(label: bytes) -> str:
    return label.decode("ascii", errors="replace").rstrip(" \0")


@contextlib.contextmanager
def mounted(volume: Volume) -> Iterator[Path]:
    """Read-only, in a directory that root alone can enter."""
    flags = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    PLACE.mkdir(mode=0o700, exist_ok=True)
    place, source = os.fsencode(PLACE), os.fsencode(volume.device)
    if _libc.mount(source, place, volume.kind.encode(), ctypes.c_ulong(flags), None) != 0:
        raise MountFailed(f"Mounting {volume.device} ({volume.kind}): {os.strerror(ctypes.get_errno())}")
    try:
        yield PLACE
    finally:
        _libc.umount2(place, _MNT_DETACH)
        PLACE.rmdir()
