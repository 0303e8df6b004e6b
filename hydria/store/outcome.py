"""How a reconcile ends: statuses for the generation that was acted upon, reasons, and the lease given back."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool
from hydria.model.resource import Provisioned
from hydria.model.status import OperatingStatus, ProvisioningStatus
from hydria.store import amphorae, events, resources
from hydria.store.database import Database, Transaction
from hydria.store.load_balancers import CHILDREN
from hydria.store.queue import HELD, Claim, Queue, holder, release
from hydria.store.tables import below, dirty, table

_LB = table(LoadBalancer)
_HEARD_OF = (LoadBalancer, Listener, Pool, Member)
"""What heartbeats tell of."""


@dataclass(frozen=True)
class Outcome:
    generation: int
    """That of the graph that was acted upon."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Resource id → reason, for listeners, pools, members and health monitors."""
    load_balancer_fault: str | None = None
    stays: str | None = None
    """The amphora whose failover came to nothing, as the load balancer's fault says. It serves all that was asked."""
    serves: bool = True
    """False: only heartbeats tell the operating statuses of what traffic goes through."""


def settle(database: Database, queue: Queue, claim: Claim, outcome: Outcome) -> bool:
    """Write how it went, in one transaction, and give the load balancer back.

    It stays dirty when a write was accepted or a mark made meanwhile. What a load balancer that is being deleted comes
    to, `settle_deleted` or `Queue.later` says. Returns whether the generation was still current; False also when the
    claim was lost, and then nothing is written.
    """
    with database.write() as tx:
        # The load balancer's row first, then the mark: the order in which accepted writes lock them.
        lb = tx.execute(_LOCK, {"lb_id": claim.load_balancer_id}).mappings().first()
        if lb is None or tx.execute(_HOLD, holder(claim)).first() is None:
            return False
        deleting = lb["provisioning_status"] is _DELETING
        current = not deleting and lb["generation"] == outcome.generation
        if not deleting:
            for resource in reversed(CHILDREN):
                _settle_children(tx, resource, claim.load_balancer_id, outcome)
        if current:
            _settle_load_balancer(tx, lb, outcome)
            if outcome.stays is not None:
                amphorae.give_up_failover(tx, outcome.stays)
        release(tx, claim, at=None if current else queue.clock(), attempts=0)
    return current


def settle_deleted(database: Database, claim: Claim) -> None:
    """Nothing of it is left outside: its row goes, and by the foreign keys all that belongs to it."""
    with database.write() as tx:
        tx.execute(_REMOVE, holder(claim))


_DELETING = ProvisioningStatus.PENDING_DELETE
_HOLD = sa.select(dirty.c.attempts).where(HELD).with_for_update()
_REMOVE = sa.delete(_LB).where(
    below(LoadBalancer), _LB.c.provisioning_status == _DELETING, sa.exists(sa.select(dirty.c.attempts).where(HELD))
)


@functools.cache
def _statuses(resource: type[Provisioned]) -> sa.Select[Any]:
    columns = table(resource).c
    monitored: sa.ColumnElement[bool] = sa.false()
    if resource is Member:
        monitor = table(HealthMonitor).c
        stays = monitor.provisioning_status != _DELETING
        monitored = sa.exists().where(monitor.pool_id == columns.pool_id, stays)
    return sa.select(
        columns.id,
        columns.provisioning_status,
        columns.operating_status,
        columns.admin_state_up,
        columns.generation,
        monitored.label("monitored"),
    ).where(below(resource))


_LOCK = _statuses(LoadBalancer).with_for_update()


@functools.cache
def _concerned(resource: type[Provisioned]) -> sa.Select[Any]:
    """Children of the acted-upon generation, or an older one, that are not ACTIVE or have a fault now."""
    columns = table(resource).c
    faulty = columns.id.in_(sa.bindparam("faulty", expanding=True))
    return _statuses(resource).where(
        columns.generation <= sa.bindparam("acted_upon", type_=sa.BigInteger),
        sa.or_(columns.provisioning_status != ProvisioningStatus.ACTIVE, faulty),
    )


def _settle_load_balancer(tx: Transaction, row: sa.RowMapping, outcome: Outcome) -> None:
    fault = outcome.load_balancer_fault
    status = ProvisioningStatus.ACTIVE if fault is None else ProvisioningStatus.ERROR
    _write_statuses(tx, LoadBalancer, {row["id"]: (row, status)}, serves=outcome.serves)
    faults, well = ({}, [row["id"]]) if fault is None else ({row["id"]: fault}, [])
    events.explain(tx, row["id"], LoadBalancer, faults, well)


def _settle_children(tx: Transaction, resource: type[Provisioned], lb_id: str, outcome: Outcome) -> None:
    bound = {"lb_id": lb_id, "acted_upon": outcome.generation, "faulty": list(outcome.faults)}
    unserved = outcome.load_balancer_fault is not None and outcome.stays is None
    gone: list[str] = []
    found: dict[str, tuple[sa.RowMapping, ProvisioningStatus]] = {}
    for row in tx.execute(_concerned(resource), bound).mappings():
        if row["provisioning_status"] is _DELETING:
            gone.append(row["id"])
            continue
        # The load balancer's own fault leaves undone what was asked of its children; those in order stay so.
        undone = unserved and row["provisioning_status"] is not ProvisioningStatus.ACTIVE
        faulty = undone or row["id"] in outcome.faults
        found[row["id"]] = row, ProvisioningStatus.ERROR if faulty else ProvisioningStatus.ACTIVE
    if gone:
        tx.execute(sa.delete(table(resource)).where(table(resource).c.id.in_(gone)))
    if found:
        _write_statuses(tx, resource, found, serves=outcome.serves)
        faults = {id_: outcome.faults[id_] for id_ in found if id_ in outcome.faults}
        well = [id_ for id_, (_, status) in found.items() if status is ProvisioningStatus.ACTIVE]
        events.explain(tx, lb_id, resource, faults, well)


def _write_statuses(
    tx: Transaction,
    resource: type[Provisioned],
    found: Mapping[str, tuple[sa.RowMapping, ProvisioningStatus]],
    *,
    serves: bool,
) -> None:
    heard_of = not serves and resource in _HEARD_OF
    moment = resources.now(tx)
    values = [
        {
            "at": id_,
            "status": status,
            "operating": row["operating_status"] if heard_of else _operating(resource, row, status),
            "moment": moment,
        }
        for id_, (row, status) in found.items()
    ]
    tx.execute(_update(resource), values)


@functools.cache
def _update(resource: type[Provisioned]) -> sa.Update:
    """An object that has become ACTIVE, or has failed, was changed then: clients read `updated_at` of every object."""
    columns = table(resource).c
    status = sa.bindparam("status", type_=columns.provisioning_status.type)
    changed = sa.case(
        (columns.provisioning_status != status, sa.bindparam("moment", type_=columns.updated_at.type)),
        else_=columns.updated_at,
    )
    return (
        sa.update(table(resource))
        .where(columns.id == sa.bindparam("at"))
        .values(provisioning_status=status, operating_status=sa.bindparam("operating"), updated_at=changed)
    )


def _operating(resource: type[Provisioned], row: sa.RowMapping, status: ProvisioningStatus) -> OperatingStatus:
    """What is known before a heartbeat tells: what has just begun to serve is ONLINE, or has nobody to watch it."""
    now: OperatingStatus = row["operating_status"]
    if not row["admin_state_up"]:
        return OperatingStatus.OFFLINE
    begins = status is ProvisioningStatus.ACTIVE and row["provisioning_status"] is not ProvisioningStatus.ACTIVE
    if not begins or now is not OperatingStatus.OFFLINE:
        return now
    if resource is not Member:
        return OperatingStatus.ONLINE
    return OperatingStatus.OFFLINE if row["monitored"] else OperatingStatus.NO_MONITOR
