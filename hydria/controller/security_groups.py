"""The security group of a load balancer's ordinary ports: it lets in what the amphora's own firewall lets in.

In a cloud the port has its project's default group otherwise, which lets no client in; and an amphora image without
nftables has nothing else. A VF has none: no driver of Neutron's applies one there.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import msgspec

from hydria.base.log import Logger
from hydria.controller import names
from hydria.controller.outside import Outside
from hydria.controller.parallel import together
from hydria.drivers.cloud import Ethertype, Port, SecurityGroup, SecurityGroupRule
from hydria.model.graph import Graph
from hydria.model.load_balancer import LoadBalancer
from hydria.model.spec import PEERS_PORT
from hydria.render.admission import VRRP, Version, sources, transport

_ETHERTYPES: Mapping[Version, Ethertype] = {4: "IPv4", 6: "IPv6"}
_ECHO_REQUESTS = (
    SecurityGroupRule(ethertype="IPv4", protocol="icmp", port_range_min=8),
    SecurityGroupRule(ethertype="IPv6", protocol="ipv6-icmp", port_range_min=128),
)
_OUT = tuple(SecurityGroupRule(direction="egress", ethertype=ethertype) for ethertype in _ETHERTYPES.values())

log = Logger(__name__)


def ensure_security_groups(outside: Outside, graph: Graph, port: Port) -> None:
    """Of a port that carries the VIPs: its load balancer's own group, whose rules are kept, or those its user names."""
    if port.vnic_type == "direct" or not port.port_security:
        return
    lb = graph.load_balancer
    wanted = list(lb.vip_sg_ids)
    if _has_own(lb):
        wanted.append(_ensure_group(outside, graph).id)
    if set(port.security_groups) != set(wanted):
        outside.cloud.set_security_groups(port.id, wanted)


def rules(graph: Graph, group_id: str) -> frozenset[SecurityGroupRule]:
    """All that the group `group_id` has to hold. Pure."""
    lb = graph.load_balancer
    found = [*_OUT]
    if not lb.vip_sg_ids:
        found += [*_ECHO_REQUESTS, *_listeners(graph)]
    if lb.topology == "ACTIVE_STANDBY":
        found += _peers(group_id)
    return frozenset(found)


def _has_own(lb: LoadBalancer) -> bool:
    """With groups of their user's, ports need one only for what amphorae say to each other."""
    return not lb.vip_sg_ids or lb.topology == "ACTIVE_STANDBY"


def _ensure_group(outside: Outside, graph: Graph) -> SecurityGroup:
    cloud, name = outside.cloud, names.security_group(graph.load_balancer.id)
    # A call of a killed process may make a second one: all take the elder, and both go with the load balancer.
    group = next(iter(cloud.find_security_groups(name)), None)
    if group is None:
        group = cloud.create_security_group(name)
        log.info("security group created", load_balancer_id=graph.load_balancer.id, security_group_id=group.id)
    wanted, there = rules(graph, group.id), set(group.rules.values())
    if missing := sorted(wanted - there, key=repr):
        cloud.add_security_group_rules(group.id, missing)
    superfluous = [id_ for id_, rule in group.rules.items() if rule not in wanted]
    together([partial(cloud.remove_security_group_rule, id_) for id_ in superfluous])
    return group


def _listeners(graph: Graph) -> Iterator[SecurityGroupRule]:
    if not graph.load_balancer.admin_state_up:
        return
    for listener in graph.listeners:
        if listener.admin_state_up:
            for version, ethertype in _ETHERTYPES.items():
                to = _service(ethertype, transport(listener), listener.protocol_port)
                networks = sources(listener, version)
                for prefix in [None] if networks is None else map(str, networks):
                    yield msgspec.structs.replace(to, remote_ip_prefix=prefix)


def _peers(group_id: str) -> Iterator[SecurityGroupRule]:
    """Those that have the same group: VRRP, and HAProxy's peers protocol."""
    for ethertype in _ETHERTYPES.values():
        vrrp = SecurityGroupRule(ethertype=ethertype, protocol=str(VRRP))
        for rule in (vrrp, _service(ethertype, "tcp", PEERS_PORT)):
            yield msgspec.structs.replace(rule, remote_group_id=group_id)


def _service(ethertype: Ethertype, protocol: str, port: int) -> SecurityGroupRule:
    return SecurityGroupRule(ethertype=ethertype, protocol=protocol, port_range_min=port, port_range_max=port)
