"""Keeps the test prefixes on this machine: unreachable routes that only win where there is no better one."""

from ipaddress import ip_network
from pathlib import Path

from hydria.sriov.netlink import Netlink

PREFIXES = tuple(ip_network(text) for text in ("203.0.113.0/24", "192.0.2.0/24", "2001:db8::/32"))
EVERYTHING = tuple(ip_network(text) for text in ("0.0.0.0/0", "::/0"))

# Ours, so that nothing else is ever removed: not in iproute2's rt_protos, above what the kernel uses itself.
_PROTOCOL = 113
# Any route that the machine has to the same prefix, such as a connected one, wins over this.
_METRIC = 0xFFFF_FF00


def ensure(namespace: Path, *, everything: bool = False) -> None:
    """May run twice. With `everything` no packet finds a way out of the namespace but to its own links."""
    with Netlink(namespace) as netlink:
        for prefix in PREFIXES + (EVERYTHING if everything else ()):
            netlink.add_unreachable(prefix, protocol=_PROTOCOL, metric=_METRIC)


def remove(namespace: Path) -> list[str]:
    """What was removed. May run twice."""
    with Netlink(namespace) as netlink:
        return [
            str(prefix) for prefix in PREFIXES if netlink.delete_unreachable(prefix, protocol=_PROTOCOL, metric=_METRIC)
        ]
