"""The management network's way to this machine: one veth `hy-mgmt<N>` with the first address of the prefix."""

import itertools
from collections.abc import Sequence
from ipaddress import IPv4Network, ip_interface, ip_network
from typing import cast

from hydria.base.errors import Terminal
from hydria.sriov import namespaces
from hydria.sriov.netlink import Link, Netlink
from hydria.sriov.tag import Tag

BRIDGE = "hy-mgmt"

# RFC 2544: set apart for tests of devices, in private use on no network that is run well.
_SPACE = IPv4Network("198.18.0.0/15")
_PREFIX_LENGTH = 20
# The end of the veth that is a port of the bridge, in the fabric's namespace.
_PORT = "mgmt-host"


def pick_management_prefix() -> str:
    """The first /20 of 198.18.0.0/15 that this machine has no route into. Raises Terminal when there is none."""
    with Netlink() as netlink:
        routed = [cast("IPv4Network", route.prefix) for route in netlink.routes(4) if route.prefix.prefixlen > 0]
    for prefix in _SPACE.subnets(new_prefix=_PREFIX_LENGTH):
        if not any(prefix.overlaps(other) for other in routed):
            return str(prefix)
    raise Terminal(f"Every /{_PREFIX_LENGTH} of {_SPACE} is routed on this machine: choose a management prefix")


def tag(fabric: str) -> Tag:
    return Tag(fabric, "management", "host")


def host_address(prefix: str) -> str:
    """The first address of the prefix, with its length.

    >>> host_address("198.18.0.0/20")
    '198.18.0.1/20'
    """
    network = ip_network(prefix, strict=False)
    return f"{network[1]}/{network.prefixlen}"


def find(fabric: str) -> Link | None:
    """Our end, whatever number it got."""
    with Netlink() as netlink:
        return next((link for link in netlink.links() if link.tag == tag(fabric)), None)


def fabrics() -> set[str]:
    """Fabrics that have their management interface on this machine."""
    with Netlink() as netlink:
        return {link.tag.fabric for link in netlink.links() if link.tag is not None and link.tag.kind == "management"}


def prefix_of(fabric: str) -> str | None:
    """The management prefix of a fabric that is up."""
    link = find(fabric)
    if link is None:
        return None
    with Netlink() as netlink:
        addresses = netlink.addresses(link.index)
    return str(ip_interface(addresses[0]).network) if addresses else None


def ensure(fabric: str, prefix: str) -> str:
    """Name of the interface on this machine. May run twice, but not two at a time. Needs the bridge."""
    link = find(fabric) or _make(fabric)
    _refuse_foreign_route(prefix, link)
    # The machine has one address there, no link-local one beside it, and is no router for who is there.
    namespaces.set_sysctl(namespaces.OWN, f"ipv6/conf/{link.name}/disable_ipv6", 1)
    namespaces.set_sysctl(namespaces.OWN, f"ipv4/conf/{link.name}/forwarding", 0)
    with Netlink() as netlink:
        netlink.add_address(link.index, host_address(prefix))
        netlink.set_link(link.index, up=True)
    return link.name


def introduce(fabric: str, mac: str, addresses: Sequence[str]) -> None:
    """Tell this machine who has these addresses now, where they are on the management network. May run twice.

    It may know them by the MAC of who had them before, and would believe that for half a minute. A gratuitous ARP of
    the newcomer would be lost: the bridge does not forward yet for some moments after the link goes up.
    """
    link = find(fabric)
    prefix = prefix_of(fabric)
    if link is None or prefix is None:
        return
    with Netlink() as netlink:
        for address in map(ip_interface, addresses):
            if address.ip in ip_network(prefix):
                netlink.set_neighbour(link.index, str(address.ip), mac)


def remove(fabric: str, *, has_namespace: bool) -> str | None:
    """Name of the interface that went. An end that never got its tag is found from the fabric's side."""
    link = find(fabric)
    if has_namespace:
        with Netlink(namespaces.named(fabric)) as inner:
            if (port := inner.link(_PORT)) is not None:
                inner.delete_link(port.index)
    if link is not None:
        with Netlink() as outer:
            outer.delete_link(link.index)
    return None if link is None else link.name


def _make(fabric: str) -> Link:
    """The tag is written last: an end without one is of an interrupted start and made anew."""
    home = namespaces.named(fabric)
    with Netlink(home) as inner, Netlink() as outer:
        if (port := inner.link(_PORT)) is not None:
            inner.delete_link(port.index)
        taken = {link.name for link in outer.links()}
        name = next(name for number in itertools.count() if (name := f"hy-mgmt{number}") not in taken)
        inner.add_veth(_PORT, peer=name, peer_namespace=namespaces.OWN, master=inner.need(BRIDGE).index)
        inner.set_link(inner.need(_PORT).index, up=True)
        outer.set_link(outer.need(name).index, tag=tag(fabric))
        return outer.need(name)


def _refuse_foreign_route(prefix: str, link: Link) -> None:
    wanted = ip_network(prefix, strict=False)
    with Netlink() as netlink:
        for route in netlink.routes(4):
            if route.prefix.prefixlen and route.interface != link.index and route.prefix.overlaps(wanted):
                raise Terminal(
                    f"Management prefix {prefix} overlaps {route.prefix}, which this machine routes elsewhere"
                )
