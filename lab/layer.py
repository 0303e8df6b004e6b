"""What the lab's guest is made of lies below build/lab/, each part named after a hash of what it is made from."""

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


def cached(kind: str, made_from: str, make: Callable[[Path], None]) -> Path:
    """The directory that `make` fills: now, or in an earlier run from the same. Older ones of this kind go."""
    BUILD.mkdir(parents=True, exist_ok=True)
    directory = BUILD / f"{kind}-{hashlib.sha256(made_from.encode()).hexdigest()[:12]}"
    with _locked(kind):
        if not directory.exists():
            for old in BUILD.glob(f"{kind}-*"):
                shutil.rmtree(old)
            with scratch(kind) as unfinished:
                make(unfinished)
                unfinished.chmod(0o755)
                unfinished.rename(directory)
    return directory


@contextlib.contextmanager
def scratch(kind: str) -> Iterator[Path]:
    """An empty directory, gone afterwards unless it was renamed."""
    unfinished = Path(tempfile.mkdtemp(prefix=f".{kind}-", dir=BUILD))
    try:
        yield unfinished
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextlib.contextmanager
def _locked(kind: str) -> Iterator[None]:
    """Two runs at once build one thing once."""
    with (BUILD / f".{kind}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def pack(directory: Path, image: Path) -> None:
    """An EROFS image: one file, and the quickest to read of what a guest can mount (under TCG 9p costs per call)."""
    process.run(["mkfs.erofs", str(image), str(directory)], timeout=120)
