"""What is taken from a Debian kernel package: a vmlinux to boot directly, and the order in which modules load."""

import lzma
import struct
from collections.abc import Iterable
from pathlib import Path

from hydria.base import process
from hydria.base.errors import Terminal

XZ_MAGIC = b"\xfd7zXZ\0"
ELF_MAGIC = b"\x7fELF"


class NotBootable(Terminal):
    """The kernel package is not built as Debian's 6.1 is."""


def release(tree: Path) -> str:
    """Of the one kernel that is installed in `tree`."""
    found = sorted(path.name for path in (tree / "lib" / "modules").iterdir())
    if len(found) != 1:
        raise NotBootable(f"Looking for a kernel in {tree}: one was expected, found {', '.join(found) or 'none'}.")
    return found[0]


def vmlinux(bzimage: bytes) -> bytes:
    """The kernel as ELF, which QEMU enters through PVH: under TCG the kernel's own unpacking takes four seconds.

    Offsets: Linux, Documentation/x86/boot.rst, setup_sects, payload_offset and payload_length.
    """
    setup_sectors = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    payload = bzimage[start : start + length]
    if not payload.startswith(XZ_MAGIC):
        raise NotBootable(f"The kernel is not compressed by XZ; its payload begins with {payload[:6]!r}.")
    # After the stream there are four bytes with its size, which LZMADecompressor leaves alone.
    elf = lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload)
    if not elf.startswith(ELF_MAGIC):
        raise NotBootable(f"What the kernel image holds is no ELF file; it begins with {elf[:4]!r}.")
    return elf


def load_order(tree: Path, kernel_release: str, modules: Iterable[str]) -> list[Path]:
    """The files of `modules` and of what they need, each after those it needs. Those built in have none."""
    found: dict[Path, None] = {}
    for module in modules:
        argv = ["modprobe", f"--dirname={tree}", f"--set-version={kernel_release}", "--show-depends", module]
        for line in process.run(argv).stdout.splitlines():
            kind, _, path = line.strip().partition(" ")
            if kind == "insmod":
                found[Path(path.strip())] = None
    return list(found)
