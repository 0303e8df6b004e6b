"""Who may reach an ordinary load balancer: the security group of its ports follows its listeners."""

import ipaddress
import time

import msgspec
import pytest
from controller_world import World
from hypothesis import given, settings
from hypothesis import strategies as st

from hydria.controller import security_groups
from hydria.drivers.cloud import SecurityGroupRule
from hydria.drivers.fakes import id_of
from hydria.model.flavor import FlavorData
from hydria.model.graph import Graph
from hydria.model.listener import Listener, ListenerProtocol
from hydria.model.load_balancer import LoadBalancer
from hydria.model.spec import ListenerSpec
from hydria.render import nftables

Rules = set[tuple[str, str | None, int | None, str | None]]
ALWAYS: Rules = {("IPv4", "icmp", 8, None), ("IPv6", "ipv6-icmp", 128, None)}


def group_of(world: World, lb: LoadBalancer) -> str:
    """The id of its only group, which the port of its amphora has, and no other."""
    (id_,) = (id_ for id_, group in world.cloud.security_groups.items() if group.name == f"lb-{lb.id}")
    (base,) = (port for port in world.cloud.ports.values() if port.name.startswith("octavia-lb-vrrp"))
    assert base.security_groups == (id_,)
    return id_


def admitted(world: World, lb: LoadBalancer) -> Rules:
    rules = list(world.cloud.security_groups[group_of(world, lb)].rules.values())
    assert len(rules) == len(set(rules))
    out = {rule for rule in rules if rule.direction == "egress"}
    assert out == {SecurityGroupRule(direction="egress", ethertype=version) for version in ("IPv4", "IPv6")}
    return {
        (rule.ethertype, rule.protocol, rule.port_range_min, rule.remote_ip_prefix)
        for rule in rules
        if rule.direction == "ingress"
    }


def anybody(port: int, protocol: str = "tcp") -> Rules:
    return {("IPv4", protocol, port, None), ("IPv6", protocol, port, None)}


def test_it_follows_the_listeners_through_every_change(world: World) -> None:
    lb = world.load_balancer()
    world.run()
    assert admitted(world, lb) == ALWAYS
    group = group_of(world, lb)
    web = world.listener(lb, 80)
    world.run()
    assert admitted(world, lb) == ALWAYS | anybody(80)
    world.change(lb.id, web, allowed_cidrs=["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"])
    world.run()
    some: Rules = {
        ("IPv4", "tcp", 80, "192.0.2.0/24"),
        ("IPv4", "tcp", 80, "198.51.100.7/32"),
        ("IPv6", "tcp", 80, "2001:db8::/32"),
    }
    assert admitted(world, lb) == ALWAYS | some
    names = Listener(id=world.new_id(), loadbalancer_id=lb.id, protocol="UDP", protocol_port=53)
    world.add(lb.id, names)
    world.change(lb.id, web, allowed_cidrs=["0.0.0.0/0", "2001:db8::/32"])
    world.run()
    wide: Rules = {("IPv4", "tcp", 80, None), ("IPv6", "tcp", 80, "2001:db8::/32")}
    assert admitted(world, lb) == ALWAYS | wide | anybody(53, "udp")
    world.change(lb.id, web, admin_state_up=False)
    world.run()
    assert admitted(world, lb) == ALWAYS | anybody(53, "udp")
    world.change(lb.id, web, admin_state_up=True, allowed_cidrs=None)
    world.remove(lb.id, names)
    world.run()
    assert admitted(world, lb) == ALWAYS | anybody(80)
    world.change(lb.id, world.graph(lb.id).load_balancer, admin_state_up=False)
    world.run()
    assert admitted(world, lb) == ALWAYS
    assert world.status(lb.id) == "ACTIVE"
    assert group_of(world, lb) == group


def test_again_asks_and_changes_nothing(world: World) -> None:
    lb = world.load_balancer()
    world.listener(lb)
    world.run()
    world.cloud.interruptions.calls.clear()
    for _ in range(2):
        world.loop.resync(0)
        world.run()
    assert {call for call in world.cloud.interruptions.calls if "security_group" in call} == {"find_security_groups"}


def test_drift_is_mended(world: World) -> None:
    lb = world.load_balancer()
    world.listener(lb)
    world.run()
    group = world.cloud.security_groups[group_of(world, lb)]
    group.rules.pop(next(iter(group.rules)))
    group.rules["of-somebody"] = SecurityGroupRule(ethertype="IPv4", protocol="tcp", port_range_min=22)
    (base,) = (port for port in world.cloud.ports.values() if port.name.startswith("octavia-lb-vrrp"))
    world.cloud.set_security_groups(base.id, [])
    world.loop.resync(0)
    world.run()
    assert admitted(world, lb) == ALWAYS | anybody(80)


def test_a_vf_has_none(world: World) -> None:
    lb = world.load_balancer(sriov=True)
    world.listener(lb)
    world.run()
    assert world.status(lb.id) == "ACTIVE"
    assert world.cloud.security_groups == {}
    assert not [call for call in world.cloud.interruptions.calls if "security_group" in call]


def test_a_port_without_port_security_has_none(world: World) -> None:
    world.cloud.add_network("open", "10.9.0.0/24", port_security=False)
    network = world.cloud.networks[id_of("network", "open")]
    lb = world.load_balancer(vip_network_id=network.id, vip_subnet_id=network.subnets[0], vip_address="10.9.0.9")
    world.run()
    assert world.status(lb.id) == "ACTIVE"
    assert world.cloud.security_groups == {}


def test_what_its_user_names_is_in_its_place(world: World) -> None:
    """As in Octavia: exactly these."""
    world.cloud.existing |= {("security-groups", "one"), ("security-groups", "two")}
    lb = world.load_balancer(vip_sg_ids=["one"])
    world.listener(lb)
    world.run()
    assert world.cloud.security_groups == {}

    def groups() -> set[str]:
        (base,) = (port for port in world.cloud.ports.values() if port.name.startswith("octavia-lb-vrrp"))
        return set(base.security_groups)

    assert groups() == {"one"}
    row = world.graph(lb.id).load_balancer
    world.change(lb.id, row, vip_sg_ids=["one", "two"])
    world.run()
    assert groups() == {"one", "two"}
    world.change(lb.id, row, vip_sg_ids=[])
    world.run()
    assert admitted(world, lb) == ALWAYS | anybody(80)
    world.change(lb.id, row, vip_sg_ids=["gone"])
    world.run()
    assert world.status(lb.id) == "ERROR"
    assert any("gone not found" in reason for reason in world.reasons(lb.id))


def test_a_quota_that_is_used_up_is_an_error_with_the_reason(world: World) -> None:
    world.cloud.most_security_groups = 0
    lb = world.load_balancer()
    world.run()
    assert world.status(lb.id) == "ERROR"
    assert any("Quota exceeded for resources: ['security_group']" in reason for reason in world.reasons(lb.id))
    assert world.cloud.servers == ()
    world.cloud.most_security_groups = 1
    world.touch(lb.id)
    world.run()
    assert world.status(lb.id) == "ACTIVE"


def test_a_second_one_made_by_a_late_call_goes_with_the_load_balancer(world: World) -> None:
    lb = world.load_balancer()
    world.run()
    first = group_of(world, lb)
    world.cloud.create_security_group(f"lb-{lb.id}")
    world.listener(lb)
    world.run()
    (base,) = (port for port in world.cloud.ports.values() if port.name.startswith("octavia-lb-vrrp"))
    assert base.security_groups == (first,)
    world.delete(lb.id)
    world.run()
    assert world.cloud.security_groups == {}
    world.cloud.create_security_group(f"lb-{lb.id}")
    assert world.sweeper.sweep(time.monotonic() + 1000) == 1
    assert world.cloud.security_groups == {}


def test_management_ports_get_the_groups_of_the_configuration(world: World) -> None:
    controller = msgspec.structs.replace(world.config.controller, amphora_security_groups=("management",))
    world.config = msgspec.structs.replace(world.config, controller=controller)
    world.start()
    world.load_balancer()
    world.run()
    (guest,) = world.cloud.guests.values()
    assert guest.request.security_groups == ("management",)


def graph(lb: LoadBalancer, *listeners: Listener) -> Graph:
    return Graph(load_balancer=lb, generation=1, listeners=listeners, flavor=FlavorData())


@pytest.mark.parametrize("named", [[], ["of-the-user"]], ids=["own", "named by the user"])
def test_amphorae_of_a_pair_hear_each_other_and_nobody_else(named: list[str]) -> None:
    lb = LoadBalancer(id="lb", topology="ACTIVE_STANDBY", vip_sg_ids=named)
    listener = Listener(id="l", loadbalancer_id="lb", protocol="HTTP", protocol_port=80)
    rules = security_groups.rules(graph(lb, listener), "group")
    among = {(rule.ethertype, rule.protocol, rule.port_range_min) for rule in rules if rule.remote_group_id == "group"}
    assert among == {(version, *what) for version in ("IPv4", "IPv6") for what in (("112", None), ("tcp", 1025))}
    alone = security_groups.rules(graph(msgspec.structs.replace(lb, topology="SINGLE"), listener), "group")
    assert not any(rule.remote_group_id for rule in alone)
    assert any(rule.port_range_min == 80 for rule in rules) is (not named)


CIDRS = st.one_of(
    st.sampled_from(["0.0.0.0/0", "::/0", "10.0.0.0/8", "10.128.0.0/9", "2001:db8::/32", "2001:db8:1::/48"]),
    st.ip_addresses().map(str).map(lambda address: f"{address}/{128 if ':' in address else 32}"),
)
LISTENERS = st.lists(
    st.tuples(
        st.sampled_from(["HTTP", "TCP", "HTTPS", "UDP", "SCTP"]),
        st.integers(1, 65535),
        st.none() | st.lists(CIDRS, max_size=4),
    ),
    max_size=4,
    unique_by=lambda item: item[1],
)


def by_nftables(listeners: list[ListenerSpec]) -> set[tuple[int, str, int, str | None]]:
    commands = msgspec.json.decode(nftables.render(listeners))["nftables"]
    sets = {one["name"]: one.get("elem", []) for one in (c["add"].get("set") for c in commands if "add" in c) if one}
    found: set[tuple[int, str, int, str | None]] = set()
    for version in (4, 6):
        found |= {(version, *element["concat"], None) for element in sets[f"anyone{version}"]}
        for prefix, protocol, port in (element["concat"] for element in sets[f"allowed{version}"]):
            network = ipaddress.ip_network(f"{prefix['prefix']['addr']}/{prefix['prefix']['len']}")
            found.add((version, protocol, port, str(network)))
    return found


@settings(deadline=None)
@given(LISTENERS)
def test_it_admits_to_listeners_exactly_what_the_amphoras_own_firewall_does(
    asked: list[tuple[ListenerProtocol, int, list[str] | None]],
) -> None:
    services = [
        {"protocol": protocol, "protocol_port": port, "allowed_cidrs": cidrs} for protocol, port, cidrs in asked
    ]
    listeners = [Listener(id=str(n), loadbalancer_id="lb", **service) for n, service in enumerate(services)]
    specs = [ListenerSpec(id=str(n), **service) for n, service in enumerate(services)]
    rules = security_groups.rules(graph(LoadBalancer(id="lb"), *listeners), "group")
    admitted = {
        (int(rule.ethertype[-1]), rule.protocol, rule.port_range_min, rule.remote_ip_prefix)
        for rule in rules
        if rule.direction == "ingress" and rule.protocol not in ("icmp", "ipv6-icmp")
    }
    assert admitted == by_nftables(specs)
