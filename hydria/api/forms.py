"""POST bodies → what they ask for, nested objects included. Pure: knows what is written, not what exists."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any, TypeVar

from msgspec import Struct

from hydria.api.call import resource_body
from hydria.base.errors import Invalid, invalid_field
from hydria.model import field
from hydria.model.field import Uuid
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool

Values = dict[str, Any]
E = TypeVar("E", bound=Struct)


class _ListenerExtras(Struct, kw_only=True):
    default_pool: dict[str, Any] | None = None
    l7policies: list[dict[str, Any]] | None = None


class _PolicyExtras(Struct, kw_only=True):
    redirect_pool: dict[str, Any] | None = None
    rules: list[dict[str, Any]] | None = None


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
    id: str = attribute(default_factory=lambda: str(uuid.uuid4()))
    """Of the pool to be: who refers to it in the same body knows it."""


PoolWish = PoolForm | str
"""A new pool, or the name of one in the same body."""


@dataclass(frozen=True)
class PolicyForm:
    values: Values
    rules: tuple[Values, ...] = ()
    redirect_pool: PoolWish | None = None


@dataclass(frozen=True)
class ListenerForm:
    values: Values
    default_pool: PoolWish | None = None
    policies: tuple[PolicyForm, ...] = ()

    @property
    def pools(self) -> tuple[PoolForm, ...]:
        """Those that it brings along."""
        wishes = (self.default_pool, *(policy.redirect_pool for policy in self.policies))
        return tuple(wish for wish in wishes if isinstance(wish, PoolForm))


@dataclass(frozen=True)
class LoadBalancerForm:
    values: Values
    listeners: tuple[ListenerForm, ...] = ()
    own_pools: tuple[PoolForm, ...] = ()

    @property
    def pools(self) -> tuple[PoolForm, ...]:
        """All, wherever in the body they are."""
        return (*self.own_pools, *(pool for listener in self.listeners for pool in listener.pools))


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


def l7_rule(body: Any) -> Values:
    return _values(L7Rule, resource_body(body, "rule"), without=("l7policy_id",))


def l7_policy(body: Any, *, nested: bool = False) -> PolicyForm:
    extras, rest = _split(_PolicyExtras, resource_body(body, "l7policy"))
    if extras.redirect_pool is not None and not nested:
        raise Invalid("Unknown attribute for argument l7policy: redirect_pool", field="redirect_pool")
    values = _values(L7Policy, rest, without=("listener_id",) if nested else ())
    return PolicyForm(
        values=values,
        rules=tuple(map(l7_rule, extras.rules or ())),
        redirect_pool=_wish(extras.redirect_pool, "redirect_pool", values),
    )


def listener(body: Any, *, nested: bool = False) -> ListenerForm:
    extras, rest = _split(_ListenerExtras, resource_body(body, "listener"))
    values = _values(Listener, rest, without=("loadbalancer_id",) if nested else ())
    return ListenerForm(
        values=values,
        default_pool=_wish(extras.default_pool, "default_pool", values),
        policies=tuple(l7_policy(item, nested=True) for item in extras.l7policies or ()),
    )


def load_balancer(body: Any) -> LoadBalancerForm:
    extras, rest = _split(_LoadBalancerExtras, resource_body(body, "loadbalancer"))
    form = LoadBalancerForm(
        values=_values(LoadBalancer, rest),
        listeners=tuple(listener(item, nested=True) for item in extras.listeners or ()),
        own_pools=tuple(pool(item, nested=True) for item in extras.pools or ()),
    )
    _check_pool_names(form)
    return form


def _wish(body: Values | None, name: str, values: Values) -> PoolWish | None:
    """`name`: of the field that holds the pool's body; the one with _id is for pools that exist."""
    if not body:
        return None
    if values.get(f"{name}_id") is not None:
        raise Invalid(f"Only one of {name} and {name}_id can be given.", field=name)
    return str(body["name"]) if set(body) == {"name"} else pool(body, nested=True)


def _check_pool_names(form: LoadBalancerForm) -> None:
    """Listeners and policies refer to pools of the same body by name, so the names must tell them apart."""
    names = [item.values.get("name") for item in form.pools]
    for name in names:
        if not name:
            raise invalid_field("pools", name, "Pools of a load balancer create must have a name.")
        if names.count(name) > 1:
            raise invalid_field("pools", name, "Pools of a load balancer create must be named uniquely.")


def _split(extras: type[E], body: Values) -> tuple[E, Values]:
    """What a resource's own definition does not hold, and the rest."""
    special = {name: value for name, value in body.items() if name in extras.__struct_fields__}
    rest = {name: value for name, value in body.items() if name not in special}
    return extras(**field.given(extras, field.decode(extras, special))), rest


def _values(resource: type[Struct], body: Values, *, without: Sequence[str] = ()) -> Values:
    form = field.create_form(resource, without=tuple(without))
    return field.given(resource, field.decode(form, body))
