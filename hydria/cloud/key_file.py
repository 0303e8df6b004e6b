"""A file that holds keys and that only its owner reads. Knows not what the keys are for."""

import stat
from collections.abc import Callable
from pathlib import Path

from hydria.base import private_file
from hydria.base.config import ConfigError


def ensure(path: Path, make: Callable[[], bytes], holds: str) -> bytes:
    """What the file holds; where there is none, it is made. `holds` says what, for the error. Raises ConfigError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        private_file.write(path, make())  # and on the disk before anything is encrypted with it
    return read(path, holds)


def read(path: Path, holds: str) -> bytes:
    """Raises ConfigError where others can read it too, or nobody can."""
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"{path} holds {holds} and can be read by others: chmod 600 it")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"Reading {path}, which holds {holds}: {error}") from error
