"""What a provider does not do is refused by the row that asks for it, and by nothing else."""

from typing import Any

import pytest
from msgspec import Struct

from hydria.base.errors import Unsupported
from hydria.model.flavor import FlavorProfile
from hydria.model.l7 import L7Policy
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool
from hydria.model.served import AMPHORA, EVERYTHING, TLS_OPTIONS, check_supported

KEY = "https://keys/v1/containers/1"


def listener(**values: Any) -> Listener:
    return Listener(**{"id": "l1", "loadbalancer_id": "lb", "protocol": "HTTP", "protocol_port": 80, **values})


def pool(**values: Any) -> Pool:
    return Pool(**{"id": "p1", "loadbalancer_id": "lb", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", **values})


def monitor(kind: Any) -> HealthMonitor:
    return HealthMonitor(id="h1", pool_id="p1", type=kind, delay=5, timeout=3, max_retries=2)


def profile(data: str) -> FlavorProfile:
    return FlavorProfile(id="f1", name="f", provider_name="amphora", flavor_data=data)


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        pytest.param(listener(protocol="UDP"), "listener protocol UDP", id="protocol"),
        pytest.param(listener(default_tls_container_ref=KEY), "default_tls_container_ref", id="certificate"),
        pytest.param(listener(sni_container_refs=[KEY]), "TLS option sni_container_refs", id="SNI"),
        pytest.param(listener(client_authentication="MANDATORY"), "client_authentication", id="client authentication"),
        pytest.param(listener(hsts_max_age=0), "TLS option hsts_max_age", id="HSTS, also of no time"),
        pytest.param(pool(tls_enabled=True), "TLS option tls_enabled", id="TLS to members"),
        pytest.param(pool(tls_versions=["TLSv1.3"]), "TLS option tls_versions", id="versions"),
        pytest.param(pool(protocol="SCTP"), "pool protocol SCTP", id="pool protocol"),
        pytest.param(pool(lb_algorithm="SOURCE_IP_PORT"), "lb_algorithm SOURCE_IP_PORT", id="algorithm"),
        pytest.param(monitor("PING"), "health monitor type PING", id="monitor"),
        pytest.param(L7Policy(id="7", listener_id="l1", action="REJECT"), "L7 policies REJECT", id="L7"),
    ],
)
def test_what_amphorae_do_not_do_is_refused(row: Struct, asked: str) -> None:
    with pytest.raises(Unsupported, match=f"{asked} is not available"):
        check_supported(row, AMPHORA)
    check_supported(row, EVERYTHING)


@pytest.mark.parametrize(
    "row",
    [listener(), pool(), monitor("HTTP"), LoadBalancer(id="lb"), profile("{}")],
    ids=lambda row: type(row).__name__,
)
def test_the_ordinary_is_served(row: Struct) -> None:
    check_supported(row, AMPHORA)


def test_what_has_no_choices_is_served() -> None:
    check_supported(Member(id="m1", pool_id="p1", address="192.0.2.10", protocol_port=80), AMPHORA)


@pytest.mark.parametrize("served", [AMPHORA, EVERYTHING], ids=["amphora", "everything"])
def test_two_amphorae_are_never_pretended(served: Any) -> None:
    with pytest.raises(Unsupported, match="topology of a load balancer ACTIVE_STANDBY is not available"):
        check_supported(LoadBalancer(id="lb", topology="ACTIVE_STANDBY"), served)


def test_a_flavor_of_two_amphorae() -> None:
    row = profile('{"loadbalancer_topology": "ACTIVE_STANDBY"}')
    with pytest.raises(Unsupported, match="loadbalancer_topology ACTIVE_STANDBY is not available"):
        check_supported(row, AMPHORA)
    check_supported(row, EVERYTHING)


def test_every_field_about_tls_is_known_as_one() -> None:
    about = ("tls", "sni", "hsts", "alpn", "client_auth", "crl", "client_ca")
    for resource, options in TLS_OPTIONS.items():
        assert {name for name in resource.__struct_fields__ if any(word in name for word in about)} == set(options)
