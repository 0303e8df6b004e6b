"""Rules between fields and between resources: pure, and the same for a POST, a full-graph POST and a PUT.

Each function raises Invalid (400) or Conflict (409), or returns what it was asked for.
"""

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from hydria.base.errors import Conflict, Invalid, invalid_field
from hydria.model.flavor import FlavorData
from hydria.model.listener import Listener, layer4
from hydria.model.load_balancer import LoadBalancer, Topology, VnicType
from hydria.model.pool import HealthMonitor, Member, Pool, SessionPersistence

POOL_PROTOCOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "TCP": ("TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2"),
    "HTTP": ("HTTP", "PROXY", "PROXYV2"),
    "HTTPS": ("HTTPS", "TCP", "PROXY", "PROXYV2"),
    "TERMINATED_HTTPS": ("HTTP", "PROXY", "PROXYV2"),
    "UDP": ("UDP",),
    "SCTP": ("SCTP",),
    "PROMETHEUS": (),
}
"""Listener protocol → protocols its pools may have."""

MONITOR_TYPES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2"), ("HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO")),
    **dict.fromkeys(("UDP", "SCTP"), ("UDP-CONNECT", "SCTP", "TCP", "HTTP")),
}
"""Pool protocol → types its health monitor may have."""

FORWARDING_HEADERS: Final = (
    "X-Forwarded-For",
    "X-Forwarded-Port",
    "X-Forwarded-Proto",
    "X-Forwarded-IP",
    "X-Client-IP",
    "X-Real-IP",
)
VF_SETTINGS: Final = tuple(name for name in FlavorData.__struct_fields__ if name.startswith("vf_"))
HTTP_MONITORS: Final = ("HTTP", "HTTPS")
_HTTP_DEFAULTS: Final = {"http_method": "GET", "url_path": "/", "expected_codes": "200"}
_HTTP_ONLY: Final = (*_HTTP_DEFAULTS, "http_version", "domain_name")


def check_load_balancer(load_balancer: LoadBalancer, listeners: Iterable[Listener]) -> None:
    if not load_balancer.vip_sg_ids:
        return
    if load_balancer.vip_vnic_type == "direct":
        raise Invalid("VIP Security Groups are not allowed with VNIC direct type.", field="vip_sg_ids")
    if any(listener.allowed_cidrs for listener in listeners):
        raise Invalid("Listeners with allowed_cidrs are not allowed together with vip_sg_ids.", field="vip_sg_ids")


def check_flavor_data(data: FlavorData) -> None:
    settings = [name for name in VF_SETTINGS if getattr(data, name) is not None]
    if settings and not (data.sriov_vip or data.allow_member_sriov):
        raise Invalid(
            f"{', '.join(settings)}: it says how virtual functions are set, so flavor_data needs sriov_vip or "
            "allow_member_sriov as well.",
            field="flavor_data",
        )
    least, most = data.vf_min_tx_rate or 0, data.vf_max_tx_rate or 0
    if 0 < most < least:
        raise Invalid(
            f"vf_min_tx_rate ({least} Mbit/s) must not be more than vf_max_tx_rate ({most} Mbit/s).",
            field="flavor_data",
        )


def topology(data: FlavorData, default: Topology) -> Topology:
    return data.loadbalancer_topology or default


def vip_vnic_type(data: FlavorData) -> VnicType:
    return "direct" if data.sriov_vip else "normal"


def member_vnic_type(data: FlavorData, *, request_sriov: bool) -> VnicType:
    if request_sriov and not data.allow_member_sriov:
        raise Invalid("The load balancer flavor does not allow SR-IOV member ports.", field="request_sriov")
    return "direct" if request_sriov else "normal"


def vip_families(load_balancer: LoadBalancer) -> frozenset[int]:
    """4, 6 or both: the families of its VIP addresses, as far as they are known."""
    addresses = (load_balancer.vip_address, *(vip.ip_address for vip in load_balancer.additional_vips))
    return frozenset(ipaddress.ip_address(address).version for address in addresses if address)


def check_listener(
    listener: Listener, load_balancer: LoadBalancer, families: Collection[int], siblings: Iterable[Listener]
) -> None:
    """`siblings`: all listeners of the load balancer; the one with this id is passed over."""
    _check_insert_headers(listener)
    _check_allowed_cidrs(listener, load_balancer, families)
    key = (layer4(listener.protocol), listener.protocol_port)
    if any((layer4(other.protocol), other.protocol_port) == key for other in siblings if other.id != listener.id):
        raise Conflict(
            f"Another Listener on this Load Balancer is already using protocol {key[0]} and protocol_port {key[1]}"
        )


def _check_insert_headers(listener: Listener) -> None:
    if not listener.insert_headers:
        return
    if listener.protocol != "HTTP":
        raise invalid_field(
            "insert_headers", listener.insert_headers, f"It is not possible on a {listener.protocol} listener."
        )
    for name, value in listener.insert_headers.items():
        if name not in FORWARDING_HEADERS:
            raise Invalid(f"{name} is not a valid option for insert_headers", field="insert_headers")
        if value.lower() not in ("true", "false"):
            raise Invalid(
                f"{value} is not a valid option for {name}: it must be 'true' or 'false'", field="insert_headers"
            )


def _check_allowed_cidrs(listener: Listener, load_balancer: LoadBalancer, families: Collection[int]) -> None:
    if not listener.allowed_cidrs:
        return
    if load_balancer.vip_sg_ids:
        raise Invalid(
            "allowed_cidrs cannot be set on a load balancer that has vip_sg_ids: its security groups decide.",
            field="allowed_cidrs",
        )
    for cidr in listener.allowed_cidrs:
        if families and ipaddress.ip_network(cidr).version not in families:
            raise invalid_field("allowed_cidrs", cidr, "No VIP of the load balancer has an address of that family.")


def check_pairing(listener: Listener, pool: Pool) -> None:
    possible = POOL_PROTOCOLS[listener.protocol]
    if pool.protocol not in possible:
        raise Invalid(
            f"{pool.protocol} is not a valid option for protocol: a {listener.protocol} listener can have "
            f"{'pools of protocol ' + ', '.join(possible) if possible else 'no pool'}.",
            field="protocol",
        )


def check_no_default_pool(listener: Listener) -> None:
    if listener.default_pool_id is not None:
        raise Conflict(f"Listener {listener.id} already has a default pool {listener.default_pool_id}.")


def check_pool(pool: Pool) -> None:
    if pool.session_persistence is not None:
        _check_persistence(pool.session_persistence, pool.protocol)


def _check_persistence(persistence: SessionPersistence, protocol: str) -> None:
    datagrams = protocol in ("UDP", "SCTP")
    if datagrams and persistence.type != "SOURCE_IP":
        raise invalid_field("session_persistence", persistence.type, f"A {protocol} pool can only have SOURCE_IP.")
    if persistence.type == "APP_COOKIE" and persistence.cookie_name is None:
        raise invalid_field("cookie_name", None, "It must be given for session persistence of type APP_COOKIE.")
    if persistence.type != "APP_COOKIE" and persistence.cookie_name is not None:
        raise invalid_field("cookie_name", persistence.cookie_name, "It is only possible with type APP_COOKIE.")
    for name in ("persistence_timeout", "persistence_granularity"):
        if getattr(persistence, name) is not None and not datagrams:
            raise invalid_field(name, getattr(persistence, name), "It is only possible on UDP and SCTP pools.")


def check_member(member: Member, taken: Collection[tuple[str, int]], reserved: Collection[str]) -> None:
    """`taken`: address and protocol_port of the pool's other members."""
    if member.address in reserved:
        raise invalid_field("address", member.address, "It is a reserved address and cannot be a member.")
    if (member.address, member.protocol_port) in taken:
        raise Conflict(
            f"Another member on this pool is already using ip {member.address} on protocol_port {member.protocol_port}"
        )


def with_http_defaults(monitor: HealthMonitor) -> HealthMonitor:
    """An HTTP check asks GET / for 200 unless it is told otherwise; other checks have no such fields."""
    if monitor.type not in HTTP_MONITORS:
        return monitor
    missing = {name: value for name, value in _HTTP_DEFAULTS.items() if getattr(monitor, name) is None}
    return msgspec.structs.replace(monitor, **missing) if missing else monitor


def check_health_monitor(monitor: HealthMonitor, pool: Pool, *, allow_ping: bool) -> None:
    if monitor.type not in MONITOR_TYPES[pool.protocol]:
        raise Invalid(
            f"{monitor.type} is not a valid option for health monitor type: a pool of protocol {pool.protocol} can "
            f"have {', '.join(MONITOR_TYPES[pool.protocol])}.",
            field="type",
        )
    if monitor.type == "PING" and not allow_ping:
        raise Invalid("The selected health monitor type is not allowed in this deployment: PING", field="type")
    if monitor.type not in HTTP_MONITORS:
        for name in _HTTP_ONLY:
            if getattr(monitor, name) is not None:
                raise invalid_field(name, getattr(monitor, name), f"It is not possible with type {monitor.type}.")
    if monitor.domain_name is not None and monitor.http_version != 1.1:
        raise invalid_field("domain_name", monitor.domain_name, "It needs an http_version of 1.1.")
