"""Which rows refer to which: what answers list of a resource's relations, and what filters can ask of them."""

import functools
from collections import defaultdict
from collections.abc import Collection, Mapping
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
        "listeners": Relation(Listener, "default_pool_id"),
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
    columns = table(relation.of).c
    key, value = columns[relation.key], columns[relation.value]
    among = key.in_(sa.bindparam("ids", expanding=True))
    return sa.select(key.label("key"), value.label("value")).where(among).order_by(columns[relation.order], columns.id)


def refers(resource: type[Struct], name: str, values: Collection[str]) -> sa.ColumnElement[bool]:
    """Rows of `resource` whose relation `name` holds one of `values`."""
    relation = RELATIONS[resource][name]
    columns = table(relation.of).c
    keys = sa.select(columns[relation.key]).where(columns[relation.value].in_(values))
    return table(resource).c.id.in_(keys)
