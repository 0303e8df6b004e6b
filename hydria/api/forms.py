"""POST bodies → what they ask for, nested objects included. Pure: knows what is written, not what exists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from msgspec import Struct

from hydria.api.call import resource_body
from hydria.base.errors import Invalid, Unsupported, invalid_field
from hydria.model import field
from hydria.model.field import Uuid
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool

Values = dict[str, Any]
E = TypeVar("E", bound=Struct)


class _ListenerExtras(Struct, kw_only=True):
    default_pool: dict[str, Any] | None = None
    l7policies: list[dict[str, Any]] | None = None


class _PoolExtras(Struct, kw_only=True):
    loadbalancer_id: Uuid | None = None
    listener_id: Uuid | None = None
    members: list[dict[str, Any]] | None = None
    healthmonitor: dict[str, Any] | None = None


class _LoadBalancerExtras(Struct, kw_only=True):
    listeners: list[dict[str, Any]] | None = None
    pools: list[dict[str, Any]] | None = None


@dataclass(frozen=True)
class PoolForm:
    values: Values
    members: tuple[Values, ...] = ()
    health_monitor: Values | None = None
    loadbalancer_id: str | None = None
    listener_id: str | None = None


@dataclass(frozen=True)
class ListenerForm:
    values: Values
    default_pool: PoolForm | str | None = None
    """A new pool, or the name of one in the same body."""


@dataclass(frozen=True)
class LoadBalancerForm:
    values: Values
    listeners: tuple[ListenerForm, ...] = ()
    pools: tuple[PoolForm, ...] = ()


def member(body: Any) -> Values:
    return _values(Member, resource_body(body, "member"), without=("pool_id",))


def health_monitor(body: Any, *, nested: bool = False) -> Values:
    return _values(HealthMonitor, resource_body(body, "healthmonitor"), without=("pool_id",) if nested else ())


def pool(body: Any, *, nested: bool = False) -> PoolForm:
    extras, rest = _split(_PoolExtras, resource_body(body, "pool"))
    if nested:
        for name in ("loadbalancer_id", "listener_id"):
            if getattr(extras, name) is not None:
                raise Invalid(f"Unknown attribute for argument pool: {name}", field=name)
    return PoolForm(
        values=_values(Pool, rest, without=("loadbalancer_id",)),
        members=tuple(member(item) for item in extras.members or ()),
        health_monitor=health_monitor(extras.healthmonitor, nested=True) if extras.healthmonitor else None,
        loadbalancer_id=extras.loadbalancer_id,
        listener_id=extras.listener_id,
    )


def listener(body: Any, *, nested: bool = False) -> ListenerForm:
    extras, rest = _split(_ListenerExtras, resource_body(body, "listener"))
    if extras.l7policies:
        raise Unsupported("Provider 'amphora' does not support a requested option: L7 policies are not available.")
    values = _values(Listener, rest, without=("loadbalancer_id",) if nested else ())
    if not extras.default_pool:
        return ListenerForm(values)
    if values.get("default_pool_id") is not None:
        raise Invalid("Only one of default_pool and default_pool_id can be given.", field="default_pool")
    if set(extras.default_pool) == {"name"}:
        return ListenerForm(values, str(extras.default_pool["name"]))
    return ListenerForm(values, pool(extras.default_pool, nested=True))


def load_balancer(body: Any) -> LoadBalancerForm:
    extras, rest = _split(_LoadBalancerExtras, resource_body(body, "loadbalancer"))
    form = LoadBalancerForm(
        values=_values(LoadBalancer, rest),
        listeners=tuple(listener(item, nested=True) for item in extras.listeners or ()),
        pools=tuple(pool(item, nested=True) for item in extras.pools or ()),
    )
    _check_pool_names(form)
    return form


def _check_pool_names(form: LoadBalancerForm) -> None:
    """Listeners refer to pools of the same body by name, so the names must tell them apart."""
    inline = [item.default_pool for item in form.listeners if isinstance(item.default_pool, PoolForm)]
    names = [item.values.get("name") for item in (*form.pools, *inline)]
    for name in names:
        if not name:
            raise invalid_field("pools", name, "Pools of a load balancer create must have a name.")
        if names.count(name) > 1:
            raise invalid_field("pools", name, "Pools of a load balancer create must be named uniquely.")
    for item in form.listeners:
        if isinstance(item.default_pool, str) and item.default_pool not in names:
            raise invalid_field("default_pool", item.default_pool, "No pool of this request has that name.")


def _split(extras: type[E], body: Values) -> tuple[E, Values]:
    """What a resource's own definition does not hold, and the rest."""
    special = {name: value for name, value in body.items() if name in extras.__struct_fields__}
    rest = {name: value for name, value in body.items() if name not in special}
    return extras(**field.given(extras, field.decode(extras, special))), rest


def _values(resource: type[Struct], body: Values, *, without: Sequence[str] = ()) -> Values:
    form = field.create_form(resource, without=tuple(without))
    return field.given(resource, field.decode(form, body))
