"""A pool, as one kind of listener sees it → a backend: algorithm, persistence, health checks, servers.

Named <pool_id>:<mode>:<connect>:<server> with the timeouts, which are the listener's. Listeners that agree in these
share the backend; where they do not, the further ones `track` the first one's servers: a member is checked once.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from hydria.base.errors import Invalid, Unsupported
from hydria.model.pool import Algorithm, SessionPersistence
from hydria.model.spec import HealthMonitorSpec, MemberSpec, PoolSpec
from hydria.render.haproxy.quote import argument, format_string, identifier, word

BALANCE: dict[Algorithm, str] = {"ROUND_ROBIN": "roundrobin", "LEAST_CONNECTIONS": "leastconn", "SOURCE_IP": "source"}
CHECKS = ("TCP", "HTTP", "HTTPS", "TLS-HELLO")
"""Health monitor types that HAProxy does by itself."""
PEERS = "local"
TABLE_SIZE = "10k"
COOKIE = "SRV"
"""Of HTTP_COOKIE persistence."""


class Backend(Struct, frozen=True, eq=False):
    pool: PoolSpec
    mode: Literal["http", "tcp"]
    timeout_connect: int
    timeout_server: int

    @property
    def name(self) -> str:
        return f"{identifier(self.pool.id)}:{self.mode}:{self.timeout_connect}:{self.timeout_server}"

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Backend) and other.name == self.name

    @property
    def persistence(self) -> SessionPersistence | None:
        """Cookies need a listener that understands HTTP."""
        wanted = self.pool.session_persistence
        return wanted if wanted is None or wanted.type == "SOURCE_IP" or self.mode == "http" else None

    @property
    def needs_table(self) -> bool:
        return self.persistence is not None and self.persistence.type != "HTTP_COOKIE"

    @property
    def monitor(self) -> HealthMonitorSpec | None:
        monitor = self.pool.health_monitor
        return monitor if monitor is not None and monitor.type in CHECKS else None


def pool_of(backend_name: str) -> str:
    """The inverse of Backend.name, for HAProxy's statistics."""
    return backend_name.partition(":")[0]


def backend_lines(backend: Backend, all_backends: Iterable[Backend]) -> Iterator[str]:
    pool = backend.pool
    if pool.lb_algorithm not in BALANCE:
        raise Unsupported(f"Pool {pool.id}: HAProxy has no {pool.lb_algorithm}")
    checking = next((other for other in all_backends if other.pool.id == pool.id), backend)
    yield f"backend {backend.name}"
    yield f"mode {backend.mode}"
    yield f"balance {BALANCE[pool.lb_algorithm]}"
    yield "option allbackups"
    yield f"timeout connect {backend.timeout_connect}ms"
    yield f"timeout server {backend.timeout_server}ms"
    yield from _persistence_lines(backend)
    if checking == backend:
        yield from _check_lines(backend.monitor)
    for member in pool.members:
        yield " ".join(_server_words(backend, member, checking))


def _persistence_lines(backend: Backend) -> Iterator[str]:
    persistence = backend.persistence
    if persistence is None:
        return
    if persistence.type == "HTTP_COOKIE":
        yield f"cookie {COOKIE} insert indirect nocache"
    elif persistence.type == "SOURCE_IP":
        yield f"stick-table type ipv6 size {TABLE_SIZE} peers {PEERS}"
        yield "stick on src"
    else:
        name = persistence.cookie_name
        if not name:
            raise Invalid(f"Pool {backend.pool.id}: APP_COOKIE persistence needs a cookie_name")
        yield f"stick-table type string len 64 size {TABLE_SIZE} peers {PEERS}"
        yield f"stick store-response {word(f'res.cook({argument(name)})')}"
        yield f"stick match {word(f'req.cook({argument(name)})')}"


def _check_lines(monitor: HealthMonitorSpec | None) -> Iterator[str]:
    if monitor is None:
        return
    yield f"timeout check {max(monitor.timeout, 1)}s"
    if monitor.type in ("HTTP", "HTTPS"):
        yield "option httpchk"
        yield " ".join(_request_words(monitor))
        yield f"http-check expect status {word((monitor.expected_codes or '200').replace(' ', ''))}"


def _request_words(monitor: HealthMonitorSpec) -> Iterator[str]:
    version = monitor.http_version or 1.0
    yield "http-check send"
    yield f"meth {monitor.http_method or 'GET'}"
    yield f"uri {word(monitor.url_path or '/')}"
    yield f"ver HTTP/{version:.1f}"
    if monitor.domain_name is not None and version >= 1.1:
        yield f"hdr Host {format_string(monitor.domain_name)}"


def _server_words(backend: Backend, member: MemberSpec, checking: Backend) -> Iterator[str]:
    yield f"server {identifier(member.id)} {_address(member.address)}:{member.protocol_port}"
    yield f"weight {member.weight}"
    if backend.persistence is not None and backend.persistence.type == "HTTP_COOKIE":
        yield f"cookie {identifier(member.id)}"
    if backend.pool.protocol == "PROXY":
        yield "send-proxy"
    elif backend.pool.protocol == "PROXYV2":
        yield "send-proxy-v2"
    if member.backup:
        yield "backup"
    if not member.admin_state_up:
        yield "disabled"
    if backend.monitor is not None and checking == backend:
        yield from _check_words(backend.monitor, member)
    elif backend.monitor is not None:
        yield f"track {checking.name}/{identifier(member.id)}"


def _check_words(monitor: HealthMonitorSpec, member: MemberSpec) -> Iterator[str]:
    # HAProxy refuses `inter 0`, the API does not.
    yield f"check inter {max(monitor.delay, 1)}s fall {monitor.max_retries_down} rise {monitor.max_retries}"
    if monitor.type in ("HTTPS", "TLS-HELLO"):
        # Without HTTP rules such a check is the handshake itself, which a plain connect is not (H-23).
        yield "check-ssl verify none"
    if member.monitor_address is not None:
        yield f"addr {_address(member.monitor_address)}"
    if member.monitor_port is not None:
        yield f"port {member.monitor_port}"


def _address(text: str) -> str:
    """Parsed and written anew, so that nothing but an address gets through."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise Invalid(f"Not an address: {text!r}") from error
    return f"[{address}]" if address.version == 6 else str(address)
