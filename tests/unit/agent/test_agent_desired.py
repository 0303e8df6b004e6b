"""What a spec's interface means for the kernel."""

import ipaddress

from hydria.agent.addresses import desired_routes, desired_rules, desired_vips
from hydria.agent.haproxy import _states
from hydria.agent.netlink import MAIN, VIP_TABLE, Link, Route, Rule
from hydria.model import spec
from hydria.model.heartbeat import NicCounters

LINK = Link(
    index=7, name="x", mac="x", mtu=1500, is_up=True, has_carrier=True, is_loopback=False, counters=NicCounters()
)


def interface(name: str, **changes: object) -> spec.Interface:
    values = {
        "addresses": ("203.0.113.105/24", "2001:db8::105/64"),
        "vips": ("203.0.113.100", "2001:db8::100"),
        "routes": (spec.Route(destination="0.0.0.0/0", nexthop="203.0.113.1"),),
        **changes,
    }
    return spec.Interface(mac_address="x", name=name, port_id="p", network_id="n", **values)


def test_vip_interface_has_its_routes_in_two_tables() -> None:
    found = desired_routes(interface("eth1"), LINK)
    default = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_address("203.0.113.1"))
    assert found == {
        Route(*default, 7, MAIN),
        Route(*default, 7, VIP_TABLE),
        Route(ipaddress.ip_network("203.0.113.0/24"), None, 7, VIP_TABLE),
        Route(ipaddress.ip_network("2001:db8::/64"), None, 7, VIP_TABLE),
    }


def test_member_interface_has_its_routes_only() -> None:
    found = desired_routes(interface("eth2"), LINK)
    assert [route.table for route in found] == [MAIN]
    assert desired_rules(interface("eth2")) == set()


def test_replies_of_each_vip_have_a_rule() -> None:
    assert desired_rules(interface("eth1")) == {
        Rule(ipaddress.ip_network("203.0.113.100/32")),
        Rule(ipaddress.ip_network("2001:db8::100/128")),
    }


def test_vip_that_is_the_ports_own_address_is_not_added_twice() -> None:
    own = interface("eth1", vips=("203.0.113.105", "2001:db8::100"))
    assert desired_vips(own) == [ipaddress.ip_interface("2001:db8::100/128")]


def test_servers_in_maintenance_are_not_carried_over_a_reload() -> None:
    head = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n"
    kept, left = "3 b 1 m1 192.0.2.1 2 0 1\n", "3 b 2 m2 192.0.2.2 0 5 1\n"
    assert _states(head + kept + left) == head + kept
