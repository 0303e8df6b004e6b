"""Unit tests write to memory: they ask what was written, not whether it outlives a power cut, and fsync costs most."""

import os
from pathlib import Path

_MEMORY = Path("/dev/shm")  # noqa: S108 - pytest makes a private directory there
_NEEDED = 256 * 1024 * 1024

if os.access(_MEMORY, os.W_OK) and (free := os.statvfs(_MEMORY)).f_bavail * free.f_frsize > _NEEDED:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))
