import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydria.controller import desired
from hydria.controller.desired import Nics
from hydria.drivers.cloud import FixedIp, Network, Port, Subnet
from hydria.model.graph import Graph, PoolNode
from hydria.model.listener import Listener
from hydria.model.load_balancer import AdditionalVip, LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool, SessionPersistence
from hydria.model.spec import Heartbeats, Interface, Route, Spec

SUBNETS = {
    "vip4": Subnet(id="vip4", network_id="vip", cidr="203.0.113.0/24", gateway_ip="203.0.113.1"),
    "vip6": Subnet(id="vip6", network_id="vip", cidr="2001:db8:1::/64", ip_version=6, gateway_ip="2001:db8:1::1"),
    "routed": Subnet(
        id="routed",
        network_id="vip",
        cidr="203.0.113.0/25",
        gateway_ip="203.0.113.1",
        host_routes=(
            Route(destination="0.0.0.0/0", nexthop="203.0.113.9"),
            Route(destination="10.0.0.0/8", nexthop="203.0.113.8"),
        ),
    ),
    "isolated": Subnet(id="isolated", network_id="vip", cidr="203.0.113.0/24"),
    "m": Subnet(
        id="m",
        network_id="a",
        cidr="192.0.2.0/24",
        gateway_ip="192.0.2.1",
        host_routes=(
            Route(destination="0.0.0.0/0", nexthop="192.0.2.9"),
            Route(destination="198.51.100.0/24", nexthop="192.0.2.8"),
        ),
    ),
}
NETWORKS = {id_: Network(id=id_, mtu=mtu) for id_, mtu in (("vip", 1500), ("a", 9000), ("b", 1450))}


def port(id_: str, network: str, *ips: tuple[str, str], age: int = 0) -> Port:
    return Port(
        id=id_,
        network_id=network,
        mac_address=f"mac-{id_}",
        fixed_ips=tuple(FixedIp(subnet_id=subnet, ip_address=ip) for subnet, ip in ips),
        created_at=f"2026-01-01T00:00:0{age}Z",
    )


def nics(base: Port | None = None, *members: Port, names: dict[str, str] | None = None) -> Nics:
    base = base or port("base", "vip", ("vip4", "203.0.113.20"))
    return Nics(vip=base, members=members, networks=NETWORKS, subnets=SUBNETS, names=names or {})


def graph(**values: object) -> Graph:
    lb = LoadBalancer(id="lb", vip_address="203.0.113.10", vip_network_id="vip", vip_subnet_id="vip4")
    return Graph(**{"load_balancer": lb, "generation": 7, **values})


def spec(world: Graph, plugged: Nics | None = None, unserved: frozenset[str] = frozenset()) -> Spec:
    return desired.spec(world, "amphora", plugged or nics(), unserved=unserved, heartbeats=Heartbeats())


ROUTES: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str | None]]]] = {
    "gateway": ([("vip4", "203.0.113.20")], [("0.0.0.0/0", "203.0.113.1")]),
    "no gateway": ([("isolated", "203.0.113.20")], []),
    "both families": (
        [("vip4", "203.0.113.20"), ("vip6", "2001:db8:1::20")],
        [("0.0.0.0/0", "203.0.113.1"), ("::/0", "2001:db8:1::1")],
    ),
    "a host route beats the gateway": (
        [("routed", "203.0.113.20")],
        [("0.0.0.0/0", "203.0.113.9"), ("10.0.0.0/8", "203.0.113.8")],
    ),
    "two subnets, one default route": (
        [("vip4", "203.0.113.20"), ("routed", "203.0.113.21")],
        [("0.0.0.0/0", "203.0.113.1"), ("10.0.0.0/8", "203.0.113.8")],
    ),
}


@pytest.mark.parametrize("case", ROUTES)
def test_routes_of_the_vip_interface(case: str) -> None:
    ips, routes = ROUTES[case]
    (nic,) = desired.interfaces(graph(), nics(port("base", "vip", *ips)))
    assert [(route.destination, route.nexthop) for route in nic.routes] == routes


def test_the_vip_interface() -> None:
    lb = LoadBalancer(
        id="lb",
        vip_address="203.0.113.10",
        additional_vips=[AdditionalVip(subnet_id="vip6", ip_address="2001:db8:1::10", port_id="p")],
    )
    base = port("base", "vip", ("vip4", "203.0.113.20"), ("vip6", "2001:db8:1::20"))
    (nic,) = desired.interfaces(graph(load_balancer=lb), nics(base))
    assert nic == Interface(
        mac_address="mac-base",
        name="eth1",
        port_id="base",
        network_id="vip",
        addresses=("203.0.113.20/24", "2001:db8:1::20/64"),
        vips=("203.0.113.10", "2001:db8:1::10"),
        routes=nic.routes,
    )


def test_a_member_interface_has_host_routes_and_no_default_route() -> None:
    _, nic = desired.interfaces(graph(), nics(None, port("m", "a", ("m", "192.0.2.20"))))
    assert (nic.name, nic.mtu, nic.addresses, nic.vips) == ("eth2", 9000, ("192.0.2.20/24",), ())
    assert nic.routes == (Route(destination="198.51.100.0/24", nexthop="192.0.2.8"),)


@pytest.mark.parametrize(
    ("ages", "names", "expected"),
    [
        ({"x": 1, "y": 2}, {}, {"x": "eth2", "y": "eth3"}),
        ({"x": 2, "y": 1}, {}, {"x": "eth3", "y": "eth2"}),
        ({"y": 2}, {"mac-x": "eth2", "mac-y": "eth3"}, {"y": "eth3"}),
        ({"y": 2, "z": 3}, {"mac-x": "eth2", "mac-y": "eth3"}, {"y": "eth3", "z": "eth2"}),
        ({"z": 1, "y": 2}, {"mac-y": "eth2"}, {"z": "eth3", "y": "eth2"}),
        ({"x": 1}, {"mac-base": "eth1", "mac-x": "eth1"}, {"x": "eth2"}),
    ],
    ids=[
        "by age",
        "by age, not by id",
        "the first went",
        "a new one fills the gap",
        "who is there stays",
        "never eth1",
    ],
)
def test_names_of_member_interfaces(ages: dict[str, int], names: dict[str, str], expected: dict[str, str]) -> None:
    ports = [port(id_, "a", age=age) for id_, age in ages.items()]
    _, *others = desired.interfaces(graph(), nics(None, *ports, names=names))
    assert {nic.port_id: nic.name for nic in others} == expected


def pool(id_: str, *members: Member, **values: object) -> PoolNode:
    monitor = values.pop("health_monitor", None)
    made = Pool(id=id_, loadbalancer_id="lb", protocol="HTTP", lb_algorithm="ROUND_ROBIN", **values)
    return PoolNode(pool=made, members=members, health_monitor=monitor)


def listener(id_: str, **values: object) -> Listener:
    return Listener(**{"id": id_, "loadbalancer_id": "lb", "protocol": "HTTP", "protocol_port": 80, **values})


def a_member(id_: str, **values: object) -> Member:
    return Member(**{"id": id_, "pool_id": "p", "address": "192.0.2.10", "protocol_port": 80, **values})


def test_what_users_said_is_in_the_spec_under_the_same_name() -> None:
    world = graph(
        listeners=(listener("l", allowed_cidrs=["192.0.2.0/24"], default_pool_id="p", connection_limit=5),),
        pools=(
            pool(
                "p",
                a_member("m", weight=3, backup=True, monitor_port=8080),
                session_persistence=SessionPersistence(type="HTTP_COOKIE"),
                health_monitor=HealthMonitor(
                    id="h", pool_id="p", type="HTTP", delay=1, timeout=2, max_retries=3, url_path="/x"
                ),
            ),
        ),
    )
    made = spec(world)
    assert (made.amphora_id, made.load_balancer_id, made.generation) == ("amphora", "lb", 7)
    (front,), (back,) = made.listeners, made.pools
    assert (front.allowed_cidrs, front.default_pool_id, front.connection_limit) == (("192.0.2.0/24",), "p", 5)
    (server,) = back.members
    assert (server.weight, server.backup, server.monitor_port) == (3, True, 8080)
    assert back.session_persistence == SessionPersistence(type="HTTP_COOKIE")
    assert back.health_monitor is not None
    assert back.health_monitor.url_path == "/x"


def test_h22_disabled_things_are_not_served() -> None:
    world = graph(
        listeners=(listener("off", admin_state_up=False), listener("on", default_pool_id="off")),
        pools=(
            pool("off", admin_state_up=False),
            pool(
                "on",
                a_member("m", admin_state_up=False),
                health_monitor=HealthMonitor(
                    id="h", pool_id="on", type="TCP", delay=1, timeout=1, max_retries=1, admin_state_up=False
                ),
            ),
        ),
    )
    made = spec(world)
    assert [(item.id, item.default_pool_id) for item in made.listeners] == [("on", None)]
    assert [(item.id, item.health_monitor) for item in made.pools] == [("on", None)]
    assert [item.admin_state_up for item in made.pools[0].members] == [False]


def test_members_without_a_way_to_them_are_left_out() -> None:
    made = spec(graph(pools=(pool("p", a_member("m"), a_member("n")),)), unserved=frozenset({"m"}))
    assert [member.id for member in made.pools[0].members] == ["n"]


def test_a_disabled_load_balancer_keeps_its_interfaces() -> None:
    lb = LoadBalancer(id="lb", vip_address="203.0.113.10", admin_state_up=False)
    made = spec(graph(load_balancer=lb))
    assert not made.admin_state_up
    assert made.interfaces


@given(
    st.permutations([port(id_, network, ("m", f"192.0.2.{age}"), age=age) for id_, network, age in
                     (("x", "a", 1), ("y", "a", 2), ("z", "b", 2))]),
    st.dictionaries(st.sampled_from(["mac-x", "mac-y", "mac-z"]), st.sampled_from(["eth2", "eth5"])),
)  # fmt: skip
def test_the_same_world_gives_the_same_spec(ports: list[Port], names: dict[str, str]) -> None:
    if len(set(names.values())) < len(names):
        return
    created = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    world = graph(pools=(pool("p", a_member("m", created_at=created)),))
    first = spec(world, nics(None, *ports, names=names))
    assert spec(world, nics(None, *sorted(ports, key=lambda item: item.id), names=names)) == first
    assert len({nic.name for nic in first.interfaces}) == 4
