"""NICs: found by MAC wherever they are, moved into the namespace, named, sized, brought up. Knows no addresses."""

import os
import time
from collections.abc import Iterable, Sequence

from hydria.agent.namespace import Namespace
from hydria.agent.netlink import RTMGRP_LINK, Link, Netlink
from hydria.model.spec import Interface


def _missing_macs(outside: Netlink, inside: Netlink, interfaces: Iterable[Interface]) -> set[str]:
    present = {link.mac for netlink in (outside, inside) for link in netlink.links()}
    return {interface.mac_address.lower() for interface in interfaces} - present


def wait_for_links(inside: Netlink, interfaces: Sequence[Interface], timeout: float) -> set[str]:
    """MACs that are still missing when all came or time is over. A NIC is plugged into the root namespace."""
    deadline = time.monotonic() + timeout
    # Listening begins before looking, so that a NIC that comes in between is not missed.
    with Netlink(RTMGRP_LINK) as events, Netlink() as outside:
        while missing := _missing_macs(outside, inside, interfaces):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            events.wait(remaining)
    return missing


def bring_in(namespace: Namespace, inside: Netlink, interface: Interface) -> None:
    """Into the namespace, if it is outside; under a name that nobody else can have."""
    mac = interface.mac_address.lower()
    with Netlink() as outside:
        link = next((link for link in outside.links() if link.mac == mac and not link.is_loopback), None)
        if link is not None and mac not in {other.mac for other in inside.links()}:
            descriptor = namespace.open()
            try:
                outside.move_link(link.index, descriptor, _temporary(mac))
            finally:
                os.close(descriptor)


def ensure_names(inside: Netlink, interfaces: Iterable[Interface]) -> None:
    """First everybody out of the way, then each to its own name: so that two can swap."""
    by_mac = {link.mac: link for link in inside.links() if not link.is_loopback}
    names = {one.mac_address.lower(): one.name for one in interfaces if one.mac_address.lower() in by_mac}
    wrong = {mac: name for mac, name in names.items() if by_mac[mac].name != name}
    in_the_way = {mac for mac, link in by_mac.items() if link.name in wrong.values()}
    for mac in in_the_way | wrong.keys():
        # An interface that is up keeps its name on kernels before 6.2.
        inside.set_link(by_mac[mac].index, up=False)
    for mac in in_the_way:
        inside.set_link(by_mac[mac].index, name=_temporary(mac))
    for mac, name in wrong.items():
        inside.set_link(by_mac[mac].index, name=name)


def ensure_up(inside: Netlink, interface: Interface) -> Link | None:
    """With its MTU. None: it is not there."""
    link = next((link for link in inside.links() if link.mac == interface.mac_address.lower()), None)
    if link is not None:
        if link.mtu != interface.mtu:
            inside.set_link(link.index, mtu=interface.mtu)
        if not link.is_up:
            inside.set_link(link.index, up=True)
    return link


def ensure_loopback(inside: Netlink) -> None:
    for link in inside.links():
        if link.is_loopback and not link.is_up:
            inside.set_link(link.index, up=True)


def unwanted_links(inside: Netlink, interfaces: Iterable[Interface]) -> list[Link]:
    """NICs in the namespace that the spec does not name: about to be unplugged, or never ours."""
    wanted = {interface.mac_address.lower() for interface in interfaces}
    return [link for link in inside.links() if not link.is_loopback and link.mac and link.mac not in wanted]


def _temporary(mac: str) -> str:
    return "hy" + mac.replace(":", "")
