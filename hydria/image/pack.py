"""Packs a tree into a disk that boots by BIOS: MBR, GRUB, one ext4. No loop device, no device-mapper, no mount.

The same tree, size and epoch give the same bytes (VHD has a random identifier of its own, which QEMU makes).
"""

import re
import stat
from pathlib import Path

from hydria.base import process
from hydria.base.errors import Terminal
from hydria.image.boot_line import ROOT_LABEL
from hydria.image.options import Format

GIB = 1 << 30
SECTOR = 512
START = 1 << 20
"""Of the partition. GRUB lies before it."""
RESERVE = 128 << 20
"""For the journal and tables of the file system, and for what a running amphora writes."""

_UUID = "9b6c3d52-1f0e-4c8e-a5d7-70a2b8a4c1e6"
_DISK_IDENTIFIER = "0x9b6c3d52"
GRUB = Path("/usr/lib/grub/i386-pc")
_GRUB_MODULES = ("biosdisk", "part_msdos", "ext2", "search_label", "linux", "normal", "minicmd", "echo")
_BOOT_CODE = 440
"""Bytes of the MBR before its disk identifier and table."""

# Named one by one, since the build machine's mke2fs.conf would decide else: GRUB 2.06 reads neither
# metadata_csum_seed nor orphan_file, which newer ones turn on.
_MKE2FS_CONFIG = """[fs_types]
    ext4 = {
        features = has_journal,ext_attr,resize_inode,dir_index,filetype,extent,flex_bg,sparse_super,large_file,huge_file
        features = dir_nlink,extra_isize,64bit,metadata_csum
        blocksize = 4096
        inode_size = 256
        inode_ratio = 16384
    }
"""
_FREE_INODES = re.compile(r"^  Free inodes: ?(.*)$", re.MULTILINE)
_INODE_COUNT = re.compile(r"^Inode count: +(\d+)$", re.MULTILINE)
_ROOT_INODE, _FIRST_INODE = 2, 11
"""Linux, ext4, special inodes: of those between there is none in a directory."""


_CONVERSIONS = {
    Format.RAW: ("-O", "raw"),
    # zstd: QEMU reads it since 5.1; it packs in a fifth of zlib's time, and unpacks faster too.
    Format.QCOW2: ("-c", "-O", "qcow2", "-o", "compression_type=zstd"),
    # force_size: else the size is rounded to a whole number of cylinders.
    Format.VHD: ("-O", "vpc", "-o", "subformat=dynamic,force_size=on"),
}
"""Of qemu-img convert, for each format of disks."""


class DoesNotFit(Terminal):
    """The tree is larger than the disk that was asked for."""


def grub_config(command_line: str) -> str:
    """Built into GRUB itself: there is no menu, and no file to be read before the kernel."""
    return f"search.fs_label {ROOT_LABEL} root\nlinux /boot/vmlinuz {command_line}\ninitrd /boot/initrd.img\nboot\n"


def make_raw(tree: Path, raw: Path, *, size: int, command_line: str, epoch: int, work: Path) -> None:
    """The disk as a sparse file `raw` of `size` GiB; `epoch`: of all times in its file system."""
    room = size * GIB - START
    used = _used(tree)
    if used + RESERVE > room:
        raise DoesNotFit(
            f"Packing the image: its files take {used >> 20} MiB, which with {RESERVE >> 20} MiB to spare does not fit "
            f"on a disk of {size} GiB; ask for a larger size."
        )
    core = _make_grub(command_line, work)
    if SECTOR + len(core) > START:
        raise Terminal(f"Packing the image: GRUB takes {len(core)} bytes, more than there are before the partition.")
    with raw.open("wb") as file:
        file.truncate(size * GIB)
    table = f"label: dos\nlabel-id: {_DISK_IDENTIFIER}\n1: start={START // SECTOR}, type=83, bootable\n"
    process.run(["sfdisk", "--quiet", str(raw)], stdin=table)
    with raw.open("r+b") as file:
        file.write((GRUB / "boot.img").read_bytes()[:_BOOT_CODE])
        file.seek(SECTOR)
        file.write(core)
    _make_filesystem(tree, raw, room, epoch, work)


def convert(raw: Path, destination: Path, format_: Format) -> None:
    """`raw` as `destination`, in a format of disks."""
    argv = _CONVERSIONS[format_]
    process.run(["qemu-img", "convert", "-f", "raw", *argv, str(raw), str(destination)], timeout=1200)


def make_tar(tree: Path, destination: Path) -> None:
    argv = ["tar", f"--directory={tree}", "--create", f"--file={destination}", "--sort=name", "--numeric-owner"]
    argv += ["--format=posix", "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"]
    process.run([*argv, "--xattrs", "--xattrs-include=*", "."], timeout=600)


def _used(tree: Path) -> int:
    """Bytes on a file system with blocks of 4 KiB, inodes counted; hard links once."""
    seen: set[int] = set()
    total = 0
    for path in tree.rglob("*"):
        facts = path.lstat()
        if facts.st_ino not in seen:
            seen.add(facts.st_ino)
            total += 256 + (-(-facts.st_size // 4096) * 4096 if stat.S_ISREG(facts.st_mode) else 4096)
    return total


def _make_filesystem(tree: Path, raw: Path, size: int, epoch: int, work: Path) -> None:
    config = work / "mke2fs.conf"
    config.write_text(_MKE2FS_CONFIG)
    environment = {"E2FSPROGS_FAKE_TIME": str(epoch), "MKE2FS_CONFIG": str(config)}
    # Tables are written now (zeros cost nothing in an image), not by a kernel thread while the amphora boots.
    extended = f"offset={START},root_owner=0:0,hash_seed={_UUID},lazy_itable_init=0,lazy_journal_init=0"
    argv = [
        "mke2fs",
        "-q",
        "-F",
        "-t",
        "ext4",
        "-L",
        ROOT_LABEL,
        "-U",
        _UUID,
        "-m",
        "1",
        "-J",
        "size=16",
        "-E",
        extended,
    ]
    process.run([*argv, "-d", str(tree), str(raw), f"{size // 1024}k"], timeout=600, environment=environment)
    # mke2fs takes over when this machine wrote and read the files (ctime, atime), which is nobody's business.
    device = f"{raw}?offset={START}"
    inodes = used_inodes(process.run(["dumpe2fs", device]).stdout)
    script = "".join(
        f"set_inode_field <{inode}> {field} @{epoch}\n" for inode in inodes for field in ("ctime", "atime", "crtime")
    )
    process.run(["debugfs", "-w", "-f", "-", device], stdin=script, timeout=600, environment=environment)


def used_inodes(dumpe2fs: str) -> list[int]:
    """Those of files and directories."""
    count = _INODE_COUNT.search(dumpe2fs)
    if count is None:
        raise Terminal("Packing the image: dumpe2fs does not tell the number of inodes.")
    free: set[int] = set()
    for ranges in _FREE_INODES.findall(dumpe2fs):
        for part in filter(None, ranges.split(", ")):
            first, _, last = part.partition("-")
            free.update(range(int(first), int(last or first) + 1))
    return [_ROOT_INODE, *(inode for inode in range(_FIRST_INODE, int(count[1]) + 1) if inode not in free)]


def _make_grub(command_line: str, work: Path) -> bytes:
    config = work / "grub.cfg"
    config.write_text(grub_config(command_line))
    core = work / "core.img"
    argv = ["grub-mkimage", "-O", "i386-pc", "-d", str(GRUB), "-o", str(core), "-p", "/boot/grub", "-c", str(config)]
    process.run([*argv, *_GRUB_MODULES])
    return core.read_bytes()
