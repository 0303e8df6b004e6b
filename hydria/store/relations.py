"""Which rows refer to which: what answers list of a resource's relations, and what filters can ask of them."""

import functools
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool
from hydria.store.database import Transaction
from hydria.store.tables import table


@dataclass(frozen=True)
class Relation:
    of: type[Struct]
    """Whose rows hold both ends."""
    key: str
    """The column that says whom an answer is about."""
    value: str = "id"
    single: bool = False
    order: str = "created_at"
    """The column by which the ends are listed."""
    also: Callable[[], sa.Select[Any]] | None = None
    """Further ends, told by other rows: selects key, value and order."""

    def ends(self) -> tuple[sa.Select[Any], ...]:
        """Each selects what an answer is about, what is at the other end, and what to order by."""
        columns = table(self.of).c
        own = sa.select(columns[self.key], columns[self.value], columns[self.order])
        return (own,) if self.also is None else (own, self.also())


def _by_policies() -> sa.Select[Any]:
    """Pool and listener of policies that send requests there: enabled ones with a rule."""
    policy, rule, listener = table(L7Policy), table(L7Rule), table(Listener)
    used = sa.and_(policy.c.admin_state_up, sa.exists().where(rule.c.l7policy_id == policy.c.id))
    both = policy.join(listener, listener.c.id == policy.c.listener_id)
    columns = (policy.c.redirect_pool_id, policy.c.listener_id, listener.c.created_at)
    return sa.select(*columns).select_from(both).where(used)


RELATIONS: Mapping[type[Struct], Mapping[str, Relation]] = {
    LoadBalancer: {
        "listeners": Relation(Listener, "loadbalancer_id"),
        "pools": Relation(Pool, "loadbalancer_id"),
    },
    Listener: {
        "loadbalancers": Relation(Listener, "id", "loadbalancer_id"),
        "l7policies": Relation(L7Policy, "listener_id", order="position"),
    },
    L7Policy: {"rules": Relation(L7Rule, "l7policy_id")},
    Pool: {
        "listeners": Relation(Listener, "default_pool_id", also=_by_policies),
        "loadbalancers": Relation(Pool, "id", "loadbalancer_id"),
        "members": Relation(Member, "pool_id"),
        "healthmonitor_id": Relation(HealthMonitor, "pool_id", single=True),
    },
    HealthMonitor: {"pools": Relation(HealthMonitor, "id", "pool_id")},
}


def related(
    tx: Transaction, resource: type[Struct], ids: Collection[str]
) -> Mapping[str, Mapping[str, list[str] | str | None]]:
    """The relations of each of `ids`, in one statement per relation."""
    answer: dict[str, dict[str, list[str] | str | None]] = {id_: {} for id_ in ids}
    for name, relation in RELATIONS.get(resource, {}).items():
        found: defaultdict[str, list[str]] = defaultdict(list)
        for end in tx.execute(_ends(relation), {"ids": list(ids)}).all():
            found[end.key].append(end.value)
        for id_, relations in answer.items():
            values = found.get(id_, [])
            # Beside one that is being deleted there may be its successor: the last one.
            relations[name] = (values[-1] if values else None) if relation.single else values
    return answer


@functools.cache
def _ends(relation: Relation) -> sa.Select[Any]:
    among: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
    found = [ends.where(ends.selected_columns[0].in_(among)) for ends in relation.ends()]
    names = ("key", "value", "order")
    every = sa.union(*found).subquery() if len(found) > 1 else found[0].subquery()
    key, value, order = (column.label(name) for name, column in zip(names, every.c, strict=True))
    return sa.select(key, value).order_by(order, value)


def refers(resource: type[Struct], name: str, values: Collection[str]) -> sa.ColumnElement[bool]:
    """Rows of `resource` whose relation `name` holds one of `values`."""
    own = table(resource).c.id
    found = [(*ends.selected_columns, ends) for ends in RELATIONS[resource][name].ends()]
    return sa.or_(*(own.in_(ends.with_only_columns(key).where(value.in_(values))) for key, value, _, ends in found))
