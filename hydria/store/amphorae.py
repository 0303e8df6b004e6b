"""The rows of amphorae, and that one is to be replaced: durable, in one transaction with its reason and its mark."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hydria.base.errors import Conflict
from hydria.model.amphora import Amphora, Replacement
from hydria.model.load_balancer import LoadBalancer
from hydria.model.status import AmphoraStatus, OperatingStatus
from hydria.store import events, queue, resources
from hydria.store.database import Transaction
from hydria.store.tables import table, title

_AMPHORA = table(Amphora).c
_LB = table(LoadBalancer).c
_LEAVING = (AmphoraStatus.PENDING_DELETE, AmphoraStatus.DELETED)


def insert(tx: Transaction, amphora: Amphora) -> Amphora:
    return resources.insert(tx, amphora)


def update(tx: Transaction, amphora_id: str, **values: Any) -> bool:
    return resources.update(tx, Amphora, amphora_id, **values)


def of_load_balancer(tx: Transaction, lb_id: str) -> tuple[Amphora, ...]:
    """All of them, DELETED ones too, the oldest first."""
    return resources.find(tx, Amphora, loadbalancer_id=lb_id)


def heard(tx: Transaction, amphora_id: str, *, at: dt.datetime, sequence: int) -> bool:
    """Record the latest heartbeat. False: there is no such amphora, or a later heartbeat was there first."""
    not_late = sa.and_(_AMPHORA.id == amphora_id, _AMPHORA.heartbeat_sequence <= sequence)
    changed = sa.update(table(Amphora)).where(not_late).values(last_heartbeat=at, heartbeat_sequence=sequence)
    return tx.execute(changed).rowcount > 0


def ask_replacement(tx: Transaction, amphora_id: str, cause: Replacement, reason: str) -> bool:
    """Have it replaced by the next reconcile. False: it is gone, or is to be replaced for no lesser cause already."""
    row = resources.get(tx, Amphora, amphora_id)
    if row is None or row.loadbalancer_id is None or row.status in _LEAVING or not cause.outweighs(row.replace_for):
        return False
    resources.update(tx, Amphora, amphora_id, replace_for=cause)
    if cause is Replacement.LINK:
        # Heartbeats go on and tell that all is well, for the amphora itself.
        enabled = sa.and_(_LB.id == row.loadbalancer_id, _LB.admin_state_up)
        tx.execute(sa.update(table(LoadBalancer)).where(enabled).values(operating_status=OperatingStatus.ERROR))
    level: events.Level = "INFO" if cause is Replacement.FAILOVER else "WARNING"
    events.record(tx, row.loadbalancer_id, Amphora, amphora_id, level=level, reason=reason)
    queue.mark(tx, row.loadbalancer_id)
    return True


def ask_failover(tx: Transaction, rows: Sequence[Amphora], reason: str) -> None:
    """Of amphorae of one load balancer, which has accepted the write (`load_balancers.touch`).

    Nothing more is asked for where a failover is under way: its successor is new.
    """
    if not any(row.replace_for is Replacement.FAILOVER and row.status not in _LEAVING for row in rows):
        for row in rows:
            ask_replacement(tx, row.id, Replacement.FAILOVER, f"Amphora {row.id} is to be replaced: {reason}")


def remove(tx: Transaction, row: Amphora) -> None:
    """The next reconcile disposes of it. Raises Conflict unless it is in ERROR: any other serves, or is about to."""
    if row.status is not AmphoraStatus.ERROR:
        raise Conflict(f"{title(Amphora)} {row.id} is immutable and cannot be updated.")
    update(tx, row.id, status=AmphoraStatus.PENDING_DELETE)
    queue.mark(tx, row.loadbalancer_id or "")


def give_up_failover(tx: Transaction, amphora_id: str) -> None:
    """It stays: another could not be had, as the load balancer's events say."""
    asked = sa.and_(_AMPHORA.id == amphora_id, _AMPHORA.replace_for == Replacement.FAILOVER)
    tx.execute(sa.update(table(Amphora)).where(asked).values(replace_for=None))


def withdraw_replacement(tx: Transaction, amphora_id: str, cause: Replacement, reason: str) -> bool:
    """It need not be replaced any more for `cause`. False: it is to be for another one, or is on its way out."""
    row = resources.get(tx, Amphora, amphora_id)
    if row is None or row.loadbalancer_id is None or row.status in _LEAVING or row.replace_for is not cause:
        return False
    resources.update(tx, Amphora, amphora_id, replace_for=None)
    events.record(tx, row.loadbalancer_id, Amphora, amphora_id, level="INFO", reason=reason)
    return True


def supersede(tx: Transaction, amphora_id: str, reason: str) -> bool:
    """Its successor serves: it goes. False: it is gone already, or its replacement was withdrawn meanwhile."""
    still = sa.and_(_AMPHORA.id == amphora_id, _AMPHORA.replace_for.is_not(None))
    leaves = sa.update(table(Amphora)).where(still).values(status=AmphoraStatus.PENDING_DELETE)
    if tx.execute(leaves).rowcount == 0:
        return False
    row = resources.get(tx, Amphora, amphora_id)
    if row is not None and row.loadbalancer_id is not None:
        events.record(tx, row.loadbalancer_id, Amphora, amphora_id, level="INFO", reason=reason)
    return True
