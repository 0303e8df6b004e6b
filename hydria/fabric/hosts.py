"""Test hosts: named namespaces with a NIC `eth0` on one of the fabric's bridges. A client, a backend."""

import hashlib
from collections.abc import Sequence
from ipaddress import ip_interface
from pathlib import Path

from msgspec import Struct

from hydria.base.errors import Conflict, invalid_field, not_found
from hydria.fabric import addresses as test_addresses
from hydria.fabric import guard, ports, teardown
from hydria.sriov import namespaces
from hydria.sriov.netlink import Netlink
from hydria.sriov.tag import Tag

NIC = "eth0"


class TestHost(Struct, frozen=True):
    __test__ = False  # not a test case, whatever its name begins with

    name: str
    physical_network: str
    addresses: tuple[str, ...]
    """ADDRESS/LENGTH."""


def add(fabric: str, name: str, physical_network: str, addresses: Sequence[str] = ()) -> TestHost:
    """Make the host; without `addresses` free ones of the network's test subnets are picked.

    May run twice. Raises Conflict when the name or an address is taken.
    """
    wanted = test_addresses.parse(addresses)
    namespaces.named(name)
    with namespaces.locked(namespaces.named(fabric)):
        _check_network(fabric, physical_network)
        others = {host.name: host for host in listing(fabric)}
        if (present := others.pop(name, None)) is not None:
            return _check_same(present, physical_network, {str(interface) for interface in wanted})
        if namespaces.named(name).exists():
            raise Conflict(f"Network namespace {name} exists and is not a host of fabric {fabric}.")
        taken = {ip_interface(text).ip: host.name for host in others.values() for text in host.addresses}
        for interface in wanted:
            if interface.ip in taken:
                raise Conflict(f"Address {interface.ip} is taken by host {taken[interface.ip]}.")
        chosen = wanted or test_addresses.pick(physical_network, taken)
        host = TestHost(name, physical_network, tuple(str(interface) for interface in chosen))
        namespaces.create(name, lambda made: _furnish(fabric, host, made))
    return host


def remove(fabric: str, name: str) -> None:
    """Kill what runs in it and remove it. Raises NotFound."""
    with namespaces.locked(namespaces.named(fabric)):
        if teardown.marked().get(name) != _tag(fabric, name):
            raise not_found("Host", name)
        namespaces.kill_processes({namespaces.inode(namespaces.named(name))})
        # Explicitly, as the kernel takes its time with the namespace, and the port should be gone when we return.
        with Netlink(namespaces.named(fabric)) as netlink:
            if (port := netlink.link(_port_name(name))) is not None:
                netlink.delete_link(port.index)
        namespaces.delete(name)


def listing(fabric: str) -> list[TestHost]:
    with Netlink(namespaces.named(fabric)) as netlink:
        bridges = {link.index: link.tag.id for link in netlink.links() if link.tag and link.tag.kind == "bridge"}
        ports = {link.tag.id: link for link in netlink.links() if link.tag and link.tag.kind == "host"}
    names = [name for name, tag in teardown.marked().items() if tag == _tag(fabric, name)]
    return [
        TestHost(name, bridges.get(ports[name].master or 0, "") if name in ports else "", _addresses(name))
        for name in names
    ]


def _check_network(fabric: str, physical_network: str) -> None:
    with Netlink(namespaces.named(fabric)) as netlink:
        if netlink.link(ports.bridge_name(physical_network)) is None:
            raise invalid_field("network", physical_network, f"Fabric {fabric} has no such physical network.")


def _check_same(present: TestHost, physical_network: str, addresses: set[str]) -> TestHost:
    if present.physical_network != physical_network or (addresses and addresses != set(present.addresses)):
        raise Conflict(
            f"Host {present.name} exists with other settings: "
            f"network {present.physical_network}, addresses {', '.join(present.addresses)}."
        )
    return present


def _furnish(fabric: str, host: TestHost, made: Path) -> None:
    tag = _tag(fabric, host.name)
    port = _port_name(host.name)
    teardown.mark(made, tag)
    ports.configure(made, "lo", ())
    guard.ensure(made)
    with Netlink(namespaces.named(fabric)) as netlink:
        bridge = netlink.need(ports.bridge_name(host.physical_network))
        # A host that was interrupted before it had its name is still being cleaned up by the kernel.
        if (left := netlink.link(port)) is not None:
            netlink.delete_link(left.index)
        netlink.add_veth(port, peer=NIC, peer_namespace=made, master=bridge.index)
        netlink.set_link(netlink.need(port).index, up=True, tag=tag)
    ports.configure(made, NIC, host.addresses)


def _addresses(name: str) -> tuple[str, ...]:
    try:
        with Netlink(namespaces.named(name)) as netlink:
            nic = netlink.link(NIC)
            return tuple(netlink.addresses(nic.index)) if nic else ()
    except namespaces.NoNamespace:
        return ()


def _tag(fabric: str, name: str) -> Tag:
    return Tag(fabric, "host", name)


def _port_name(name: str) -> str:
    return f"host{hashlib.sha256(name.encode()).hexdigest()[:11]}"
