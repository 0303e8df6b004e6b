"""A disk image's format and partition, and its file system: by qemu-img, without mounting and without loop devices."""

import contextlib
import shutil
import struct
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from hydria.base import process
from hydria.base.errors import Invalid, Terminal
from hydria.image.filesystem import Ext4, FileSystem, Tar

PROGRAMS = {"qemu-img": "qemu-utils", "debugfs": "e2fsprogs"}
"""With the Debian packages that have them."""
SECTOR = 512
_TABLE, _ENTRY, _ENTRIES = 446, 16, 4
"""Of a master boot record: where its partition table begins, how long each entry is, how many there are."""
_SIGNATURE = b"\x55\xaa"
_LINUX = 0x83
_SECONDS = 600.0
"""To unpack a compressed image takes seconds; a slow disk more."""
_LEAKS_ONLY = 3
"""Exit status of qemu-img check: space is wasted, nothing is wrong."""
_FORMATS = ("raw", "qcow2", "vpc")
"""qemu-img's names of those that the build makes: VHD is vpc."""


class Partition(Struct, kw_only=True, frozen=True):
    start: int
    """Bytes from the disk's beginning."""
    size: int
    type: int
    bootable: bool = False


class Disk(Struct, kw_only=True, frozen=True):
    path: Path
    format: str
    """qemu-img's name, or tar."""
    file_size: int
    virtual_size: int
    partitions: tuple[Partition, ...] = ()
    """None: a tar, or one file system without a partition table."""


class _Info(Struct, rename="kebab"):
    format: str
    virtual_size: int
    backing_filename: str = ""
    format_specific: dict[str, object] = {}


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[Disk, FileSystem]]:
    """What is unpacked for it lies in a temporary directory (TMPDIR) meanwhile. Raises Invalid, Terminal."""
    if not path.is_file():
        raise Invalid(f"Reading image {path}: there is no such file.", field="file")
    if _is_tar(path):
        size = path.stat().st_size
        yield Disk(path=path, format="tar", file_size=size, virtual_size=size), Tar(path)
        return
    require(PROGRAMS)
    info = _info(path)
    if info.format == "qcow2":
        _refuse_broken(path)
    with tempfile.TemporaryDirectory(prefix="hydria-image-") as directory:
        head = Path(directory) / "head"
        # A sector is enough to refuse what is no image: nothing large is unpacked for it.
        _qemu_img(path, "dd", "-f", info.format, "-O", "raw", f"bs={SECTOR}", "count=1", f"if={path}", f"of={head}")
        found = partitions(head.read_bytes())
        disk = Disk(
            path=path, format=info.format, file_size=path.stat().st_size, virtual_size=info.virtual_size,
            partitions=found,
        )  # fmt: skip
        raw = path
        if info.format != "raw":
            raw = Path(directory) / "disk"
            _qemu_img(path, "convert", "-f", info.format, "-O", "raw", str(path), str(raw))
        yield disk, Ext4(raw, _root(disk).start)


def partitions(sector: bytes) -> tuple[Partition, ...]:
    """Of a disk's first sector; none where that is no master boot record."""
    if len(sector) < SECTOR or sector[SECTOR - 2 : SECTOR] != _SIGNATURE:
        return ()
    found = []
    for number in range(_ENTRIES):
        status, type_, start, count = struct.unpack_from("<B3xB3xII", sector, _TABLE + number * _ENTRY)
        if type_:
            found.append(Partition(start=start * SECTOR, size=count * SECTOR, type=type_, bootable=bool(status & 0x80)))
    return tuple(found)


def require(programs: dict[str, str]) -> None:
    missing = {program: package for program, package in programs.items() if shutil.which(program) is None}
    if missing:
        raise Terminal(
            f"There is no {', '.join(missing)} on this machine. "
            f"Run scripts/setup --image, or install the packages {' '.join(sorted(set(missing.values())))}."
        )


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except OSError as error:
        raise Invalid(f"Reading image {path}: {error.strerror}.", field="file") from error


def _info(path: Path) -> _Info:
    done = _qemu_img(path, "info", "--output=json", str(path))
    info = msgspec.json.decode(done, type=_Info)
    if info.format not in _FORMATS:
        raise Invalid(f"Reading image {path}: its format {info.format} is none of {', '.join(_FORMATS)} and tar.")
    # Such an image would show us other files of this machine.
    if info.backing_filename or "data-file" in msgspec.json.encode(info.format_specific).decode():
        raise Invalid(f"Reading image {path}: its data is in other files; an amphora image stands by itself.")
    return info


def _refuse_broken(path: Path) -> None:
    """What is missing at the end of a qcow2 file (a transfer that broke off) would be read as zeros."""
    done = process.run(["qemu-img", "check", "-q", "-f", "qcow2", str(path)], check=False, timeout=_SECONDS)
    if done.status not in (0, _LEAKS_ONLY):
        raise Invalid(f"Reading image {path}: qemu-img check finds it broken. It may have been copied in part only.")


def _qemu_img(path: Path, command: str, *arguments: str) -> str:
    try:
        return process.run(["qemu-img", command, *arguments], timeout=_SECONDS).stdout
    except process.ProcessFailed as error:
        why = error.output.strip().splitlines()[-1:] or ["it says nothing"]
        raise Invalid(f"Reading image {path}: qemu-img {command} cannot ({why[0]}).") from error


def _root(disk: Disk) -> Partition:
    linux = [partition for partition in disk.partitions if partition.type == _LINUX]
    if len(linux) != 1:
        raise Invalid(
            f"Reading image {disk.path}: it has {len(linux)} Linux partitions; an amphora image has one. It is none."
        )
    if linux[0].start + linux[0].size > disk.virtual_size:
        raise Invalid(f"Reading image {disk.path}: its partition ends after the disk. It is cut off.")
    return linux[0]
