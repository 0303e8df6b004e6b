"""Addresses, routes and rules of the namespace: read, add what is missing, take away what is ours and extra."""

import ipaddress
from collections.abc import Iterable, Mapping

from hydria.agent.netlink import VIP_TABLE as TABLE
from hydria.agent.netlink import Address, Link, Netlink, Route, Rule
from hydria.model.spec import VIP_INTERFACE, Interface


def ensure_addresses(netlink: Netlink, link: Link, interface: Interface) -> bool:
    """Whether something changed."""
    fixed = [ipaddress.ip_interface(text) for text in interface.addresses]
    vips = desired_vips(interface)
    present = netlink.addresses().get(link.index, set())
    # The port's own first: the kernel prefers the older one as a source.
    for address in [*fixed, *vips]:
        if address not in present:
            netlink.add_address(link.index, address, for_answers_only=address in vips)
    extra = present - {*fixed, *vips}
    for address in extra:
        netlink.delete_address(link.index, address)
    return bool(extra) or not {*fixed, *vips} <= present


def desired_vips(interface: Interface) -> list[Address]:
    """/32 and /128, unless the port has that address anyway."""
    own = {ipaddress.ip_interface(text).ip for text in interface.addresses}
    return [ipaddress.ip_interface(vip) for vip in interface.vips if ipaddress.ip_address(vip) not in own]


def ensure_routes(netlink: Netlink, links: Mapping[str, Link], interfaces: Iterable[Interface]) -> None:
    """Add what is missing."""
    routes, rules = _desired(links, interfaces)
    for route in sorted(routes - netlink.routes(), key=lambda route: route.nexthop is not None):
        netlink.set_route(route)
    for rule in rules - netlink.rules():
        netlink.add_rule(rule)


def remove_other_routes(netlink: Netlink, links: Mapping[str, Link], interfaces: Iterable[Interface]) -> None:
    routes, rules = _desired(links, interfaces)
    for route in netlink.routes() - routes:
        netlink.delete_route(route)
    for rule in netlink.rules() - rules:
        netlink.delete_rule(rule)


def _desired(links: Mapping[str, Link], interfaces: Iterable[Interface]) -> tuple[set[Route], set[Rule]]:
    present = [one for one in interfaces if one.port_id in links]
    routes = {route for interface in present for route in desired_routes(interface, links[interface.port_id])}
    return routes, {rule for interface in present for rule in desired_rules(interface)}


def desired_routes(interface: Interface, link: Link) -> set[Route]:
    """The spec's routes; those of the VIP's interface also in the table that replies from a VIP are looked up in."""
    given = {
        Route(
            destination=ipaddress.ip_network(route.destination, strict=False),
            nexthop=None if route.nexthop is None else ipaddress.ip_address(route.nexthop),
            interface=link.index,
        )
        for route in interface.routes
    }
    if interface.name != VIP_INTERFACE:
        return given
    networks = {ipaddress.ip_interface(text).network for text in interface.addresses}
    on_link = {Route(destination=network, nexthop=None, interface=link.index) for network in networks}
    copies = {
        Route(destination=route.destination, nexthop=route.nexthop, interface=route.interface, table=TABLE)
        for route in given | on_link
    }
    return given | copies


def desired_rules(interface: Interface) -> set[Rule]:
    """Replies from a VIP leave by its interface, whatever networks the members' interfaces lead to."""
    if interface.name != VIP_INTERFACE:
        return set()
    return {Rule(ipaddress.ip_network(vip)) for vip in interface.vips}


def flush(netlink: Netlink, link: Link) -> None:
    for address in netlink.addresses().get(link.index, set()):
        netlink.delete_address(link.index, address)
    if link.is_up:
        netlink.set_link(link.index, up=False)


def shares_network(netlink: Netlink, link: Link, interfaces: Iterable[Interface]) -> bool:
    """Whether one of the interfaces is to have an address in a network of the link's: it takes the link's place."""
    wanted = {ipaddress.ip_interface(text).network for interface in interfaces for text in interface.addresses}
    present = netlink.addresses().get(link.index, set())
    return any(not address.network.is_link_local and address.network in wanted for address in present)
