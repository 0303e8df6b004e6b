"""Writes files that their owner alone may read. Knows not what is in them."""

import contextlib
import os
from pathlib import Path


def write(path: Path, content: bytes, *, durable: bool = True) -> None:
    """Readable by its owner alone from the first moment; after a crash the old content or the new, whole.

    `durable`: it is on the disk, and so is its name, when this returns. Raises OSError.
    """
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(descriptor)
    new.replace(path)
    if durable:
        _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    with contextlib.ExitStack() as stack:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, descriptor)
        os.fsync(descriptor)
