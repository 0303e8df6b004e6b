"""POST bodies → what they ask for, nested objects included. Pure: knows what is written, not what exists."""

import uuid
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Annotated, Any

from msgspec import Meta, Struct

from hydria.api.call import resource_body
from hydria.base.errors import Invalid, invalid_field
from hydria.model import field
from hydria.model.field import Text, Uuid
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool

Values = dict[str, Any]


def _nested(*forms: str) -> Meta:
    """What is in an object of the body: one of these forms, by their names in the API's description."""
    refs = [{"$ref": f"#/components/schemas/{name}"} for name in forms]
    return Meta(extra_json_schema=refs[0] if len(refs) == 1 else {"anyOf": refs})


_Object = dict[str, Any]
_PoolOrName = Annotated[_Object, _nested("PoolCreateWithin", "PoolName")]


class PoolName(Struct, kw_only=True, forbid_unknown_fields=True):
    """A pool that is defined elsewhere in the same body."""

    name: Text


class _ListenerParts(Struct, kw_only=True):
    default_pool: _PoolOrName | None = None
    l7policies: list[Annotated[_Object, _nested("L7PolicyCreateWithin")]] | None = None


class _PolicyParts(Struct, kw_only=True):
    rules: list[Annotated[_Object, _nested("L7RuleCreate")]] | None = None


class _PolicyPartsWithin(_PolicyParts, kw_only=True):
    redirect_pool: _PoolOrName | None = None


class _PoolPartsWithin(Struct, kw_only=True):
    members: list[Annotated[_Object, _nested("MemberCreate")]] | None = None
    healthmonitor: Annotated[_Object, _nested("HealthMonitorCreateWithin")] | None = None


class _PoolParts(_PoolPartsWithin, kw_only=True):
    loadbalancer_id: Uuid | None = None
    listener_id: Uuid | None = None


class _LoadBalancerParts(Struct, kw_only=True):
    listeners: list[Annotated[_Object, _nested("ListenerCreateWithin")]] | None = None
    pools: list[Annotated[_Object, _nested("PoolCreateWithin")]] | None = None


class _NoParts(Struct, kw_only=True):
    pass


@dataclass(frozen=True)
class Form:
    """What the body of a POST may hold: a resource's own fields, and parts that are resources themselves."""

    resource: type[Struct]
    root: str
    parts: type[Struct] = _NoParts
    without: tuple[str, ...] = ()
    """Fields that the place of the body says already."""
    within: bool = False
    """It is a part of another one's body."""

    @property
    def name(self) -> str:
        return f"{self.resource.__name__}Create{'Within' if self.within else ''}"


MEMBER = Form(Member, "member", without=("pool_id",))
MONITOR = Form(HealthMonitor, "healthmonitor")
MONITOR_WITHIN = Form(HealthMonitor, "healthmonitor", without=("pool_id",), within=True)
POOL = Form(Pool, "pool", _PoolParts, without=("loadbalancer_id",))
POOL_WITHIN = Form(Pool, "pool", _PoolPartsWithin, without=("loadbalancer_id",), within=True)
RULE = Form(L7Rule, "rule", without=("l7policy_id",))
POLICY = Form(L7Policy, "l7policy", _PolicyParts)
POLICY_WITHIN = Form(L7Policy, "l7policy", _PolicyPartsWithin, without=("listener_id",), within=True)
LISTENER = Form(Listener, "listener", _ListenerParts)
LISTENER_WITHIN = Form(Listener, "listener", _ListenerParts, without=("loadbalancer_id",), within=True)
LOAD_BALANCER = Form(LoadBalancer, "loadbalancer", _LoadBalancerParts)
FORMS = (
    *(MEMBER, MONITOR, MONITOR_WITHIN, POOL, POOL_WITHIN, RULE, POLICY, POLICY_WITHIN, LISTENER, LISTENER_WITHIN),
    LOAD_BALANCER,
)


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
    return _read(MEMBER, body)[1]


def health_monitor(body: Any, *, nested: bool = False) -> Values:
    return _read(MONITOR_WITHIN if nested else MONITOR, body)[1]


def pool(body: Any, *, nested: bool = False) -> PoolForm:
    parts, values = _read(POOL_WITHIN if nested else POOL, body)
    return PoolForm(
        values=values,
        members=tuple(map(member, parts.members or ())),
        health_monitor=None if parts.healthmonitor is None else health_monitor(parts.healthmonitor, nested=True),
        loadbalancer_id=None if nested else parts.loadbalancer_id,
        listener_id=None if nested else parts.listener_id,
    )


def l7_rule(body: Any) -> Values:
    return _read(RULE, body)[1]


def l7_policy(body: Any, *, nested: bool = False) -> PolicyForm:
    parts, values = _read(POLICY_WITHIN if nested else POLICY, body)
    return PolicyForm(
        values=values,
        rules=tuple(map(l7_rule, parts.rules or ())),
        redirect_pool=_wish(parts.redirect_pool, "redirect_pool", values) if nested else None,
    )


def listener(body: Any, *, nested: bool = False) -> ListenerForm:
    parts, values = _read(LISTENER_WITHIN if nested else LISTENER, body)
    return ListenerForm(
        values=values,
        default_pool=_wish(parts.default_pool, "default_pool", values),
        policies=tuple(l7_policy(item, nested=True) for item in parts.l7policies or ()),
    )


def load_balancer(body: Any) -> LoadBalancerForm:
    parts, values = _read(LOAD_BALANCER, body)
    form = LoadBalancerForm(
        values=values,
        listeners=tuple(listener(item, nested=True) for item in parts.listeners or ()),
        own_pools=tuple(pool(item, nested=True) for item in parts.pools or ()),
    )
    _check_pool_names(form)
    return form


def _wish(body: Values | None, name: str, values: Values) -> PoolWish | None:
    """`name`: of the field that holds the pool's body; the one with _id is for pools that exist."""
    if body is None:
        return None
    if values.get(f"{name}_id") is not None:
        raise Invalid(f"Only one of {name} and {name}_id can be given.", field=name)
    if set(body) == {"name"}:
        return field.decode(PoolName, body).name
    return pool(body, nested=True)


def _check_pool_names(form: LoadBalancerForm) -> None:
    """Listeners and policies refer to pools of the same body by name, so the names must tell them apart."""
    names = [item.values.get("name") for item in form.pools]
    for name in names:
        if not name:
            raise invalid_field("pools", name, "Pools of a load balancer create must have a name.")
        if names.count(name) > 1:
            raise invalid_field("pools", name, "Pools of a load balancer create must be named uniquely.")


def _read(form: Form, body: Any) -> tuple[Any, Values]:
    """The parts, an instance of the form's `parts`, and the values of the resource's own fields."""
    attributes = resource_body(body, form.root)
    special = {name: value for name, value in attributes.items() if name in form.parts.__struct_fields__}
    rest = {name: value for name, value in attributes.items() if name not in special}
    parts = form.parts(**field.given(form.parts, field.decode(form.parts, special)))
    own = field.create_form(form.resource, without=form.without)
    return parts, field.given(form.resource, field.decode(own, rest))
