"""What takes long to build lies below build/, each part named after a hash of what it is made from."""

import contextlib
import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from hydria.base import process

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "lab"
"""What the lab's guest is made of."""


def cached(kind: str, made_from: str, make: Callable[[Path], None], below: Path = BUILD) -> Path:
    """The directory that `make` fills: now, or in an earlier run from the same. Older ones of this kind go."""
    below.mkdir(parents=True, exist_ok=True)
    directory = below / f"{kind}-{hashlib.sha256(made_from.encode()).hexdigest()[:12]}"
    with _locked(below / f".{kind}.lock"):
        if not directory.exists():
            for old in below.glob(f"{kind}-*"):
                shutil.rmtree(old)
            with scratch(kind, below) as unfinished:
                make(unfinished)
                unfinished.chmod(0o755)
                unfinished.rename(directory)
    return directory


@contextlib.contextmanager
def scratch(kind: str, below: Path = BUILD) -> Iterator[Path]:
    """An empty directory, gone afterwards unless it was renamed."""
    unfinished = Path(tempfile.mkdtemp(prefix=f".{kind}-", dir=below))
    try:
        yield unfinished
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two runs at once build one thing once."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def pack(directory: Path, image: Path) -> None:
    """An EROFS image: one file, and the quickest to read of what a guest can mount (under TCG 9p costs per call)."""
    process.run(["mkfs.erofs", str(image), str(directory)], timeout=120)
