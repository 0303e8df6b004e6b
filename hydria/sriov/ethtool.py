"""A driver's own statistics, as `ethtool -S` shows them. Knows nothing of what they mean."""

import array
import fcntl
import socket
import struct
from pathlib import Path

from hydria.sriov import namespaces

_SIOCETHTOOL = 0x8946
_GSSET_INFO, _GSTRINGS, _GSTATS = 0x37, 0x1B, 0x1D
_SS_STATS = 1
_STRING = 32
"""ETH_GSTRING_LEN."""


def statistics(netdev: str, namespace: Path = namespaces.OWN) -> dict[str, int]:
    """By name; empty where the driver has none."""

    def ask() -> dict[str, int]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as control:
            try:
                return _statistics(control, netdev)
            except OSError:
                # EOPNOTSUPP: it has none; ENODEV: it has just gone.
                return {}

    return namespaces.inside(namespace, ask)


def _statistics(control: socket.socket, netdev: str) -> dict[str, int]:
    # struct ethtool_sset_info: cmd, reserved, mask of sets asked for, then a length for each.
    (count,) = struct.unpack_from(
        "=I", _ask(control, netdev, struct.pack("=IIQI", _GSSET_INFO, 0, 1 << _SS_STATS, 0)), 16
    )
    if not count:
        return {}
    strings = _ask(control, netdev, struct.pack("=III", _GSTRINGS, _SS_STATS, count) + bytes(count * _STRING))[12:]
    values = struct.unpack_from(
        f"={count}Q", _ask(control, netdev, struct.pack("=II", _GSTATS, count) + bytes(count * 8)), 8
    )
    names = [strings[at : at + _STRING].split(b"\0")[0].decode() for at in range(0, count * _STRING, _STRING)]
    return dict(zip(names, values, strict=True))


def _ask(control: socket.socket, netdev: str, request: bytes) -> bytes:
    data = array.array("B", request)
    address, _ = data.buffer_info()
    # struct ifreq: the name, then a pointer to what ethtool reads and writes.
    fcntl.ioctl(control, _SIOCETHTOOL, struct.pack("16sP16x", netdev.encode(), address))
    return data.tobytes()
