"""The pool, its members and its health monitor."""

import ipaddress
import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from hydria.model.field import CREATE, READ, REQUEST, Check, Ip, IpAsWritten, Port, Text, Uuid, text
from hydria.model.listener import Seconds
from hydria.model.load_balancer import VnicType
from hydria.model.resource import Provisioned
from hydria.model.tls import AlpnProtocols, Ciphers, ContainerRef, TlsVersions

PoolProtocol = Literal["TCP", "HTTP", "HTTPS", "PROXY", "PROXYV2", "UDP", "SCTP"]
Algorithm = Literal["ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT"]
MonitorType = Literal["HTTP", "HTTPS", "PING", "TCP", "TLS-HELLO", "UDP-CONNECT", "SCTP"]
HttpMethod = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH"]


class SessionPersistence(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    type: Literal["SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE"]
    cookie_name: Annotated[str, Meta(max_length=255, pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+\Z")] | None = None
    """Token characters of RFC 6265 only: it is written into the proxy's configuration."""
    persistence_timeout: Seconds | None = None
    persistence_granularity: Ip | None = None


class Pool(Provisioned, kw_only=True, frozen=True):
    description: Text = ""
    loadbalancer_id: Annotated[Uuid, CREATE]
    protocol: Annotated[PoolProtocol, CREATE]
    lb_algorithm: Algorithm
    session_persistence: SessionPersistence | None = None
    tls_enabled: bool = False
    tls_container_ref: ContainerRef | None = None
    ca_tls_container_ref: ContainerRef | None = None
    crl_container_ref: ContainerRef | None = None
    tls_ciphers: Ciphers | None = None
    tls_versions: TlsVersions | None = None
    alpn_protocols: AlpnProtocols | None = None


Endpoint = tuple[str, int]
"""A member's address, in normal spelling, and port: what no other member of its pool may have."""


def endpoint(address: str, port: int) -> Endpoint:
    return str(ipaddress.ip_address(address)), port


class Member(Provisioned, kw_only=True, frozen=True):
    pool_id: Annotated[Uuid, CREATE]
    address: Annotated[IpAsWritten, CREATE]
    protocol_port: Annotated[Port, CREATE]
    subnet_id: Annotated[Uuid | None, CREATE] = None
    weight: Annotated[int, Meta(ge=0, le=256)] = 1
    backup: bool = False
    monitor_address: IpAsWritten | None = None
    monitor_port: Port | None = None
    request_sriov: Annotated[bool, REQUEST] = False
    vnic_type: Annotated[VnicType, READ] = "normal"

    @property
    def endpoint(self) -> Endpoint:
        return endpoint(self.address, self.protocol_port)


_URL_PATH = r"/[A-Za-z0-9\-._~%!$&'()*+,;=:@/?]*"
_EXPECTED_CODES = r"[0-9]{3}(?:[ ]*,[ ]*[0-9]{3})*|[0-9]{3}-[0-9]{3}"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_DOMAIN_NAME = rf"{_LABEL}(?:\.{_LABEL})*\.?"


def _url_path(value: str) -> str:
    if not re.fullmatch(_URL_PATH, value):
        raise ValueError("A url_path starts with / and holds only the characters of a URL path.")
    return value


def _expected_codes(value: str) -> str:
    if not re.fullmatch(_EXPECTED_CODES, value):
        raise ValueError("expected_codes is a code (200), a list (200,202) or a range (200-204).")
    return value.replace(" ", "")


def _domain_name(value: str) -> str:
    if not re.fullmatch(_DOMAIN_NAME, value):
        raise ValueError("A domain_name consists of labels of letters, digits and hyphens.")
    return value


def _http_version(number: float) -> float:
    if number not in (1.0, 1.1):
        raise ValueError("http_version is 1.0 or 1.1.")
    return number


class HealthMonitor(Provisioned, kw_only=True, frozen=True):
    pool_id: Annotated[Uuid, CREATE]
    type: Annotated[MonitorType, CREATE]
    delay: Seconds
    timeout: Seconds
    max_retries: Annotated[int, Meta(ge=1, le=10)]
    max_retries_down: Annotated[int, Meta(ge=1, le=10)] = 3
    http_method: HttpMethod | None = None
    url_path: Annotated[str, *text(255, _url_path, pattern=f"^{_URL_PATH}$")] | None = None
    expected_codes: Annotated[str, *text(64, _expected_codes, pattern=f"^(?:{_EXPECTED_CODES})$")] | None = None
    http_version: Annotated[float, Meta(extra_json_schema={"enum": [1.0, 1.1]}), Check(_http_version)] | None = None
    domain_name: Annotated[str, *text(255, _domain_name, pattern=f"^{_DOMAIN_NAME}$")] | None = None
