"""Amphora images of tests and benches, built by diskimage-create.sh as an operator types it: build/image/."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from hydria.base import process
from hydria.image.facts import Facts
from lab import layer

BUILD = layer.ROOT / "build" / "image"
MADE_FROM = (
    "diskimage-create",
    *(f"hydria/{package}" for package in ("agent", "base", "image", "model", "render")),
    "pyproject.toml",
    "uv.lock",
)
"""What runs in an image, and what makes one. Debian's packages are those of the day of the build."""
LIMIT_SECONDS = 1800.0

AS_TYPED = """cd "$1"
export DIB_OCTAVIA_AMP_USE_NFTABLES=$2
./diskimage-create.sh -o "$3"
"""


@dataclass(frozen=True)
class Built:
    directory: Path

    @property
    def disk(self) -> Path:
        return self.directory / "amphora.qcow2"

    @property
    def kernel(self) -> Path:
        return self.disk.with_suffix(".vmlinux")

    @property
    def ramdisk(self) -> Path:
        return self.disk.with_suffix(".initrd")

    @property
    def facts(self) -> Facts:
        return msgspec.json.decode(self.disk.with_suffix(".json").read_bytes(), type=Facts)

    @property
    def seconds(self) -> float:
        """That the build took."""
        return float((self.directory / "seconds").read_text())


def build(*, nftables: bool = True) -> Built:
    """Now, or in an earlier run from the same. Raises ProcessFailed with the script's own words."""
    variable = str(nftables)

    def make(directory: Path) -> None:
        began = time.monotonic()
        there, output = layer.ROOT / "diskimage-create", directory / "amphora.qcow2"
        done = process.run(["sh", "-ec", AS_TYPED, "sh", str(there), variable, str(output)], timeout=LIMIT_SECONDS)
        (directory / "said").write_text(done.stdout + done.stderr)
        (directory / "seconds").write_text(f"{time.monotonic() - began:.0f}")

    return Built(layer.cached("nftables" if nftables else "no-nftables", _made_from() + variable, make, BUILD))


def _made_from() -> str:
    """Names and hashes of all files."""
    paths = [path for name in MADE_FROM for path in _files(layer.ROOT / name)]
    lines = (f"{path.relative_to(layer.ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in paths)
    return "".join(lines)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(one for one in path.rglob("*") if one.is_file() and "__pycache__" not in one.parts)
