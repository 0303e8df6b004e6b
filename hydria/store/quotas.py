"""Counts what a project has and compares it with what it may have, in the transaction that adds to it.

Nothing stores how many there are: the rows are counted. What is being deleted counts until its row is gone, for until
then it still uses what it has.
"""

import contextlib
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from hydria.base.config import Quotas
from hydria.base.errors import Forbidden
from hydria.base.limit import UNLIMITED
from hydria.model.quota import LIMITED, Quota, limits
from hydria.model.resource import Provisioned
from hydria.store import resources
from hydria.store.database import Transaction
from hydria.store.tables import quota_lock, table, title

_PROJECT = sa.bindparam("project", type_=sa.String)
_LOCK = sa.select(quota_lock.c.project_id).where(quota_lock.c.project_id == _PROJECT).with_for_update()


def reserve(tx: Transaction, project_id: str, growth: Mapping[type[Provisioned], int], defaults: Quotas) -> None:
    """Make sure that the project may have so many more. Raises Forbidden, naming the kind that it has enough of.

    Whoever else adds to what is limited waits until this transaction ends: of two who see the last free place, one
    takes it.
    """
    grown = {resource: number for resource, number in growth.items() if number > 0}
    if not _limited(grown, limits(resources.get(tx, Quota, project_id), defaults)):
        return
    _lock(tx, project_id)
    limit = limits(resources.get(tx, Quota, project_id), defaults)
    counted = _limited(grown, limit)
    for resource, present in zip(counted, _numbers(tx, project_id, counted), strict=True):
        if present + grown[resource] > limit[LIMITED[resource]]:
            raise Forbidden(f"Quota has been met for resources: {title(resource)}")


def put(tx: Transaction, project_id: str, changes: Mapping[str, int | None]) -> Quota:
    """The project's limits with these changed; None: back to the default."""
    _lock(tx, project_id)
    old = resources.get(tx, Quota, project_id)
    new = msgspec.structs.replace(old or Quota(project_id=project_id), **changes)
    if new == Quota(project_id=project_id):
        resources.delete(tx, Quota, project_id)
    elif old is None:
        resources.insert(tx, new)
    elif new != old:
        resources.update(tx, Quota, project_id, **changes)
    return new


def reset(tx: Transaction, project_id: str) -> None:
    """To the defaults."""
    _lock(tx, project_id)
    resources.delete(tx, Quota, project_id)


def _limited(growth: Mapping[type[Provisioned], int], limit: Mapping[str, int]) -> Sequence[type[Provisioned]]:
    return [resource for resource in LIMITED if resource in growth and limit[LIMITED[resource]] != UNLIMITED]


def _lock(tx: Transaction, project_id: str) -> None:
    """Until the transaction ends. Always after that of a load balancer, never before it."""
    if tx.execute(_LOCK, {"project": project_id}).first() is not None:
        return
    # Another may make the row at the same time: then its insert, which ends with its transaction, keeps us waiting,
    # and the savepoint keeps ours alive.
    with contextlib.suppress(sa.exc.IntegrityError), tx.connection.begin_nested():
        tx.execute(sa.insert(quota_lock), {"project_id": project_id})
    tx.execute(_LOCK, {"project": project_id}).one()


def _numbers(tx: Transaction, project_id: str, kinds: Sequence[type[Provisioned]]) -> Sequence[int]:
    if not kinds:
        return ()
    return tuple(tx.execute(_count(tuple(kinds)), {"project": project_id}).one())


@functools.cache
def _count(kinds: tuple[type[Provisioned], ...]) -> sa.Select[Any]:
    """How many rows of each kind the project has, in one statement."""
    columns: list[Any] = [_rows_of(kind).label(LIMITED[kind]) for kind in kinds]
    return sa.select(*columns)


def _rows_of(kind: type[Provisioned]) -> sa.ScalarSelect[int]:
    own = table(kind).c.project_id == _PROJECT
    return sa.select(sa.func.count()).select_from(table(kind)).where(own).scalar_subquery()
