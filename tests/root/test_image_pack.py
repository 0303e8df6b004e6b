"""A tree becomes a disk: read back by other programs than those that wrote it, and the same bytes each time."""

import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from hydria.base import process
from hydria.image import pack, tree
from hydria.image.boot_line import ROOT_LABEL
from hydria.image.options import Format
from hydria.image.pack import GIB, START, DoesNotFit

pytestmark = pytest.mark.root

EPOCH = 1_700_000_000
COMMAND_LINE = f"root=LABEL={ROOT_LABEL} quiet"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A tree with one of each: a program, a link, a hard link, a device node, capabilities, an owner."""
    top = tmp_path / "tree"
    for name in ("boot", "dev", "etc", "usr/bin", "var/lib/hydria"):
        (top / name).mkdir(parents=True)
    (top / "boot" / "vmlinuz-1").write_bytes(os.urandom(3 << 20))
    (top / "boot" / "vmlinuz").symlink_to("vmlinuz-1")
    (top / "etc" / "shadow").write_text("root:*::\n")
    (top / "etc" / "shadow").chmod(0o640)
    os.chown(top / "etc" / "shadow", 0, 42)
    (top / "usr" / "bin" / "ping").write_bytes(b"\x7fELF")
    (top / "usr" / "bin" / "ping").chmod(0o755)
    os.setxattr(top / "usr" / "bin" / "ping", "user.origin", b"here")
    os.link(top / "usr" / "bin" / "ping", top / "usr" / "bin" / "ping6")
    os.mknod(top / "dev" / "null", 0o20666, os.makedev(1, 3))
    for number in range(300):
        (top / "var" / "lib" / "hydria" / f"{number:03}").write_text(str(number))
    tree.set_times(top, EPOCH)
    return top


def make(small: Path, directory: Path, *, size: int = 1) -> Path:
    directory.mkdir()
    raw = directory / "disk.raw"
    pack.make_raw(small, raw, size=size, command_line=COMMAND_LINE, epoch=EPOCH, work=directory)
    return raw


def device(raw: Path) -> str:
    return f"{raw}?offset={START}"


def debugfs(raw: Path, request: str) -> str:
    return process.run(["debugfs", "-R", request, device(raw)]).stdout


def test_disk_is_sound_and_bootable(small: Path, tmp_path: Path) -> None:
    raw = make(small, tmp_path / "a")
    table = json.loads(process.run(["sfdisk", "--json", str(raw)]).stdout)["partitiontable"]
    (partition,) = table["partitions"]
    assert (table["label"], partition["type"], partition["bootable"]) == ("dos", "83", True)
    assert (partition["start"] * 512, partition["size"] * 512) == (START, GIB - START)
    # GRUB's first sector calls itself so, and the one after loads the rest.
    with raw.open("rb") as file:
        first = file.read(START)
    assert b"GRUB" in first[:440]
    assert first[512:].strip(b"\0")
    process.run(["e2fsck", "-f", "-n", device(raw)])
    facts = process.run(["dumpe2fs", "-h", device(raw)]).stdout
    assert f"Filesystem volume name:   {ROOT_LABEL}" in facts
    assert f"Block count:              {(GIB - START) // 4096}" in facts


def test_files_keep_what_they_are(small: Path, tmp_path: Path) -> None:
    raw = make(small, tmp_path / "a")
    shadow = debugfs(raw, "stat /etc/shadow")
    assert "Mode:  0640" in shadow
    assert "Group:    42" in shadow
    assert 'Fast link dest: "vmlinuz-1"' in debugfs(raw, "stat /boot/vmlinuz")
    assert "Links: 2" in debugfs(raw, "stat /usr/bin/ping6")
    assert "here" in debugfs(raw, "ea_list /usr/bin/ping")
    assert "Device major/minor number: 01:03" in debugfs(raw, "stat /dev/null")
    copy = tmp_path / "vmlinuz"
    debugfs(raw, f"dump /boot/vmlinuz-1 {copy}")
    assert copy.read_bytes() == (small / "boot" / "vmlinuz-1").read_bytes()


@pytest.mark.parametrize("path", ["/", "/etc/shadow", "/usr/bin/ping", "/boot/vmlinuz", "/var/lib/hydria/299"])
def test_no_time_of_the_build_machine(small: Path, tmp_path: Path, path: str) -> None:
    raw = make(small, tmp_path / "a")
    times = [line.split()[1] for line in debugfs(raw, f"stat {path}").splitlines() if "time:" in line]
    assert times == [f"0x{EPOCH:08x}:00000000"] * 4


@pytest.mark.parametrize("format_", [Format.RAW, Format.QCOW2, Format.TAR])
def test_the_same_tree_gives_the_same_bytes(small: Path, tmp_path: Path, format_: Format) -> None:
    """Also where its files were written and read at another time, in another order, on other inodes."""
    again = tmp_path / "again"
    process.run(["cp", "--archive", str(small), str(again)])
    images = []
    for name, top in (("a", small), ("b", again)):
        image = tmp_path / f"{name}.{format_}"
        if format_ is Format.TAR:
            pack.make_tar(top, image)
        else:
            pack.convert(make(top, tmp_path / name), image, format_)
        images.append(image.read_bytes())
    assert images[0] == images[1]


@pytest.mark.parametrize(
    ("format_", "name"), [(Format.RAW, "raw"), (Format.QCOW2, "qcow2"), (Format.VHD, "vpc")], ids=str
)
def test_formats(small: Path, tmp_path: Path, format_: Format, name: str) -> None:
    raw = make(small, tmp_path / "a")
    image = tmp_path / f"amphora.{format_}"
    pack.convert(raw, image, format_)
    # A raw file says of itself only what it begins with: a boot sector.
    told = json.loads(process.run(["qemu-img", "info", "-f", name, "--output=json", str(image)]).stdout)
    assert told["virtual-size"] == GIB
    assert image.stat().st_blocks * 512 < 40 << 20
    process.run(["qemu-img", "compare", "-f", "raw", "-F", name, str(raw), str(image)])
    if format_ is Format.QCOW2:
        process.run(["qemu-img", "check", str(image)])


def test_tar_has_owners_and_attributes(small: Path, tmp_path: Path) -> None:
    pack.make_tar(small, tmp_path / "amphora.tar")
    with tarfile.open(tmp_path / "amphora.tar") as archive:
        shadow = archive.getmember("./etc/shadow")
        assert (shadow.mode, shadow.uid, shadow.gid, shadow.mtime) == (0o640, 0, 42, EPOCH)
        assert archive.getmember("./usr/bin/ping").pax_headers["SCHILY.xattr.user.origin"] == "here"


def test_a_tree_that_does_not_fit_is_refused_before_anything_is_written(small: Path, tmp_path: Path) -> None:
    with (small / "large").open("wb") as file:
        file.truncate(GIB)
    with pytest.raises(DoesNotFit, match=r"disk of 1 GiB; ask for a larger size"):
        make(small, tmp_path / "a")
    assert not list((tmp_path / "a").iterdir())
    (small / "large").unlink()
    shutil.rmtree(tmp_path / "a")
    make(small, tmp_path / "a")
