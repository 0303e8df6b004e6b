"""A file that holds keys and that only its owner reads. Knows not what the keys are for."""

import contextlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from hydria.base.config import ConfigError


def ensure(path: Path, make: Callable[[], bytes], holds: str) -> bytes:
    """What the file holds; where there is none, it is made. `holds` says what, for the error. Raises ConfigError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        _write(path, make())
    return read(path, holds)


def read(path: Path, holds: str) -> bytes:
    """Raises ConfigError where others can read it too, or nobody can."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path} holds {holds} and can be read by others: chmod 600 it")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"Reading {path}, which holds {holds}: {error}") from error


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, and on the disk before anything is encrypted: a key that is lost takes all of it along."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    with contextlib.ExitStack() as stack:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        stack.callback(os.close, directory)
        os.fsync(directory)
