"""What of the API's choices a provider does. It looks at a row that is about to be written, at nothing else."""

from collections.abc import Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct

from hydria.base.errors import Unsupported
from hydria.model.field import fields
from hydria.model.flavor import FlavorProfile, parse_flavor_data
from hydria.model.l7 import L7Policy
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Pool
from hydria.model.resource import Provisioned

Option = Literal[
    "listener protocol",
    "pool protocol",
    "lb_algorithm",
    "health monitor type",
    "loadbalancer_topology",
    "topology of a load balancer",
    "L7 policies",
    "TLS option",
]


class Served(Struct, frozen=True):
    choices: Mapping[Option, tuple[str, ...]]
    """What there is of each option. One that is not named is served whole."""


AMPHORA: Final = Served(
    {
        "listener protocol": ("HTTP", "HTTPS", "TCP"),
        "pool protocol": ("HTTP", "HTTPS", "PROXY", "PROXYV2", "TCP"),
        "lb_algorithm": ("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP"),
        "health monitor type": ("HTTP", "HTTPS", "TCP"),
        "loadbalancer_topology": ("SINGLE",),
        "topology of a load balancer": ("SINGLE",),
        "L7 policies": (),
        "TLS option": (),
    }
)
"""What the amphorae of this version do; the rest of the API's values are answered with 501."""

EVERYTHING: Final = Served({"topology of a load balancer": ("SINGLE",)})
"""Where no traffic flows, only the number of amphorae is real: a flavor may say two, no load balancer has them."""

TLS_OPTIONS: Final[Mapping[type[Provisioned], tuple[str, ...]]] = {
    Listener: (
        *("default_tls_container_ref", "sni_container_refs", "client_ca_tls_container_ref", "client_crl_container_ref"),
        *("client_authentication", "tls_ciphers", "tls_versions", "alpn_protocols"),
        *("hsts_max_age", "hsts_include_subdomains", "hsts_preload"),
    ),
    Pool: (
        *("tls_enabled", "tls_container_ref", "ca_tls_container_ref", "crl_container_ref"),
        *("tls_ciphers", "tls_versions", "alpn_protocols"),
    ),
}


def check_supported(row: Struct, served: Served) -> None:
    """The last of all checks, on the row as it would be stored. Raises Unsupported."""
    for option, value in _asked(row):
        there = served.choices.get(option)
        if there is not None and value not in there:
            raise Unsupported(
                f"Provider 'amphora' does not support a requested option: {option} {value} is not available in this "
                f"version (available: {', '.join(there) or 'none'})."
            )


def _asked(row: Struct) -> Iterator[tuple[Option, str]]:
    match row:
        case LoadBalancer():
            yield "topology of a load balancer", row.topology
        case Listener():
            yield "listener protocol", row.protocol
            yield from _tls(row)
        case Pool():
            yield "pool protocol", row.protocol
            yield "lb_algorithm", row.lb_algorithm
            yield from _tls(row)
        case HealthMonitor():
            yield "health monitor type", row.type
        case L7Policy():
            yield "L7 policies", row.action
        case FlavorProfile():
            topology = parse_flavor_data(row.flavor_data).loadbalancer_topology
            if topology is not None:
                yield "loadbalancer_topology", topology


def _tls(row: Listener | Pool) -> Iterator[tuple[Option, str]]:
    """Whoever asks for TLS must not get less than that without a word."""
    for field in fields(type(row)):
        if field.name in TLS_OPTIONS[type(row)] and getattr(row, field.name) != field.default_value():
            yield "TLS option", field.name
