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


def ensure_links(namespace: Namespace, inside: Netlink, interfaces: Sequence[Interface]) -> dict[str, Link]:
    """Bring every NIC that is there to its name in the namespace, and up. Gives them by port_id."""
    _move_in(namespace, inside, {interface.mac_address.lower() for interface in interfaces})
    by_mac = {link.mac: link for link in inside.links() if not link.is_loopback}
    found = {one.port_id: by_mac[one.mac_address.lower()] for one in interfaces if one.mac_address.lower() in by_mac}
    names = {one.port_id: one.name for one in interfaces}
    _rename(inside, {link: names[port_id] for port_id, link in found.items()}, by_mac.values())
    for interface in interfaces:
        link = found.get(interface.port_id)
        if link is not None and link.mtu != interface.mtu:
            inside.set_link(link.index, mtu=interface.mtu)
    current = {link.index: link for link in inside.links()}
    for link in current.values():
        if not link.is_up and (link.is_loopback or any(link.index == one.index for one in found.values())):
            inside.set_link(link.index, up=True)
    return {port_id: current[link.index] for port_id, link in found.items()}


def unwanted_links(inside: Netlink, interfaces: Iterable[Interface]) -> list[Link]:
    """NICs in the namespace that the spec does not name: about to be unplugged, or never ours."""
    wanted = {interface.mac_address.lower() for interface in interfaces}
    return [link for link in inside.links() if not link.is_loopback and link.mac and link.mac not in wanted]


def _move_in(namespace: Namespace, inside: Netlink, macs: set[str]) -> None:
    with Netlink() as outside:
        arriving = [link for link in outside.links() if link.mac in macs and not link.is_loopback]
        if not arriving:
            return
        descriptor = namespace.open()
        try:
            taken = {link.index for link in inside.links()}
            for link in arriving:
                # The index may be taken in there, and so may be the name: this one cannot be.
                name = _temporary(link.index) if link.index not in taken else _temporary(link.index + 100_000)
                outside.move_link(link.index, descriptor, name)
        finally:
            os.close(descriptor)


def _temporary(number: int) -> str:
    return f"hy{number}"


def _rename(inside: Netlink, wanted: dict[Link, str], present: Iterable[Link]) -> None:
    """First everybody out of the way, then each to its own name: so that two can swap."""
    wrong = {link: name for link, name in wanted.items() if link.name != name}
    targets = set(wrong.values())
    in_the_way = [link for link in present if link.name in targets and wanted.get(link) != link.name]
    for link in {*wrong, *in_the_way}:
        # An interface that is up keeps its name on kernels before 6.2.
        inside.set_link(link.index, up=False)
    for link in in_the_way:
        inside.set_link(link.index, name=_temporary(200_000 + link.index))
    for link, name in wrong.items():
        inside.set_link(link.index, name=name)
