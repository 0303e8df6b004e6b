"""Spec → the amphora's firewall, as the JSON that `nft -j -f -` replaces it with in one transaction.

Table `inet hydria` in the namespace of the load balancer. Every packet of a client is looked up in the sets of allowed
sources, also those of established connections: so a source that is no longer allowed loses them too (H-20). What
answers our own connections (to members) is let in by connection tracking, which is never switched off (H-15).
"""

import hashlib
import ipaddress
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from hydria.model.spec import PEERS_PORT, VIP_INTERFACE, ListenerSpec
from hydria.render.admission import VRRP, Version, sources, transport

TABLE = "hydria"
CHAIN = "input"
ECHO_PER_SECOND = 20
ECHO_BURST = 50

Json: TypeAlias = dict[str, Any]

_ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
_FAMILY = {4: "ip", 6: "ip6"}
_ERRORS = ("destination-unreachable", "time-exceeded", "parameter-problem")
_ICMPV6 = (*_ERRORS, "packet-too-big", "nd-neighbor-solicit", "nd-neighbor-advert", "mld-listener-query")
"""Path MTU discovery, neighbours, and MLD queries, without which a snooping switch forgets an IPv6 VIP (H-18).
Router advertisements are not heard: routes are the spec's."""


def render(listeners: Iterable[ListenerSpec], peers: Iterable[str] = ()) -> str:
    """The transaction that makes the table hold exactly these listeners' and peers' rules, whatever it held."""
    body = list(_body(tuple(listeners), tuple(peers)))
    table = {"table": {"family": "inet", "name": TABLE}}
    # Declared before it is deleted: deleting what is not there would fail.
    commands = [{"add": table}, {"delete": table}, {"add": table}, *({"add": item} for item in (*body, _mark(body)))]
    return msgspec.json.encode({"nftables": commands}).decode()


def mark_of(listeners: Iterable[ListenerSpec], peers: Iterable[str] = ()) -> str:
    """Name of an empty chain that stands in the table loaded for these listeners and peers, and in no other."""
    name: str = _mark(list(_body(tuple(listeners), tuple(peers))))["chain"]["name"]
    return name


def _mark(body: Sequence[Json]) -> Json:
    return {"chain": _in_table(name="spec_" + hashlib.sha256(msgspec.json.encode(body)).hexdigest()[:16])}


def _body(listeners: tuple[ListenerSpec, ...], peers: tuple[str, ...]) -> Iterator[Json]:
    for version in (4, 6):
        yield _set(f"anyone{version}", ["inet_proto", "inet_service"], sorted(_open_to_all(listeners, version)))
        allowed = sorted(_allowed(listeners, version), key=str)
        yield _set(f"allowed{version}", [_ADDRESS[version], "inet_proto", "inet_service"], allowed, interval=True)
    yield {"chain": _in_table(name=CHAIN, type="filter", hook="input", prio=0, policy="drop")}
    for expressions in (*_rules(), *_peers(peers), [{"counter": None}, {"drop": None}]):
        yield {"rule": _in_table(chain=CHAIN, expr=expressions)}


def _in_table(**values: Any) -> Json:
    return {"family": "inet", "table": TABLE, **values}


def _set(name: str, type_: list[str], elements: Sequence[Sequence[Any]], *, interval: bool = False) -> Json:
    definition = _in_table(name=name, type=type_)
    if interval:
        definition["flags"] = ["interval"]
    if elements:
        definition["elem"] = [{"concat": list(element)} for element in elements]
    return {"set": definition}


def _open_to_all(listeners: Iterable[ListenerSpec], version: Version) -> set[tuple[str, int]]:
    return {(transport(one), one.protocol_port) for one in listeners if sources(one, version) is None}


def _allowed(listeners: Iterable[ListenerSpec], version: Version) -> Iterator[tuple[Json, str, int]]:
    for listener in listeners:
        for network in sources(listener, version) or ():
            prefix = {"prefix": {"addr": str(network.network_address), "len": network.prefixlen}}
            yield prefix, transport(listener), listener.protocol_port


def _rules() -> Iterator[list[Json]]:
    accept, drop, counter = {"accept": None}, {"drop": None}, {"counter": None}
    yield [_match(_meta("iifname"), "lo"), accept]
    # Nobody outside has an address of the loopback.
    yield [_match(_payload("ip", "saddr"), {"prefix": {"addr": "127.0.0.0", "len": 8}}), counter, drop]
    yield [_match(_payload("ip6", "saddr"), "::1"), counter, drop]
    yield [_match({"ct": {"key": "state"}}, "invalid", op="in"), counter, drop]
    yield [_match({"ct": {"key": "state"}}, "related", op="in"), counter, accept]
    yield [_match({"ct": {"key": "direction"}}, "reply"), counter, accept]
    yield [_match(_payload("icmp", "type"), {"set": list(_ERRORS)}), counter, accept]
    yield [_match(_payload("icmpv6", "type"), {"set": list(_ICMPV6)}), counter, accept]
    for protocol in ("icmp", "icmpv6"):
        echo = _match(_payload(protocol, "type"), "echo-request")
        yield [echo, {"limit": {"rate": ECHO_PER_SECOND, "per": "second", "burst": ECHO_BURST}}, counter, accept]
    service = [_meta("l4proto"), _payload("th", "dport")]
    for version in (4, 6):
        here = [_match(_meta("iifname"), VIP_INTERFACE), _match(_meta("nfproto"), f"ipv{version}")]
        source = _payload(_FAMILY[version], "saddr")
        yield [*here, _match({"concat": service}, f"@anyone{version}"), counter, accept]
        yield [*here, _match({"concat": [source, *service]}, f"@allowed{version}"), counter, accept]


def _peers(peers: Iterable[str]) -> Iterator[list[Json]]:
    """VRRP and HAProxy's peers protocol, from nobody else (H-13).

    `meta l4proto` and not `ip protocol`, which nft refuses beside an IPv6 source (H-1).
    """
    accept, counter = {"accept": None}, {"counter": None}
    for peer in sorted(map(ipaddress.ip_address, peers), key=lambda address: (address.version, address)):
        here = [_match(_meta("iifname"), VIP_INTERFACE), _match(_payload(_FAMILY[peer.version], "saddr"), str(peer))]
        yield [*here, _match(_meta("l4proto"), VRRP), counter, accept]
        yield [*here, _match(_payload("tcp", "dport"), PEERS_PORT), counter, accept]


def _match(left: Json, right: Any, *, op: str = "==") -> Json:
    return {"match": {"op": op, "left": left, "right": right}}


def _meta(key: str) -> Json:
    return {"meta": {"key": key}}


def _payload(protocol: str, field: str) -> Json:
    return {"payload": {"protocol": protocol, "field": field}}


def union(new: Iterable[ListenerSpec], old: Iterable[ListenerSpec]) -> tuple[ListenerSpec, ...]:
    """What is open while HAProxy changes over: the new listeners' ports, and still those that it is about to leave."""
    taken: dict[tuple[str, int], ListenerSpec] = {}
    for listener in itertools.chain(new, old):
        taken.setdefault((transport(listener), listener.protocol_port), listener)
    return tuple(taken.values())
