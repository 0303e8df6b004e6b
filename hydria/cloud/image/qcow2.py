"""The header of a qcow2 image: how large the disk is, and whether it would have QEMU open other files. Pure."""

import struct
from dataclasses import dataclass

from hydria.base.errors import HydriaError

HEADER_BYTES = 104
MAGIC = b"QFI\xfb"
VERSIONS = (2, 3)
_DATA_FILE = 1 << 2
"""Of the incompatible features, which version 3 has."""


class NotQcow2(HydriaError):
    """The text says what is wrong, without naming the image."""


@dataclass(frozen=True)
class Header:
    virtual_size: int
    """Bytes that a machine sees."""
    other_file: str = ""
    """What it wants from another file. Who uploads an image could read any file of the host through it."""


def parse(start: bytes) -> Header:
    """`start`: the image's first HEADER_BYTES at least. Raises NotQcow2."""
    if not start.startswith(MAGIC):
        raise NotQcow2(f"it begins with {start[:4]!r}, a qcow2 image with {MAGIC!r}")
    try:
        version, backing_file, _, _, virtual_size = struct.unpack_from(">IQIIQ", start, 4)
        features = struct.unpack_from(">Q", start, 72)[0] if version >= 3 else 0
    except struct.error as error:
        raise NotQcow2(f"its header ends after {len(start)} bytes") from error
    if version not in VERSIONS:
        raise NotQcow2(f"it is of version {version}, known are {VERSIONS}")
    if backing_file:
        return Header(virtual_size, "a backing file")
    return Header(virtual_size, "an external data file" if features & _DATA_FILE else "")
