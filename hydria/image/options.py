"""What one may ask of an image build. Every default stands here; diskimage-create.sh and the CLI derive theirs."""

import enum
from pathlib import Path

from msgspec import Struct


class Format(enum.StrEnum):
    """Octavia's image types (-t)."""

    QCOW2 = "qcow2"
    TAR = "tar"
    VHD = "vhd"
    RAW = "raw"


class Options(Struct, kw_only=True, frozen=True):
    output: Path = Path("amphora-x64-haproxy.qcow2")
    """As in Octavia. Beside it the build leaves .spdx.json, .json (facts.Facts), and .vmlinux and .initrd to boot from
    directly."""
    format: Format = Format.QCOW2
    size: int = 2
    """GiB, of the virtual disk."""
    architecture: str = "amd64"
    base: str = "debian-minimal"
    release: str = "bookworm"
    nftables: bool = True
    """DIB_OCTAVIA_AMP_USE_NFTABLES."""
    sshd: bool = False
    root_password: str | None = None
    """None: root has no password and cannot log in by one."""
    pinning: bool = False
    """CPU pinning (-m): the kernel leaves all CPUs but the first to HAProxy."""
    elements: tuple[str, ...] = ()
    """Of diskimage-builder, after ours: DIB_LOCAL_ELEMENTS."""
    elements_path: tuple[Path, ...] = ()
    """Where those are looked for: DIB_LOCAL_ELEMENTS_PATH."""
    work_directory: Path = Path()
    cache_directory: Path | None = None
    log_file: Path | None = None
    trace: bool = False
    wheel: Path | None = None
    """Hydria's own; None: built from the checkout that this program runs from."""
