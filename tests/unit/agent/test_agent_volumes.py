"""Which block device is the config drive: superblocks as the makers of these file systems write them."""

from collections.abc import Callable
from pathlib import Path

import pycdlib
import pytest

from hydria.agent import volumes
from hydria.agent.volumes import Volume

Maker = Callable[[str, Path], None]


def iso(label: str, path: Path) -> None:
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=label)
    image.write(str(path))
    image.close()


def fat(label: str, path: Path, *, extended: int, kind: bytes) -> None:
    """A boot sector by Microsoft's "FAT: General Overview of On-Disk Format"; mkfs.vfat writes the same."""
    sector = bytearray(1024)
    sector[extended + 2] = 0x29
    sector[extended + 7 : extended + 18] = label.encode().ljust(11)
    sector[extended + 18 : extended + 26] = kind.ljust(8)
    sector[510:512] = b"\x55\xaa"
    path.write_bytes(sector)


def fat16(label: str, path: Path) -> None:
    fat(label, path, extended=36, kind=b"FAT16")


def fat32(label: str, path: Path) -> None:
    fat(label, path, extended=64, kind=b"FAT32")


def other(label: str, path: Path) -> None:
    path.write_bytes(label.encode() * 10_000)


@pytest.fixture
def devices(tmp_path: Path) -> tuple[Path, Path]:
    """Stand for /sys/class/block and /dev: a disk with partitions, a drive without a medium, an empty disk."""
    system, nodes = tmp_path / "sys", tmp_path / "dev"
    for directory in (system, nodes):
        directory.mkdir()
    for name in ("loop0", "sr0", "vda", "vda1", "vdb"):
        (system / name).mkdir()
    iso("config-2", nodes / "loop0")
    (nodes / "vda").write_bytes(bytes(100_000))
    (nodes / "vda1").write_bytes(b"")
    return system, nodes


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        pytest.param(iso, "iso9660", id="iso9660"),
        pytest.param(fat16, "vfat", id="FAT16"),
        pytest.param(fat32, "vfat", id="FAT32"),
    ],
)
@pytest.mark.parametrize("label", ["config-2", "CONFIG-2"])
def test_found_by_label(devices: tuple[Path, Path], make: Maker, kind: str, label: str) -> None:
    system, nodes = devices
    make(label, nodes / "vdb")
    assert volumes.find("config-2", system, nodes) == Volume(nodes / "vdb", kind, label)


@pytest.mark.parametrize(
    ("make", "label"),
    [
        pytest.param(iso, "config-1", id="another label"),
        pytest.param(fat16, "CIDATA", id="another FAT"),
        pytest.param(other, "config-2", id="no file system"),
    ],
)
def test_not_found(devices: tuple[Path, Path], make: Maker, label: str) -> None:
    system, nodes = devices
    make(label, nodes / "vdb")
    assert volumes.find("config-2", system, nodes) is None
