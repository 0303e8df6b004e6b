"""Reasons that users are shown, of each load balancer the newest 1,000."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from hydria.model.event import Event
from hydria.store import resources
from hydria.store.database import Transaction
from hydria.store.tables import table, title

KEPT = 1000

Level = Literal["INFO", "WARNING", "ERROR"]

_EVENT = table(Event)
_newest_first = (_EVENT.c.created_at.desc(), _EVENT.c.id.desc())


def add(tx: Transaction, event: Event) -> None:
    resources.insert(tx, event)
    mine = _EVENT.c.loadbalancer_id == event.loadbalancer_id
    too_old = tx.execute(
        sa.select(_EVENT.c.created_at).where(mine).order_by(*_newest_first).offset(KEPT).limit(1)
    ).scalar()
    if too_old is not None:
        tx.execute(sa.delete(_EVENT).where(mine, _EVENT.c.created_at <= too_old))


def list_events(tx: Transaction, lb_id: str, limit: int = KEPT) -> tuple[Event, ...]:
    """The newest first."""
    statement = resources.select(Event).where(_EVENT.c.loadbalancer_id == lb_id).order_by(*_newest_first).limit(limit)
    return tuple(resources.from_rows(Event, tx.execute(statement)))


def record(tx: Transaction, lb_id: str, resource: type[Struct], id_: str, *, level: Level, reason: str) -> None:
    """Add an event unless the newest one of the same resource says the same."""
    newest = _newest(tx, lb_id, [id_]).get(id_)
    if newest is None or (newest.level, newest.reason) != (level, reason):
        _add(tx, lb_id, resource, id_, level=level, reason=reason)


def explain(
    tx: Transaction, lb_id: str, resource: type[Struct], faults: Mapping[str, str], well: Iterable[str]
) -> None:
    """Record each fault that is new, and that those which are well again are so."""
    newest = _newest(tx, lb_id, [*faults, *well])
    for id_, reason in faults.items():
        if id_ not in newest or (newest[id_].level, newest[id_].reason) != ("ERROR", reason):
            _add(tx, lb_id, resource, id_, level="ERROR", reason=reason)
    for id_ in well:
        if id_ in newest and newest[id_].level != "INFO":
            _add(tx, lb_id, resource, id_, level="INFO", reason=f"{title(resource)} {id_} is in order again.")


def _add(tx: Transaction, lb_id: str, resource: type[Struct], id_: str, *, level: Level, reason: str) -> None:
    row = {"id": str(uuid.uuid4()), "loadbalancer_id": lb_id, "resource_type": resource.__name__.lower()}
    row |= {"resource_id": id_, "level": level, "reason": reason}
    add(tx, msgspec.convert({**row, "created_at": resources.now(tx)}, Event))


def _newest(tx: Transaction, lb_id: str, resource_ids: Sequence[str]) -> dict[str, Event]:
    """The newest event of each resource that has one."""
    mine = resources.select(Event).where(_EVENT.c.loadbalancer_id == lb_id, _EVENT.c.resource_id.in_(resource_ids))
    rows = resources.from_rows(Event, tx.execute(mine.order_by(_EVENT.c.created_at, _EVENT.c.id)))
    return {event.resource_id: event for event in rows}
