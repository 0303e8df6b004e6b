"""Counters of listeners: sums that survive a restart of HAProxy and the replacement of an amphora.

A row per listener and amphora holds the last totals that were told and the sum of all that was ever added to them.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from hydria.model.amphora import Amphora
from hydria.model.heartbeat import Heartbeat, ListenerStats
from hydria.model.listener import Listener
from hydria.model.status import AmphoraStatus
from hydria.store.database import Transaction
from hydria.store.tables import COUNTERS, listener_statistics, table

Row = Mapping[str, Any]

_ROWS = listener_statistics.c
_KNOWN = sa.select(listener_statistics).where(_ROWS.amphora_id == sa.bindparam("amphora_id"))


def changed_statistics(tx: Transaction, heartbeat: Heartbeat, listener_ids: Collection[str]) -> list[Row]:
    """The rows of these listeners that the heartbeat makes other than they are stored, or new."""
    known = tx.execute(_KNOWN, {"amphora_id": heartbeat.amphora_id}).mappings()
    stored: dict[str, Row] = {row["listener_id"]: dict(row) for row in known}
    changed: list[Row] = []
    for listener_id in listener_ids:
        row, health = stored.get(listener_id), heartbeat.listeners.get(listener_id)
        if health is not None:
            key = {"listener_id": listener_id, "amphora_id": heartbeat.amphora_id}
            advanced = {**key, **_advanced(row, health.stats)}
            if advanced != row:
                changed.append(advanced)
        elif row is not None and row["active_connections"]:
            # A listener that is no longer served has no connections.
            changed.append({**row, "active_connections": 0})
    return changed


def _advanced(row: Row | None, told: ListenerStats) -> dict[str, int]:
    values = {"active_connections": told.active_connections}
    restarted = row is None or any(getattr(told, name) < row[f"last_{name}"] for name in COUNTERS)
    for name in COUNTERS:
        total: int = getattr(told, name)
        before, base = (0 if row is None else row[name]), (0 if row is None or restarted else row[f"last_{name}"])
        values |= {name: before + total - base, f"last_{name}": total}
    return values


def write_statistics(tx: Transaction, heartbeat: Heartbeat, changed: Sequence[Row]) -> None:
    """By hand instead of an upsert, of which each database has its own; the amphora's row is locked by now."""
    if changed:
        mine = _ROWS.listener_id.in_([row["listener_id"] for row in changed])
        tx.execute(sa.delete(listener_statistics).where(mine, _ROWS.amphora_id == heartbeat.amphora_id))
        tx.execute(sa.insert(listener_statistics), changed)


def listener_stats(tx: Transaction, listener_ids: Collection[str]) -> ListenerStats:
    """The sum over these listeners and all amphorae that served them."""
    return _sum(tx, _ROWS.listener_id.in_(listener_ids))


def amphora_stats(tx: Transaction, amphora_id: str) -> dict[str, ListenerStats]:
    """By listener: what this amphora alone has served."""
    names = ListenerStats.__struct_fields__
    rows = tx.execute(_KNOWN.order_by(_ROWS.listener_id), {"amphora_id": amphora_id}).mappings()
    return {row["listener_id"]: ListenerStats(**{name: row[name] for name in names}) for row in rows}


def load_balancer_stats(tx: Transaction, lb_id: str) -> ListenerStats:
    listener = table(Listener).c
    return _sum(tx, _ROWS.listener_id.in_(sa.select(listener.id).where(listener.loadbalancer_id == lb_id)))


def _sum(tx: Transaction, which: sa.ColumnElement[bool]) -> ListenerStats:
    amphora = table(Amphora).c
    alive = _ROWS.amphora_id.in_(sa.select(amphora.id).where(amphora.status != AmphoraStatus.DELETED))
    open_now = sa.func.sum(sa.case((alive, _ROWS.active_connections), else_=0))
    sums = [sa.func.sum(_ROWS[name]) for name in COUNTERS]
    row = tx.execute(sa.select(open_now, *sums).where(which)).one()
    values = (0 if value is None else int(value) for value in row)
    return ListenerStats(**dict(zip(("active_connections", *COUNTERS), values, strict=True)))
