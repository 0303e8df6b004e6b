"""Rules between fields: each combination that the API documents, allowed and not."""

import itertools
from typing import Any

import pytest

from hydria.base.errors import Conflict, Invalid
from hydria.model import rules
from hydria.model.flavor import FlavorData
from hydria.model.listener import Listener, layer4
from hydria.model.load_balancer import AdditionalVip, LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool, SessionPersistence

PROTOCOLS = ("TCP", "UDP", "SCTP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "PROMETHEUS")
LB = LoadBalancer(id="lb", vip_address="203.0.113.5")


def listener(**values: Any):
    return Listener(**{"id": "l1", "loadbalancer_id": "lb", "protocol": "HTTP", "protocol_port": 80, **values})


def pool(**values: Any):
    values = {"id": "p1", "loadbalancer_id": "lb", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **values}
    return Pool(**values)


def member(**values: Any):
    return Member(**{"id": "m1", "pool_id": "p1", "address": "192.0.2.10", "protocol_port": 80, **values})


def monitor(**values: Any):
    values = {"id": "h1", "pool_id": "p1", "type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2, **values}
    return HealthMonitor(**values)


PAIRS = {
    "TCP": {"TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2"},
    "HTTP": {"HTTP", "PROXY", "PROXYV2"},
    "HTTPS": {"HTTPS", "TCP", "PROXY", "PROXYV2"},
    "TERMINATED_HTTPS": {"HTTP", "PROXY", "PROXYV2"},
    "UDP": {"UDP"},
    "SCTP": {"SCTP"},
    "PROMETHEUS": set(),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_pairs_of_listener_and_pool(protocol: str):
    for other in ("TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2", "UDP", "SCTP"):
        if other in PAIRS[protocol]:
            rules.check_pairing(listener(protocol=protocol), pool(protocol=other))
        else:
            with pytest.raises(Invalid, match=f"{other} is not a valid option for protocol"):
                rules.check_pairing(listener(protocol=protocol), pool(protocol=other))


TYPES = ("HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO", "UDP-CONNECT", "SCTP")


@pytest.mark.parametrize("protocol", ["TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2", "UDP", "SCTP"])
def test_pairs_of_pool_and_monitor(protocol: str):
    datagrams = protocol in ("UDP", "SCTP")
    fitting = {"UDP-CONNECT", "SCTP", "TCP", "HTTP"} if datagrams else {"HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO"}
    for kind in TYPES:
        try:
            rules.check_health_monitor(monitor(type=kind), pool(protocol=protocol), allow_ping=True)
            verdict = True
        except Invalid:
            verdict = False
        assert verdict == (kind in fitting), kind


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations_with_replacement(PROTOCOLS, 2)))
def test_who_shares_a_port(first: str, second: str):
    same = layer4(first) == layer4(second)
    datagrams = {"UDP", "SCTP"}
    assert same == (first == second or not ({first, second} & datagrams))


def test_a_listener_does_not_collide_with_itself():
    rules.check_listener(listener(), LB, {4}, [listener(), listener(id="l2", protocol_port=81)])
    with pytest.raises(Conflict, match="already using protocol TCP and protocol_port 80"):
        rules.check_listener(listener(), LB, {4}, [listener(id="l2", protocol="TCP")])


@pytest.mark.parametrize(
    ("addresses", "families"),
    [((None,), set()), (("203.0.113.5",), {4}), (("2001:db8::1",), {6}), (("203.0.113.5", "2001:db8::1"), {4, 6})],
)
def test_vip_families(addresses: Any, families: Any):
    first, *more = addresses
    vips = [AdditionalVip(subnet_id="s", ip_address=address) for address in more]
    assert rules.vip_families(LoadBalancer(id="lb", vip_address=first, additional_vips=vips)) == families


@pytest.mark.parametrize(
    ("persistence", "protocol", "fine"),
    [
        ({"type": "SOURCE_IP"}, "HTTP", True),
        ({"type": "HTTP_COOKIE"}, "HTTP", True),
        ({"type": "APP_COOKIE", "cookie_name": "JSESSIONID"}, "HTTP", True),
        ({"type": "APP_COOKIE"}, "HTTP", False),
        ({"type": "HTTP_COOKIE", "cookie_name": "a"}, "HTTP", False),
        ({"type": "SOURCE_IP", "persistence_timeout": 5}, "HTTP", False),
        ({"type": "SOURCE_IP", "persistence_granularity": "255.255.255.0"}, "TCP", False),
    ],
)
def test_session_persistence(persistence: Any, protocol: str, fine: bool):
    checked = pool(protocol=protocol, session_persistence=SessionPersistence(**persistence))
    if fine:
        rules.check_pool(checked)
    else:
        with pytest.raises(Invalid):
            rules.check_pool(checked)


@pytest.mark.parametrize(
    ("allowed", "asked", "kind"),
    [(False, False, "normal"), (True, False, "normal"), (True, True, "direct"), (False, True, None)],
)
def test_who_gets_a_vf(allowed: bool, asked: Any, kind: str):
    flavor = FlavorData(allow_member_sriov=allowed)
    if kind is None:
        with pytest.raises(Invalid, match=r"^The load balancer flavor does not allow SR-IOV member ports\.$"):
            rules.member_vnic_type(flavor, request_sriov=asked)
    else:
        assert rules.member_vnic_type(flavor, request_sriov=asked) == kind


def test_members_of_a_pool_differ():
    rules.check_member(member(), {("192.0.2.10", 81), ("192.0.2.11", 80)}, ())
    with pytest.raises(Conflict):
        rules.check_member(member(), {("192.0.2.10", 80)}, ())
    with pytest.raises(Invalid, match="reserved"):
        rules.check_member(member(), set(), ("192.0.2.10",))


def test_http_defaults_fill_only_what_is_missing():
    filled = rules.with_http_defaults(monitor(url_path="/x"))
    assert (filled.http_method, filled.url_path, filled.expected_codes) == ("GET", "/x", "200")
    assert rules.with_http_defaults(filled) is filled
    tcp = monitor(type="TCP")
    assert rules.with_http_defaults(tcp) is tcp


@pytest.mark.parametrize(
    ("asked", "default", "chosen"), [(None, "SINGLE", "SINGLE"), ("SINGLE", "ACTIVE_STANDBY", "SINGLE")]
)
def test_topology(asked: Any, default: Any, chosen: Any):
    assert rules.topology(FlavorData(loadbalancer_topology=asked), default) == chosen
