"""Specs whose renderings stand in tests/golden: one per thing that a configuration can hold."""

from typing import Any

from msgspec.structs import replace

import golden
from hydria.model.pool import SessionPersistence
from hydria.model.spec import HealthMonitorSpec, Interface, ListenerSpec, MemberSpec, PoolSpec, Spec
from hydria.model.spec_versions import read

VIP_NIC = Interface(
    mac_address="fa:16:3e:00:00:01",
    name="eth1",
    port_id="port-1",
    network_id="network-1",
    vnic_type="direct",
    addresses=("203.0.113.105/24",),
    vips=("203.0.113.100", "2001:db8:1::100"),
)
MEMBERS = (
    MemberSpec(id="member-1", address="192.0.2.11", protocol_port=80),
    MemberSpec(id="member-2", address="2001:db8:2::12", protocol_port=8080, weight=5),
)
POOL = PoolSpec(id="pool-1", protocol="HTTP", lb_algorithm="ROUND_ROBIN", members=MEMBERS)
LISTENER = ListenerSpec(id="listener-1", protocol="HTTP", protocol_port=80, default_pool_id="pool-1")
SPEC = Spec(
    amphora_id="amphora-1",
    load_balancer_id="load-balancer-1",
    generation=1,
    interfaces=(VIP_NIC,),
    listeners=(LISTENER,),
    pools=(POOL,),
)


def listeners(*changes: dict[str, Any]) -> Spec:
    made = (replace(LISTENER, **{"id": f"listener-{number}", **one}) for number, one in enumerate(changes, 1))
    return replace(SPEC, listeners=tuple(made))


def pool(**changes: Any) -> Spec:
    return replace(SPEC, pools=(replace(POOL, **changes),))


def monitor(type_: str, **changes: Any) -> Spec:
    basic = {"id": "monitor-1", "type": type_, "delay": 5, "timeout": 2, "max_retries": 2, **changes}
    return pool(health_monitor=HealthMonitorSpec(**basic))


def persistence(type_: str, **changes: Any) -> Spec:
    return pool(session_persistence=SessionPersistence(type=type_, **changes))


TCP = {"protocol": "TCP", "protocol_port": 81}
ALL_HEADERS = dict.fromkeys(
    ("X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto", "X-Forwarded-IP", "X-Client-IP", "X-Real-IP"), "true"
)

RECORDED = {
    f"spec-{path.parent.name}": read(path.read_bytes())
    for path in sorted((golden.DIRECTORY / "spec").glob("*/spec.json"))
}
"""Of each version that older controllers speak: what becomes of it must not change unnoticed."""

SPECS: dict[str, Spec] = {
    **RECORDED,
    "http": SPEC,
    "tcp": replace(
        listeners({**TCP, "timeout_tcp_inspect": 3000}, {"protocol": "HTTPS", "protocol_port": 443}),
        pools=(replace(POOL, protocol="TCP"),),
    ),
    "no-pool": listeners({"default_pool_id": None}, {**TCP, "default_pool_id": "pool-that-is-down"}),
    "two-listeners-one-pool": replace(
        monitor("TCP"),
        listeners=(
            LISTENER,
            replace(LISTENER, id="same", protocol_port=8080),
            replace(LISTENER, id="tcp", **TCP),
            replace(LISTENER, id="slow", protocol_port=82, timeout_member_data=600_000),
        ),
    ),
    "insert-headers": listeners({"insert_headers": ALL_HEADERS}, {"protocol_port": 81, "insert_headers": {}}),
    "connection-limit": listeners({"connection_limit": 100}, {"protocol_port": 81, "connection_limit": 2_000_000}),
    "least-connections": pool(lb_algorithm="LEAST_CONNECTIONS"),
    "source-ip": pool(lb_algorithm="SOURCE_IP"),
    "persistence-source-ip": persistence("SOURCE_IP"),
    "persistence-http-cookie": persistence("HTTP_COOKIE"),
    "persistence-app-cookie": persistence("APP_COOKIE", cookie_name="PHPSESSID"),
    "proxy": pool(protocol="PROXY"),
    "proxyv2": pool(protocol="PROXYV2"),
    "members": pool(
        members=(
            replace(MEMBERS[0], weight=0),
            replace(MEMBERS[1], backup=True),
            replace(MEMBERS[0], id="member-3", admin_state_up=False),
        )
    ),
    "monitor-tcp": monitor("TCP", max_retries_down=4),
    "monitor-http": monitor(
        "HTTP", http_method="HEAD", url_path="/health?deep=1", expected_codes="200-204", http_version=1.1,
        domain_name="www.example.org",
    ),
    "monitor-https": monitor("HTTPS", expected_codes="200,202"),
    "monitor-tls-hello": monitor("TLS-HELLO"),
    "monitor-elsewhere": replace(
        monitor("TCP"),
        pools=(
            replace(
                monitor("TCP").pools[0],
                members=(replace(MEMBERS[0], monitor_address="2001:db8:2::99", monitor_port=9000),),
            ),
        ),
    ),
    "monitor-delay-0": monitor("TCP", delay=0, timeout=0),
    "threads": replace(SPEC, threads=2),
    "threads-of-a-giant": replace(SPEC, threads=96),
}  # fmt: skip

FIREWALLS: dict[str, Spec] = {
    **RECORDED,
    "no-listener": replace(SPEC, listeners=()),
    "anybody": SPEC,
    "peers": replace(SPEC, peers=("2001:db8:1::106", "203.0.113.106")),
    "allowed-cidrs": listeners(
        {"allowed_cidrs": ("198.51.100.0/24", "2001:db8:9::/48")},
        {**TCP, "allowed_cidrs": ("0.0.0.0/0",)},
        {"protocol_port": 82, "allowed_cidrs": ("::/0",)},
        {"protocol_port": 83, "allowed_cidrs": ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32")},
    ),
}
