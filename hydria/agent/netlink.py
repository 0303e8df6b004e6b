"""Links, addresses, routes and rules of one network namespace, typed. Decides nothing."""

import errno
import ipaddress
import socket
import struct

from msgspec import Struct

from hydria.agent.rtnetlink import (
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Attributes,
    RouteSocket,
    attribute,
    attributes,
    u32,
)
from hydria.model.heartbeat import NicCounters

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Prefix = ipaddress.IPv4Network | ipaddress.IPv6Network
Host = ipaddress.IPv4Address | ipaddress.IPv6Address

RTMGRP_LINK = 1
OURS = 72
"""rtm_protocol of the routes and rules that we made: all others are left alone."""
MAIN, VIP_TABLE = 254, 1

_RTM_NEWLINK, _RTM_GETLINK = 16, 18
_RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 20, 21, 22
_RTM_NEWROUTE, _RTM_DELROUTE, _RTM_GETROUTE = 24, 25, 26
_RTM_NEWRULE, _RTM_DELRULE, _RTM_GETRULE = 32, 33, 34
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_STATS64, _IFLA_NET_NS_FD = 1, 3, 4, 23, 28
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO, _IFA_FLAGS = 1, 2, 6, 8
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_TABLE = 1, 4, 5, 15
_FRA_SRC, _FRA_PRIORITY, _FRA_TABLE, _FRA_PROTOCOL = 2, 6, 15, 21
_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 0x1, 0x8, 0x10000
_IFA_F_NODAD = 0x02
_RTN_UNICAST, _RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK, _RTNH_F_ONLINK = 1, 0, 253, 4
_FR_ACT_TO_TBL = 1
_FOREVER = 0xFFFFFFFF
_ANY = {4: ipaddress.ip_network("0.0.0.0/0"), 6: ipaddress.ip_network("::/0")}

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_STATS64 = struct.Struct("=8Q")


class Link(Struct, frozen=True):
    index: int
    name: str
    mac: str
    mtu: int
    is_up: bool
    has_carrier: bool
    is_loopback: bool
    counters: NicCounters


class Route(Struct, frozen=True):
    destination: Prefix
    nexthop: Host | None
    interface: int
    table: int = MAIN


class Rule(Struct, frozen=True):
    source: Prefix
    table: int = VIP_TABLE


class Netlink(RouteSocket):
    """Open it in the namespace that it is to speak of."""

    def links(self) -> list[Link]:
        body = _LINK.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        return [_link(payload) for payload in self.ask(_RTM_GETLINK, body, NLM_F_DUMP, "List links")]

    def set_link(self, index: int, *, up: bool | None = None, name: str | None = None, mtu: int | None = None) -> None:
        body = _LINK.pack(socket.AF_UNSPEC, 0, index, 0 if up is None else int(up), 0 if up is None else _IFF_UP)
        if name is not None:
            body += attribute(_IFLA_IFNAME, name.encode() + b"\0")
        if mtu is not None:
            body += attribute(_IFLA_MTU, u32(mtu))
        self.change(_RTM_NEWLINK, body, f"Set link {index} ({up=}, {name=}, {mtu=})")

    def move_link(self, index: int, namespace: int, name: str) -> None:
        """Into the namespace that the descriptor opens, under a name that is free there."""
        body = _LINK.pack(socket.AF_UNSPEC, 0, index, 0, 0)
        body += attribute(_IFLA_NET_NS_FD, u32(namespace)) + attribute(_IFLA_IFNAME, name.encode() + b"\0")
        self.change(_RTM_NEWLINK, body, f"Move link {index}")

    def addresses(self) -> dict[int, set[Address]]:
        """By index of the link, without link-local ones, which are the kernel's."""
        found: dict[int, set[Address]] = {}
        for payload in self.ask(_RTM_GETADDR, bytes(_ADDRESS.size), NLM_F_DUMP, "List addresses"):
            _family, length, _flags, _scope, index = _ADDRESS.unpack_from(payload)
            values = attributes(payload[_ADDRESS.size :])
            address = _interface(values.get(_IFA_LOCAL) or values[_IFA_ADDRESS], length)
            if not address.is_link_local or address.version == 4:
                found.setdefault(index, set()).add(address)
        return found

    def add_address(self, index: int, address: Address, *, for_answers_only: bool = False) -> None:
        """Usable at once: no duplicate address detection. `for_answers_only`: never chosen as a source by itself."""
        body = self._address(index, address) + attribute(_IFA_FLAGS, u32(_IFA_F_NODAD if address.version == 6 else 0))
        if for_answers_only and address.version == 6:
            # Preferred for 0 seconds is deprecated (RFC 4862): it serves, but opens no connections to members.
            body += attribute(_IFA_CACHEINFO, struct.pack("=4I", 0, _FOREVER, 0, 0))
        flags = NLM_F_CREATE | NLM_F_EXCL
        self.change(_RTM_NEWADDR, body, f"Add address {address}", flags=flags, fine=(errno.EEXIST,))

    def delete_address(self, index: int, address: Address) -> None:
        body = self._address(index, address)
        self.change(_RTM_DELADDR, body, f"Delete address {address}", fine=(errno.EADDRNOTAVAIL,))

    def _address(self, index: int, address: Address) -> bytes:
        body = _ADDRESS.pack(_family(address.version), address.network.prefixlen, 0, 0, index)
        return body + attribute(_IFA_LOCAL, address.packed) + attribute(_IFA_ADDRESS, address.packed)

    def routes(self) -> set[Route]:
        """Ours only."""
        payloads = self.ask(_RTM_GETROUTE, bytes(_ROUTE.size), NLM_F_DUMP, "List routes")
        return set(filter(None, map(_route, payloads)))

    def set_route(self, route: Route) -> None:
        """Instead of one with the same destination in the same table, if there is one."""
        self.change(_RTM_NEWROUTE, _route_body(route), f"Set route {route}", flags=NLM_F_CREATE | NLM_F_REPLACE)

    def delete_route(self, route: Route) -> None:
        self.change(_RTM_DELROUTE, _route_body(route), f"Delete route {route}", fine=(errno.ESRCH,))

    def rules(self) -> set[Rule]:
        """Ours only."""
        found = set()
        for payload in self.ask(_RTM_GETRULE, bytes(_ROUTE.size), NLM_F_DUMP, "List rules"):
            _family, _dst, length, *_rest = _ROUTE.unpack_from(payload)
            values = attributes(payload[_ROUTE.size :])
            if values.get(_FRA_PROTOCOL) == bytes([OURS]) and _FRA_SRC in values:
                table = struct.unpack("=I", values[_FRA_TABLE])[0]
                found.add(Rule(_network(values[_FRA_SRC], length), table))
        return found

    def add_rule(self, rule: Rule) -> None:
        flags = NLM_F_CREATE | NLM_F_EXCL
        self.change(_RTM_NEWRULE, _rule_body(rule), f"Add rule {rule}", flags=flags, fine=(errno.EEXIST,))

    def delete_rule(self, rule: Rule) -> None:
        self.change(_RTM_DELRULE, _rule_body(rule), f"Delete rule {rule}", fine=(errno.ENOENT,))


def _family(version: int) -> int:
    return socket.AF_INET6 if version == 6 else socket.AF_INET


def _link(payload: bytes) -> Link:
    _family, _type, index, flags, _change = _LINK.unpack_from(payload)
    values = attributes(payload[_LINK.size :])
    name = values[_IFLA_IFNAME].rstrip(b"\0").decode()
    carrier = bool(flags & _IFF_LOWER_UP)
    return Link(
        index=index,
        name=name,
        mac=":".join(f"{byte:02x}" for byte in values.get(_IFLA_ADDRESS, b"")),
        mtu=int(struct.unpack("=I", values[_IFLA_MTU])[0]),
        is_up=bool(flags & _IFF_UP),
        has_carrier=carrier,
        is_loopback=bool(flags & _IFF_LOOPBACK),
        counters=_counters(values, name, carrier=carrier),
    )


def _counters(values: Attributes, name: str, *, carrier: bool) -> NicCounters:
    """Of rtnl_link_stats64: packets, bytes, errors and dropped, each received and sent."""
    stats = _STATS64.unpack_from(values.get(_IFLA_STATS64) or bytes(64))
    rx, tx, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_lost, tx_lost = stats
    return NicCounters(
        name=name,
        carrier=carrier,
        rx_bytes=rx_bytes,
        tx_bytes=tx_bytes,
        rx_packets=rx,
        tx_packets=tx,
        rx_dropped=rx_lost,
        tx_dropped=tx_lost,
        rx_errors=rx_errors,
        tx_errors=tx_errors,
    )


def _interface(packed: bytes, length: int) -> Address:
    return ipaddress.ip_interface((packed, length))


def _network(packed: bytes, length: int) -> Prefix:
    return ipaddress.ip_network((packed, length))


def _route(payload: bytes) -> Route | None:
    family, length, _src, _tos, _table, protocol, _scope, _type, _flags = _ROUTE.unpack_from(payload)
    values = attributes(payload[_ROUTE.size :])
    if protocol != OURS or _RTA_OIF not in values:
        return None
    version = 6 if family == socket.AF_INET6 else 4
    return Route(
        destination=_network(values[_RTA_DST], length) if _RTA_DST in values else _ANY[version],
        nexthop=ipaddress.ip_address(values[_RTA_GATEWAY]) if _RTA_GATEWAY in values else None,
        interface=struct.unpack("=i", values[_RTA_OIF])[0],
        table=struct.unpack("=I", values[_RTA_TABLE])[0],
    )


def _route_body(route: Route) -> bytes:
    destination = route.destination
    scope = _RT_SCOPE_LINK if route.nexthop is None and destination.version == 4 else _RT_SCOPE_UNIVERSE
    # A next hop need not lie within a prefix of the interface: host routes of subnets say so.
    flags = 0 if route.nexthop is None else _RTNH_F_ONLINK
    header = (_family(destination.version), destination.prefixlen, 0, 0, 0, OURS, scope, _RTN_UNICAST, flags)
    body = _ROUTE.pack(*header) + attribute(_RTA_OIF, u32(route.interface)) + attribute(_RTA_TABLE, u32(route.table))
    if destination.prefixlen:
        body += attribute(_RTA_DST, destination.network_address.packed)
    return body if route.nexthop is None else body + attribute(_RTA_GATEWAY, route.nexthop.packed)


def _rule_body(rule: Rule) -> bytes:
    source = rule.source
    header = (_family(source.version), 0, source.prefixlen, 0, 0, 0, 0, _FR_ACT_TO_TBL, 0)
    body = _ROUTE.pack(*header) + attribute(_FRA_SRC, source.network_address.packed)
    body += attribute(_FRA_TABLE, u32(rule.table)) + attribute(_FRA_PRIORITY, u32(1000))
    return body + attribute(_FRA_PROTOCOL, bytes([OURS]))
