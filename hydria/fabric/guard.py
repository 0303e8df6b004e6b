"""Keeps the test prefixes on this machine: unreachable routes in every namespace of a fabric.

Never in the machine's own: what these prefixes mean there is its administrator's business (some lead to real hosts),
and the fabric has no wire into it but the management network.
"""

from ipaddress import ip_network
from pathlib import Path

from hydria.sriov.netlink import Netlink

PREFIXES = tuple(ip_network(text) for text in ("203.0.113.0/24", "192.0.2.0/24", "2001:db8::/32"))
EVERYTHING = tuple(ip_network(text) for text in ("0.0.0.0/0", "::/0"))

# Not in iproute2's rt_protos, above what the kernel uses itself: `ip route` shows whose they are.
_PROTOCOL = 113
# Any other route to the same prefix, such as a test host's connected one, wins over this.
_METRIC = 0xFFFF_FF00


def ensure(namespace: Path) -> None:
    """No packet finds a way out of the namespace but to its own links. May run twice."""
    with Netlink(namespace) as netlink:
        for prefix in PREFIXES + EVERYTHING:
            netlink.add_unreachable(prefix, protocol=_PROTOCOL, metric=_METRIC)
