"""The file that a server's console is kept in, whatever kind of server it is."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

BYTES = 1024 * 1024
"""A console that has grown longer loses its older half at the next boot."""


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor that appends. For the start of a boot: shortens the file before."""
    if path.exists() and path.stat().st_size > BYTES:
        path.write_bytes(path.read_bytes()[-BYTES // 2 :])
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read(path: Path, lines: int | None = None) -> str:
    """The last `lines`, or all; nothing where there is no file."""
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return text if lines is None else "".join(text.splitlines(keepends=True)[-lines:] if lines else [])
