"""What a build can be refused for before it begins: options that are not supported, and what this machine lacks."""

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from hydria.base.errors import Invalid, Terminal
from hydria.image import pack
from hydria.image.options import Format, Options

ARCHITECTURES = ("amd64",)
BASES = ("debian-minimal", "debian")
"""`debian`, which in diskimage-builder is a ready-made cloud image, means the same here: a minimal Debian."""
RELEASES = ("bookworm",)

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


def check_options(options: Options) -> None:
    """Raises Invalid, which names the option."""
    _one_of("architecture", options.architecture, ARCHITECTURES)
    _one_of("base", options.base, BASES)
    _one_of("release", options.release, RELEASES)
    if options.size < 1:
        raise Invalid(f"size: a disk of {options.size} GiB can't be made; ask for 1 or more.", field="size")
    if options.root_password is not None and (not options.root_password or "\n" in options.root_password):
        raise Invalid("root_password: a password of one line is needed, and not an empty one.", field="root_password")
    if options.output.is_dir():
        raise Invalid(f"output: {options.output} is a directory; name a file.", field="output")
    directories = [("work_directory", options.work_directory), ("output", options.output.absolute().parent)]
    directories += [("elements_path", path) for path in options.elements_path]
    directories += [("log_file", options.log_file.absolute().parent)] if options.log_file else []
    for field, directory in directories:
        if not directory.is_dir():
            raise Invalid(f"{field}: the directory {directory} does not exist.", field=field)


def _one_of(field: str, value: str, supported: Iterable[str]) -> None:
    if value not in supported:
        raise Invalid(f"{field}: {value} is not supported, only {' and '.join(supported)} is.", field=field)


def check_machine(options: Options, cache: Path) -> None:
    """Raises Terminal, which says all that is missing and how to get it."""
    if os.geteuid() != 0:
        raise Terminal(
            "Building an image: root is needed, since it makes a tree of root's files and changes root into it."
        )
    if missing := missing_packages():
        raise Terminal(
            f"Building an image: programs are missing; run: apt-get install --no-install-recommends {' '.join(missing)}"
        )
    needs = [
        ("work directory", options.work_directory, WORK_SPACE),
        ("cache directory", cache, CACHE_SPACE),
        ("output's directory", options.output.absolute().parent, OUTPUT_SPACE[options.format]),
    ]
    check_space([(what, path, need, _file_system(path), shutil.disk_usage(path).free) for what, path, need in needs])


def missing_packages(environment: Mapping[str, str] = os.environ) -> list[str]:
    """Debian packages, sorted."""
    search = environment.get("PATH", os.defpath)
    missing = {package for program, package in PROGRAMS.items() if shutil.which(program, path=search) is None}
    return sorted(missing | {package for file, package in FILES.items() if not file.exists()})


def check_space(needs: Iterable[tuple[str, Path, int, int, int]]) -> None:
    """Of each directory: what it is, its path, the bytes needed, its file system (a number), the bytes free there.

    What lies on one file system is added up. Raises Terminal.
    """
    by_file_system: dict[int, list[tuple[str, Path, int, int]]] = {}
    for what, path, need, file_system, free in needs:
        by_file_system.setdefault(file_system, []).append((what, path, need, free))
    for together in by_file_system.values():
        need, free = sum(need for _, _, need, _ in together), together[0][3]
        if free < need:
            places = ", ".join(f"{what} {path}" for what, path, _, _ in together)
            raise Terminal(
                f"Building an image: {need // MIB} MiB are needed for {places}, and {free // MIB} MiB are free there."
            )


def _file_system(path: Path) -> int:
    return path.stat().st_dev
