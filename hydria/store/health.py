"""What heartbeats change: operating statuses. Reads first, and takes the write lock only when something changed."""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hydria.model.amphora import Amphora, Replacement
from hydria.model.heartbeat import Heartbeat
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Member, Pool
from hydria.model.resource import Provisioned
from hydria.model.status import AmphoraStatus, OperatingStatus, ProvisioningStatus, pool_status, worst
from hydria.store import amphorae
from hydria.store.database import Database, Transaction
from hydria.store.statistics import Row, changed_statistics, listener_stats, load_balancer_stats, write_statistics
from hydria.store.tables import table

__all__ = ["listener_stats", "load_balancer_stats", "write_health"]


def write_health(database: Database, heartbeat: Heartbeat, received_at: float) -> None:
    """Operating statuses and counters of the amphora's load balancer, as of `received_at` (seconds of the epoch).

    A heartbeat that came later than a newer one, or of an amphora that nobody knows any more, changes nothing.
    """
    with database.read() as tx:
        seen = _look(tx, heartbeat)
        if seen is None or not (_changes(seen, heartbeat) or _statistics(tx, seen, heartbeat)):
            return
    with database.write() as tx:
        seen = _look(tx, heartbeat)
        at = dt.datetime.fromtimestamp(received_at, dt.UTC).replace(tzinfo=None)
        if seen is None or not amphorae.heard(tx, heartbeat.amphora_id, at=at, sequence=heartbeat.sequence):
            return
        for resource, statuses in _changes(seen, heartbeat).items():
            _write(tx, resource, statuses)
        write_statistics(tx, heartbeat, _statistics(tx, seen, heartbeat))


@dataclass(frozen=True, slots=True)
class _Row:
    resource: type[Provisioned]
    id: str
    parent_id: str
    admin_state_up: bool
    provisioning_status: ProvisioningStatus
    operating_status: OperatingStatus
    generation: int
    unreachable: bool
    """Of a load balancer: its VIP's NIC has no link."""


@dataclass(frozen=True)
class _Seen:
    load_balancer: _Row
    listeners: tuple[_Row, ...]
    pools: tuple[_Row, ...]
    members: Mapping[str, tuple[_Row, ...]]
    """By pool."""


_AMPHORA = table(Amphora).c
_KINDS: tuple[type[Provisioned], ...] = (LoadBalancer, Listener, Pool, Member)


def _select_everything() -> sa.CompoundSelect[Any]:
    """One statement for all rows that have an operating status which heartbeats tell."""
    lb, pool, member = table(LoadBalancer).c, table(Pool).c, table(Member).c
    serving = _AMPHORA.status.not_in([AmphoraStatus.DELETED, AmphoraStatus.PENDING_DELETE])
    newer = _AMPHORA.heartbeat_sequence <= sa.bindparam("sequence")
    mine = sa.select(_AMPHORA.loadbalancer_id).where(_AMPHORA.id == sa.bindparam("amphora_id"), serving, newer)
    which = {
        LoadBalancer: (lb.id, lb.id.in_(mine)),
        Listener: (table(Listener).c.loadbalancer_id, table(Listener).c.loadbalancer_id.in_(mine)),
        Pool: (pool.loadbalancer_id, pool.loadbalancer_id.in_(mine)),
        Member: (member.pool_id, member.pool_id.in_(sa.select(pool.id).where(pool.loadbalancer_id.in_(mine)))),
    }
    no_link = sa.exists().where(_AMPHORA.id == sa.bindparam("amphora_id"), _AMPHORA.replace_for == Replacement.LINK)
    parts = []
    for number, resource in enumerate(_KINDS):
        columns, (parent, condition) = table(resource).c, which[resource]
        parts.append(
            sa.select(
                sa.literal_column(str(number)).label("kind"),
                columns.id,
                parent.label("parent_id"),
                columns.admin_state_up,
                columns.provisioning_status,
                columns.operating_status,
                columns.generation,
                (no_link if resource is LoadBalancer else sa.false()).label("unreachable"),
            ).where(condition)
        )
    return sa.union_all(*parts)


_EVERYTHING = _select_everything()


def _look(tx: Transaction, heartbeat: Heartbeat) -> _Seen | None:
    rows: dict[type[Provisioned], list[_Row]] = {kind: [] for kind in _KINDS}
    sender = {"amphora_id": heartbeat.amphora_id, "sequence": heartbeat.sequence}
    for row in tx.execute(_EVERYTHING, sender):
        rows[_KINDS[row.kind]].append(_Row(_KINDS[row.kind], *tuple[Any, ...](row)[1:]))
    if not rows[LoadBalancer]:
        return None
    members: dict[str, list[_Row]] = {}
    for member in rows[Member]:
        members.setdefault(member.parent_id, []).append(member)
    return _Seen(
        load_balancer=rows[LoadBalancer][0],
        listeners=tuple(rows[Listener]),
        pools=tuple(rows[Pool]),
        members={pool_id: tuple(found) for pool_id, found in members.items()},
    )


def _statistics(tx: Transaction, seen: _Seen, heartbeat: Heartbeat) -> list[Row]:
    return changed_statistics(tx, heartbeat, [listener.id for listener in seen.listeners])


def _changes(seen: _Seen, heartbeat: Heartbeat) -> dict[type[Provisioned], dict[str, OperatingStatus]]:
    """What is other than stored."""
    changes: dict[type[Provisioned], dict[str, OperatingStatus]] = {}
    for row, status in _statuses(seen, heartbeat):
        if status is not row.operating_status:
            changes.setdefault(row.resource, {})[row.id] = status
    return changes


def _statuses(seen: _Seen, heartbeat: Heartbeat) -> Iterator[tuple[_Row, OperatingStatus]]:
    shown = []
    for listener in seen.listeners:
        status = _listener(listener, seen.load_balancer, heartbeat)
        yield listener, status
        shown.append(status)
    for pool in seen.pools:
        members = seen.members.get(pool.id, ())
        statuses = [_member(member, pool, seen.load_balancer, heartbeat) for member in members]
        yield from zip(members, statuses, strict=True)
        status = _pool(pool, seen.load_balancer, heartbeat)
        if pool.id in heartbeat.pools and status is not OperatingStatus.OFFLINE:
            status = pool_status(status, statuses)
        yield pool, status
        shown.append(status)
    lb = seen.load_balancer
    if not lb.admin_state_up:
        yield lb, OperatingStatus.OFFLINE
    elif lb.unreachable:
        yield lb, OperatingStatus.ERROR
    elif lb.provisioning_status is not ProvisioningStatus.PENDING_CREATE and heartbeat.generation is not None:
        yield lb, worst(shown)


def _unknown_to(heartbeat: Heartbeat, row: _Row) -> bool:
    """The amphora had not been told of the row's last write when it sent this, so its silence means nothing."""
    told = heartbeat.generation is not None and heartbeat.generation >= row.generation
    return row.provisioning_status.pending or not told


_LISTENER = {"OPEN": OperatingStatus.ONLINE, "FULL": OperatingStatus.DEGRADED}
_POOL = {"UP": OperatingStatus.ONLINE, "DOWN": OperatingStatus.ERROR}


def _listener(row: _Row, lb: _Row, heartbeat: Heartbeat) -> OperatingStatus:
    if not (row.admin_state_up and lb.admin_state_up):
        return OperatingStatus.OFFLINE
    health = heartbeat.listeners.get(row.id)
    if health is not None:
        return _LISTENER.get(health.status, row.operating_status)
    if _unknown_to(heartbeat, row):
        return row.operating_status
    active = lb.provisioning_status is ProvisioningStatus.ACTIVE
    return OperatingStatus.ERROR if active else OperatingStatus.OFFLINE


def _pool(row: _Row, lb: _Row, heartbeat: Heartbeat) -> OperatingStatus:
    if not (row.admin_state_up and lb.admin_state_up):
        return OperatingStatus.OFFLINE
    health = heartbeat.pools.get(row.id)
    if health is not None:
        return _POOL.get(health.status, row.operating_status)
    return row.operating_status if _unknown_to(heartbeat, row) else OperatingStatus.OFFLINE


_MEMBER = {
    "UP": OperatingStatus.ONLINE,
    "DOWN": OperatingStatus.ERROR,
    "DRAIN": OperatingStatus.DRAINING,
    "MAINT": OperatingStatus.OFFLINE,
    "no check": OperatingStatus.NO_MONITOR,
}


def _member(row: _Row, pool: _Row, lb: _Row, heartbeat: Heartbeat) -> OperatingStatus:
    if not (row.admin_state_up and pool.admin_state_up and lb.admin_state_up):
        return OperatingStatus.OFFLINE
    health = heartbeat.pools.get(pool.id)
    told = None if health is None else health.members.get(row.id)
    if told is not None:
        return _MEMBER.get(told, row.operating_status)  # RESTARTING: as it was
    return row.operating_status if _unknown_to(heartbeat, row) else OperatingStatus.OFFLINE


def _write(tx: Transaction, resource: type[Provisioned], statuses: Mapping[str, OperatingStatus]) -> None:
    columns = table(resource).c
    update = sa.update(table(resource)).where(columns.id == sa.bindparam("at"))
    tx.execute(
        update.values(operating_status=sa.bindparam("status")),
        [{"at": id_, "status": status} for id_, status in statuses.items()],
    )
