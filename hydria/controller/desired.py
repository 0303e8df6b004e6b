"""From a graph and the ports it has to the spec of its amphora. Pure: the same input gives the same spec."""

import ipaddress
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from hydria.drivers.cloud import Network, Port, Subnet
from hydria.model.graph import Graph, PoolNode
from hydria.model.pool import Member
from hydria.model.spec import (
    VIP_INTERFACE,
    HealthMonitorSpec,
    Heartbeats,
    Interface,
    ListenerSpec,
    MemberSpec,
    PoolSpec,
    Route,
    Spec,
)

_DEFAULT_ROUTES = {4: "0.0.0.0/0", 6: "::/0"}


@dataclass(frozen=True)
class Nics:
    """What an amphora is plugged into, and what is known about it."""

    vip: Port
    members: Sequence[Port]
    networks: Mapping[str, Network]
    subnets: Mapping[str, Subnet]
    names: Mapping[str, str] = field(default_factory=dict)
    """MAC address → name of interfaces that the amphora has already: renaming one would interrupt its traffic."""


def spec(
    graph: Graph,
    amphora_id: str,
    nics: Nics,
    *,
    unserved: Collection[str],
    heartbeats: Heartbeats,
    threads: int | None = None,
) -> Spec:
    """`graph` holds nothing that is being deleted; `unserved` are members without a way to them."""
    pools = tuple(_pool(node, unserved) for node in graph.pools if node.pool.admin_state_up)
    served = {pool.id for pool in pools}
    lb = graph.load_balancer
    return Spec(
        amphora_id=amphora_id,
        load_balancer_id=lb.id,
        generation=graph.generation,
        admin_state_up=lb.admin_state_up,
        interfaces=interfaces(graph, nics),
        listeners=tuple(
            _listener(msgspec.convert(listener, ListenerSpec, from_attributes=True), served)
            for listener in graph.listeners
            if listener.admin_state_up
        ),
        pools=pools,
        heartbeats=heartbeats,
        threads=threads,
    )


def members(graph: Graph) -> tuple[Member, ...]:
    return tuple(member for node in graph.pools for member in node.members)


def vip_addresses(graph: Graph) -> tuple[str, ...]:
    """The VIP, then the additional ones."""
    lb = graph.load_balancer
    addresses = (lb.vip_address, *(vip.ip_address for vip in lb.additional_vips))
    return tuple(address for address in addresses if address is not None)


def interfaces(graph: Graph, nics: Nics) -> tuple[Interface, ...]:
    names = _names(nics)
    return (
        _interface(nics, nics.vip, VIP_INTERFACE, vip_addresses(graph), default_route=True),
        *(
            _interface(nics, port, names[port.mac_address], (), default_route=False)
            for port in sorted(nics.members, key=_age)
        ),
    )


def _age(port: Port) -> tuple[str, str]:
    return (port.created_at, port.id)


def _names(nics: Nics) -> dict[str, str]:
    """Of the member NICs: what they are called already, else the lowest free number from eth2 on, the oldest first."""
    macs = [port.mac_address for port in sorted(nics.members, key=_age)]
    names = {mac: nics.names[mac] for mac in macs if nics.names.get(mac, VIP_INTERFACE) != VIP_INTERFACE}
    free = (name for name in map("eth{}".format, itertools.count(2)) if name not in names.values())
    for mac in macs:
        if mac not in names:
            names[mac] = next(free)
    return names


def _interface(nics: Nics, port: Port, name: str, vips: tuple[str, ...], *, default_route: bool) -> Interface:
    subnets = [nics.subnets[ip.subnet_id] for ip in port.fixed_ips if ip.subnet_id in nics.subnets]
    return Interface(
        mac_address=port.mac_address,
        name=name,
        port_id=port.id,
        network_id=port.network_id,
        vnic_type=port.vnic_type,
        mtu=nics.networks[port.network_id].mtu,
        addresses=tuple(
            f"{ip.ip_address}/{ipaddress.ip_network(nics.subnets[ip.subnet_id].cidr).prefixlen}"
            for ip in port.fixed_ips
            if ip.subnet_id in nics.subnets
        ),
        vips=vips,
        routes=_routes(subnets, default_route=default_route),
    )


def _routes(subnets: Iterable[Subnet], *, default_route: bool) -> tuple[Route, ...]:
    """One per destination. A host route beats the gateway, as in Neutron; members never bring a default route."""
    routes: dict[str, Route] = {}
    for subnet in subnets:
        default = _DEFAULT_ROUTES[subnet.ip_version]
        for route in subnet.host_routes:
            if default_route or route.destination != default:
                routes.setdefault(route.destination, route)
        if default_route and subnet.gateway_ip is not None:
            routes.setdefault(default, Route(destination=default, nexthop=subnet.gateway_ip))
    return tuple(routes.values())


def _listener(listener: ListenerSpec, served: Collection[str]) -> ListenerSpec:
    if listener.default_pool_id is None or listener.default_pool_id in served:
        return listener
    return msgspec.structs.replace(listener, default_pool_id=None)


def _pool(node: PoolNode, unserved: Collection[str]) -> PoolSpec:
    pool, monitor = node.pool, node.health_monitor
    return PoolSpec(
        id=pool.id,
        protocol=pool.protocol,
        lb_algorithm=pool.lb_algorithm,
        session_persistence=pool.session_persistence,
        members=tuple(
            msgspec.convert(member, MemberSpec, from_attributes=True)
            for member in node.members
            if member.id not in unserved
        ),
        health_monitor=msgspec.convert(monitor, HealthMonitorSpec, from_attributes=True)
        if monitor is not None and monitor.admin_state_up
        else None,
    )
