"""What a build needs of this machine: root, programs, space."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from hydria.base.errors import Terminal
from hydria.image import pack
from hydria.image.options import Format, Options

CACHE = Path("~/.cache/image-create")
"""diskimage-builder's own, and Octavia's."""
PROGRAMS = {
    "apt-get": "apt",
    "cpio": "cpio",
    "debugfs": "e2fsprogs",
    "depmod": "kmod",
    "dpkg-deb": "dpkg",
    "dumpe2fs": "e2fsprogs",
    "grub-mkimage": "grub-common",
    "lsattr": "e2fsprogs",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "modprobe": "kmod",
    "openssl": "openssl",
    "ps": "procps",
    "qemu-img": "qemu-utils",
    "sfdisk": "fdisk",
    "unshare": "util-linux",
}
"""What a build runs, with the Debian package that has it."""
FILES = {pack.GRUB / "boot.img": "grub-pc-bin"}

MIB = 1 << 20
WORK_SPACE = 3000 * MIB
"""The tree (800 MiB before what no amphora needs is taken out), packages, and the disk before it is compressed."""
CACHE_SPACE = 300 * MIB
OUTPUT_SPACE = {Format.QCOW2: 400 * MIB, Format.RAW: 800 * MIB, Format.VHD: 800 * MIB, Format.TAR: 700 * MIB}
"""With the kernel and the initramfs beside it."""


class Need(NamedTuple):
    what: str
    directory: Path
    size: int
    """Bytes."""
    file_system: int
    """Its device number: what lies on one is added up."""
    free: int
    """Bytes."""


def cache_directory(options: Options) -> Path:
    return (options.cache_directory or CACHE).expanduser().absolute()


def check_machine() -> None:
    """Raises Terminal, which says all that is missing and how to get it."""
    if os.geteuid() != 0:
        raise Terminal("Building an image: root is needed, to make a tree of root's files and change root into it.")
    if missing := missing_packages():
        packages = " ".join(missing)
        raise Terminal(
            f"Building an image: programs are missing; run: apt-get install --no-install-recommends {packages}"
        )


def missing_packages(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Of Debian, sorted."""
    search = environment.get("PATH", os.defpath)
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program, path=search) is None}
    return sorted(missing | {package for file, package in FILES.items() if not file.exists()})


def check_space(options: Options) -> None:
    """Raises Terminal, which says how much is needed where."""
    wanted = (
        ("the work directory", options.work_directory.absolute(), WORK_SPACE),
        ("the cache", _existing(cache_directory(options)), CACHE_SPACE),
        ("the output", options.output.absolute().parent, OUTPUT_SPACE[options.format]),
    )
    check_needs(Need(what, path, size, path.stat().st_dev, shutil.disk_usage(path).free) for what, path, size in wanted)


def check_needs(needs: Iterable[Need]) -> None:
    """Raises Terminal."""
    by_file_system: dict[int, list[Need]] = {}
    for need in needs:
        by_file_system.setdefault(need.file_system, []).append(need)
    for together in by_file_system.values():
        size, free = sum(need.size for need in together), together[0].free
        if free < size:
            places = ", ".join(f"{need.what} ({need.directory})" for need in together)
            raise Terminal(f"Building an image: {places}: {size // MIB} MiB are needed, {free // MIB} MiB are free.")


def _existing(path: Path) -> Path:
    """Where it would be made."""
    return path if path.exists() else _existing(path.parent)
