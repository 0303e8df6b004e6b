"""The rows of amphorae."""

import datetime as dt
from typing import Any

import sqlalchemy as sa

from hydria.model.amphora import Amphora
from hydria.store import resources
from hydria.store.database import Transaction
from hydria.store.tables import table

_AMPHORA = table(Amphora).c


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
