"""Spec → haproxy.cfg. What the amphora offers (paths, users, limits) comes in as Surroundings: nothing is looked up."""

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator

from msgspec import Struct

from hydria.model.spec import PEERS_PORT, VIP_INTERFACE, Fault, ListenerSpec, Spec
from hydria.render.haproxy.backend import CHECKS, PEERS, Backend, backend_lines
from hydria.render.haproxy.frontend import connection_limit, frontend_lines
from hydria.render.haproxy.quote import word

HTTP_LISTENERS = frozenset({"HTTP"})
TCP_LISTENERS = frozenset({"TCP", "HTTPS"})
"""HTTPS is passed through."""
MAX_CONNECTIONS = 1_000_000
MAX_THREADS = 64
"""Of one thread group, which is what HAProxy 2.6 has by default; it refuses a higher nbthread."""
SPARE_DESCRIPTORS = 500
"""For what HAProxy has open besides connections: sockets of its own, pipes, pollers of each thread."""
MARK = "description"
HARD_STOP_AFTER = "5m"
"""How long a connection may outlive a reload in the old worker."""


class Surroundings(Struct, kw_only=True, frozen=True):
    """What the amphora has, as far as HAProxy's configuration depends on it."""

    stats_socket: str
    state_file: str
    user: str = "haproxy"
    group: str = "haproxy"
    chroot: str | None = None
    descriptors: int | None = None
    """Files that a process may have open; HAProxy does not start when its maxconn would need more."""


def is_served(listener: ListenerSpec) -> bool:
    """Whether HAProxy does the listener's protocol here."""
    return listener.protocol in HTTP_LISTENERS | TCP_LISTENERS


def unsupported(spec: Spec) -> Iterator[Fault]:
    """What the spec asks for and HAProxy does not do here: it is left out, the rest is served."""
    for listener in spec.listeners:
        if not is_served(listener):
            reason = f"This amphora does not serve {listener.protocol} listeners"
            yield Fault(resource_type="listener", resource_id=listener.id, reason=reason)
    for pool in spec.pools:
        if pool.health_monitor is not None and pool.health_monitor.type not in CHECKS:
            reason = f"This amphora does no {pool.health_monitor.type} health checks: the members are not checked"
            yield Fault(resource_type="pool", resource_id=pool.id, reason=reason)


def served_listeners(spec: Spec) -> tuple[ListenerSpec, ...]:
    return tuple(filter(is_served, spec.listeners)) if spec.admin_state_up else ()


def vip_addresses(spec: Spec) -> tuple[str, ...]:
    return tuple(vip for interface in spec.interfaces if interface.name == VIP_INTERFACE for vip in interface.vips)


def render(spec: Spec, surroundings: Surroundings) -> str | None:
    """The whole file; None when there is nothing to serve. Raises Invalid for a text that cannot stand in it."""
    listeners = served_listeners(spec)
    vips = [ipaddress.ip_address(vip) for vip in vip_addresses(spec)]
    if not listeners or not vips:
        return None
    backends = backends_of(spec, listeners)
    sections = [
        _defaults(),
        *([_peers(spec)] if any(backend.needs_table for backend in backends.values()) else []),
        *(frontend_lines(listener, vips, backends.get(listener.id)) for listener in listeners),
        *(backend_lines(backend, backends.values()) for backend in dict.fromkeys(backends.values())),
    ]
    body = _text(sections)
    head = [*_global(spec, listeners, surroundings)]
    mark = hashlib.sha256((_text([head]) + body).encode()).hexdigest()[:16]
    return _text([[*head, f"{MARK} {mark}"]]) + "\n" + body


def mark_of(text: str) -> str:
    """By which a running HAProxy tells (`show info`) that this is the configuration it runs with."""
    return text.partition(f"{MARK} ")[2].partition("\n")[0]


def _text(sections: Iterable[Iterable[str]]) -> str:
    return "\n\n".join("\n    ".join(section) for section in sections) + "\n"


def backends_of(spec: Spec, listeners: tuple[ListenerSpec, ...]) -> dict[str, Backend]:
    """Listener id → its backend. Listeners share one if pool, mode and timeouts are the same."""
    pools = {pool.id: pool for pool in spec.pools}
    return {
        listener.id: Backend(
            pool=pools[listener.default_pool_id],
            mode="http" if listener.protocol in HTTP_LISTENERS else "tcp",
            timeout_connect=listener.timeout_member_connect,
            timeout_server=listener.timeout_member_data,
        )
        for listener in listeners
        if listener.default_pool_id is not None and listener.default_pool_id in pools
    }


def _global(spec: Spec, listeners: tuple[ListenerSpec, ...], surroundings: Surroundings) -> Iterator[str]:
    yield "global"
    yield f"localpeer {word(spec.amphora_id)}"
    yield f"maxconn {_maxconn(spec, listeners, surroundings.descriptors)}"
    if spec.threads is not None:
        yield f"nbthread {min(max(spec.threads, 1), MAX_THREADS)}"
    yield f"user {word(surroundings.user)}"
    yield f"group {word(surroundings.group)}"
    if surroundings.chroot is not None:
        yield f"chroot {word(surroundings.chroot)}"
    yield f"stats socket {word(surroundings.stats_socket)} mode 600 level admin"
    yield f"server-state-file {word(surroundings.state_file)}"
    yield f"hard-stop-after {HARD_STOP_AFTER}"


def _maxconn(spec: Spec, listeners: tuple[ListenerSpec, ...], descriptors: int | None) -> int:
    wanted = min(sum(connection_limit(listener) for listener in listeners), MAX_CONNECTIONS)
    if descriptors is None:
        return wanted
    binds = len(listeners) * len(vip_addresses(spec))
    checks = sum(len(pool.members) for pool in spec.pools)
    # Two for each connection: to the client and to the member.
    return max(min(wanted, (descriptors - SPARE_DESCRIPTORS - binds - checks) // 2), 1)


def _defaults() -> Iterator[str]:
    yield "defaults"
    yield "retries 3"
    yield "option redispatch"
    yield "load-server-state-from-file global"


def _peers(spec: Spec) -> Iterator[str]:
    """One's own process only: at a reload the old worker teaches the new one its stick tables (H-30)."""
    yield f"peers {PEERS}"
    yield f"peer {word(spec.amphora_id)} 127.0.0.1:{PEERS_PORT}"
