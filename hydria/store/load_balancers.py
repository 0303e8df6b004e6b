"""Accepted writes: which ones a load balancer takes, and how they raise its generation and mark it dirty."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct

from hydria.base.errors import Conflict, Invalid, not_found
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool
from hydria.model.resource import Provisioned
from hydria.model.status import ProvisioningStatus
from hydria.store import queue, resources
from hydria.store.database import Transaction
from hydria.store.tables import below, table, title

CHILDREN: tuple[type[Provisioned], ...] = (Pool, Listener, L7Policy, L7Rule, Member, HealthMonitor)
"""In an order in which rows can be written; the other way round they can be deleted."""

_PARTS: Mapping[type[Struct], tuple[tuple[type[Provisioned], str], ...]] = {
    Pool: ((Member, "pool_id"), (HealthMonitor, "pool_id")),
    Listener: ((L7Policy, "listener_id"),),
    L7Policy: ((L7Rule, "l7policy_id"),),
}
"""What goes with a row, and the column that says so."""

_LB = table(LoadBalancer)
_LOCK = sa.select(_LB.c.provisioning_status, _LB.c.generation).where(below(LoadBalancer)).with_for_update()


def touch(tx: Transaction, lb_id: str, *, strict: bool, itself: bool = False, mends: bool = False) -> int:
    """One accepted write to what is below a load balancer (`itself`: to its own fields). Returns the new generation.

    Raises NotFound, or Conflict when it is being deleted or, with `strict`, when it is not ACTIVE (of a write that
    `mends`: nor in ERROR).
    """
    status, generation = _lock(tx, lb_id)
    ready = status is ProvisioningStatus.ACTIVE or (mends and status is ProvisioningStatus.ERROR)
    if status is ProvisioningStatus.PENDING_DELETE or (strict and not ready):
        raise _immutable(lb_id, status, itself=itself)
    created = status is not ProvisioningStatus.PENDING_CREATE
    _accept(tx, lb_id, ProvisioningStatus.PENDING_UPDATE if created else status, generation + 1)
    return generation + 1


def hold(tx: Transaction, lb_id: str) -> None:
    """Keep other writes to it, and to all below it, waiting until this transaction ends. Raises NotFound."""
    _lock(tx, lb_id)


def mark_pending(
    tx: Transaction, resource: type[Provisioned], id_: str, status: ProvisioningStatus, generation: int
) -> None:
    """A child is to be updated, or deleted with all below it. Raises NotFound, or Conflict when it is being deleted."""
    columns = table(resource).c
    row = tx.execute(sa.select(columns.provisioning_status).where(columns.id == id_)).first()
    if row is None:
        raise not_found(title(resource), id_)
    if row[0] is ProvisioningStatus.PENDING_DELETE:
        raise Conflict(f"{title(resource)} {id_} is immutable and cannot be updated.")
    if status is not ProvisioningStatus.PENDING_DELETE:
        _mark(tx, resource, columns.id == id_, _marked(row[0], status), generation)
        return
    _mark_whole(tx, resource, columns.id == id_, generation)
    if resource is Pool:
        _take_default_pool(tx, id_, generation)


def mark_all_pending(
    tx: Transaction,
    resource: type[Provisioned],
    changes: Iterable[tuple[Provisioned, Mapping[str, Any]]],
    status: ProvisioningStatus,
    generation: int,
) -> None:
    """Children without parts, as they were read under `hold`, with new values; none of them is being deleted."""
    marked = {
        row.id: {**values, "provisioning_status": _marked(row.provisioning_status, status), "generation": generation}
        for row, values in changes
    }
    resources.update_all(tx, resource, marked)


def delete_load_balancer(tx: Transaction, lb_id: str, *, cascade: bool, strict: bool = False) -> int:
    """Mark it and all below it for deletion. Returns the new generation.

    Raises NotFound; Conflict when that has been done or, with `strict`, when it is neither ACTIVE nor ERROR; Invalid
    when, without `cascade`, it has listeners or pools that are not being deleted.
    """
    status, generation = _lock(tx, lb_id)
    settled = status in (ProvisioningStatus.ACTIVE, ProvisioningStatus.ERROR)
    if status is ProvisioningStatus.PENDING_DELETE or (strict and not settled):
        raise _immutable(lb_id, status, itself=True)
    if not cascade and (_has(tx, Listener, lb_id) or _has(tx, Pool, lb_id)):
        raise Invalid(f"Cannot delete Load Balancer {lb_id} - it has children")
    for child in CHILDREN:
        _mark(tx, child, below(child), ProvisioningStatus.PENDING_DELETE, generation + 1, lb_id=lb_id)
    _accept(tx, lb_id, ProvisioningStatus.PENDING_DELETE, generation + 1)
    return generation + 1


def insert_graph(
    tx: Transaction,
    load_balancer: LoadBalancer,
    *,
    listeners: Sequence[Listener] = (),
    pools: Sequence[Pool] = (),
    members: Sequence[Member] = (),
    health_monitors: Sequence[HealthMonitor] = (),
) -> LoadBalancer:
    """A new load balancer with all below it, marked dirty. Returns its row as stored."""
    stored = resources.insert(tx, load_balancer)
    resources.insert_all(tx, pools)
    resources.insert_all(tx, listeners)
    resources.insert_all(tx, members)
    resources.insert_all(tx, health_monitors)
    queue.mark(tx, stored.id)
    return stored


def _lock(tx: Transaction, lb_id: str) -> tuple[ProvisioningStatus, int]:
    row = tx.execute(_LOCK, {"lb_id": lb_id}).first()
    if row is None:
        raise not_found(title(LoadBalancer), lb_id)
    return row.provisioning_status, row.generation


def _accept(tx: Transaction, lb_id: str, status: ProvisioningStatus, generation: int) -> None:
    resources.update(tx, LoadBalancer, lb_id, provisioning_status=status, generation=generation)
    queue.mark(tx, lb_id)


def _immutable(lb_id: str, status: ProvisioningStatus, *, itself: bool) -> Conflict:
    if itself:
        return Conflict(f"Invalid state {status} of loadbalancer resource {lb_id}")
    return Conflict(f"Load Balancer {lb_id} is immutable and cannot be updated.")


def _has(tx: Transaction, child: type[Struct], lb_id: str) -> bool:
    stays = table(child).c.provisioning_status != ProvisioningStatus.PENDING_DELETE
    statement = sa.select(table(child).c.id).where(below(child), stays).limit(1)
    return tx.execute(statement, {"lb_id": lb_id}).first() is not None


def _marked(now: ProvisioningStatus, status: ProvisioningStatus) -> ProvisioningStatus:
    """What was never served is not updated: it is still to be created."""
    created = now is ProvisioningStatus.PENDING_CREATE and status is ProvisioningStatus.PENDING_UPDATE
    return now if created else status


def _mark(
    tx: Transaction,
    resource: type[Struct],
    which: sa.ColumnElement[bool],
    status: ProvisioningStatus,
    generation: int,
    **bound: str,
) -> None:
    values = {"provisioning_status": status, "generation": generation, "updated_at": resources.now(tx)}
    tx.execute(sa.update(table(resource)).where(which), {**values, **bound})


def _mark_whole(tx: Transaction, resource: type[Struct], which: sa.ColumnElement[bool], generation: int) -> None:
    """For deletion, with all below."""
    _mark(tx, resource, which, ProvisioningStatus.PENDING_DELETE, generation)
    for part, column in _PARTS.get(resource, ()):
        of_these = table(part).c[column].in_(sa.select(table(resource).c.id).where(which))
        _mark_whole(tx, part, of_these, generation)


def _take_default_pool(tx: Transaction, pool_id: str, generation: int) -> None:
    """Listeners whose default pool goes serve without one from now on."""
    columns = table(Listener).c
    stays = columns.provisioning_status != ProvisioningStatus.PENDING_DELETE
    for (listener_id,) in tx.execute(sa.select(columns.id).where(columns.default_pool_id == pool_id, stays)).all():
        resources.update(tx, Listener, listener_id, default_pool_id=None)
        mark_pending(tx, Listener, listener_id, ProvisioningStatus.PENDING_UPDATE, generation)
