"""The listener."""

from typing import Annotated, Literal

from msgspec import Meta

from hydria.model.field import CREATE, Cidr, Port, Text, Uuid
from hydria.model.resource import Provisioned
from hydria.model.tls import AlpnProtocols, Ciphers, ClientAuthentication, ContainerRef, TlsVersions

ListenerProtocol = Literal["TCP", "UDP", "SCTP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "PROMETHEUS"]
Layer4 = Literal["TCP", "UDP", "SCTP"]
Seconds = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""What a database's integer holds."""
Timeout = Annotated[int, Meta(ge=0, le=24 * 24 * 3600 * 1000)]
"""Milliseconds, at most 24 days: HAProxy's own limit."""


class Listener(Provisioned, kw_only=True, frozen=True):
    description: Text = ""
    loadbalancer_id: Annotated[Uuid, CREATE]
    protocol: Annotated[ListenerProtocol, CREATE]
    protocol_port: Annotated[Port, CREATE]
    default_pool_id: Uuid | None = None
    connection_limit: Annotated[int, Meta(ge=-1, le=2**31 - 1)] = -1
    insert_headers: dict[Text, Text] = {}  # noqa: RUF012 - msgspec copies it
    timeout_client_data: Timeout = 50_000
    timeout_member_connect: Timeout = 5_000
    timeout_member_data: Timeout = 50_000
    timeout_tcp_inspect: Timeout = 0
    allowed_cidrs: list[Cidr] | None = None
    default_tls_container_ref: ContainerRef | None = None
    sni_container_refs: list[ContainerRef] = []  # noqa: RUF012 - msgspec copies it
    client_ca_tls_container_ref: ContainerRef | None = None
    client_crl_container_ref: ContainerRef | None = None
    client_authentication: ClientAuthentication = "NONE"
    tls_ciphers: Ciphers | None = None
    tls_versions: TlsVersions | None = None
    alpn_protocols: AlpnProtocols | None = None
    hsts_max_age: Seconds | None = None
    hsts_include_subdomains: bool = False
    hsts_preload: bool = False


def layer4(protocol: ListenerProtocol) -> Layer4:
    """What shares a port number: everything that is not UDP or SCTP runs over TCP."""
    return protocol if protocol in ("UDP", "SCTP") else "TCP"
