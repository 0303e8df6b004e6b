"""A listener → its frontend: binds, limits, timeouts, inserted headers."""

import ipaddress
from collections.abc import Iterator, Sequence

from hydria.base.errors import Invalid
from hydria.model.spec import ListenerSpec
from hydria.render.haproxy.backend import Backend
from hydria.render.haproxy.quote import identifier

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

DEFAULT_CONNECTION_LIMIT = 50_000
"""What -1 means."""

HEADERS = {
    "X-Forwarded-For": "option forwardfor",
    "X-Forwarded-Port": "http-request set-header X-Forwarded-Port %[dst_port]",
    "X-Forwarded-Proto": "http-request set-header X-Forwarded-Proto http",
    "X-Forwarded-IP": "http-request set-header X-Forwarded-IP %[src]",
    "X-Client-IP": "http-request set-header X-Client-IP %[src]",
    "X-Real-IP": "http-request set-header X-Real-IP %[src]",
}
"""They stand in the frontend, so that they do not depend on the pool's protocol (H-26, H-27)."""


def connection_limit(listener: ListenerSpec) -> int:
    return DEFAULT_CONNECTION_LIMIT if listener.connection_limit < 0 else listener.connection_limit


def endpoint(address: Address, port: int) -> str:
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def frontend_lines(listener: ListenerSpec, vips: Sequence[Address], backend: Backend | None) -> Iterator[str]:
    mode = "http" if listener.protocol == "HTTP" else "tcp"
    yield f"frontend {identifier(listener.id)}"
    yield f"mode {mode}"
    yield from (f"bind {endpoint(vip, listener.protocol_port)}" for vip in vips)
    yield f"maxconn {connection_limit(listener)}"
    yield f"timeout client {listener.timeout_client_data}ms"
    if listener.timeout_tcp_inspect and mode == "tcp":
        yield f"tcp-request inspect-delay {listener.timeout_tcp_inspect}ms"
    if mode == "http":
        yield from _header_lines(listener)
    if backend is not None:
        yield f"default_backend {backend.name}"


def _header_lines(listener: ListenerSpec) -> Iterator[str]:
    for name, value in sorted(listener.insert_headers.items()):
        if name not in HEADERS:
            raise Invalid(f"Listener {listener.id}: insert_headers has no {name!r} here")
        if value.lower() == "true":
            yield HEADERS[name]
