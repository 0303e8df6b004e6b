"""What goes into a disk, as text."""

from hydria.image.boot_line import COMMAND_LINE, ROOT_LABEL, command_line
from hydria.image.pack import grub_config, used_inodes

DUMPE2FS = """\
Filesystem volume name:   amphora-root
Inode count:              48
Free inodes:              30

Group 0: (Blocks 0-32767) csum 0x3c4b
  3 free blocks, 6 free inodes, 2 directories
  Free blocks: 100-102
  Free inodes: 13, 15-16, 22-24
Group 1: (Blocks 32768-65535) csum 0x3c4b
  3 free blocks, 23 free inodes, 1 directories
  Free blocks:
  Free inodes: 26-48
Group 2: (Blocks 65536-98303)
  Free blocks: 70000-70001
  Free inodes:
"""


def test_inodes_in_use() -> None:
    assert used_inodes(DUMPE2FS) == [2, 11, 12, 14, 17, 18, 19, 20, 21, 25]


def test_grub_finds_the_root_by_its_label() -> None:
    assert grub_config("quiet").splitlines() == [
        f"search.fs_label {ROOT_LABEL} root",
        "linux /boot/vmlinuz quiet",
        "initrd /boot/initrd.img",
        "boot",
    ]


def test_pinning_only_adds_to_the_command_line() -> None:
    assert command_line(pinning=False) == COMMAND_LINE
    pinned = command_line(pinning=True)
    assert pinned.startswith(f"{COMMAND_LINE} ")
    assert "irqaffinity=0" in pinned.split()
