"""Which load balancers are dirty, durably, and who holds which: at most one holder of each, by a lease.

* due_at NULL, no lease: clean
* due_at set, no lease: dirty, may be claimed from then on
* due_at NULL, leased: somebody works on it; when the lease runs out, anybody may claim it
* due_at set, leased: likewise, and it was marked meanwhile: the holder cannot make it clean
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from hydria.model.load_balancer import LoadBalancer
from hydria.store.database import Database, Transaction
from hydria.store.events import record
from hydria.store.tables import LB_ID, dirty, table


@dataclass(frozen=True)
class Claim:
    load_balancer_id: str
    owner: str
    """Of this claim alone: what an earlier one of the same worker still tries comes to nothing."""
    attempts: int
    """How often it was given back unfinished since it was last clean."""


_AT, _NOW = sa.bindparam("at", type_=sa.Float), sa.bindparam("now", type_=sa.Float)
_sooner = sa.or_(dirty.c.due_at.is_(None), dirty.c.due_at > _AT)
_MARK = (
    sa.update(dirty)
    .where(dirty.c.load_balancer_id == LB_ID)
    .values(due_at=sa.case((_sooner, _AT), else_=dirty.c.due_at))
)
_FIRST_MARK = sa.insert(dirty).from_select(
    ["load_balancer_id", "due_at", "attempts"],
    sa.select(table(LoadBalancer).c.id, _AT, sa.literal(0)).where(table(LoadBalancer).c.id == LB_ID),
)
_free_at = sa.func.coalesce(dirty.c.lease_until, dirty.c.due_at)
"""From when on a row may be claimed: an abandoned one when its lease runs out, marked or not."""
_CLAIMABLE = sa.or_(
    sa.and_(dirty.c.lease_until.is_(None), dirty.c.due_at <= _NOW),
    dirty.c.lease_until <= _NOW,
)
_FIRST = (
    sa.select(dirty.c.load_balancer_id, dirty.c.attempts)
    .where(_CLAIMABLE)
    .order_by(_free_at)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_UNTIL, _OWNER = sa.bindparam("until", type_=sa.Float), sa.bindparam("owner", type_=sa.String)
_CLAIM = (
    sa.update(dirty)
    .where(dirty.c.load_balancer_id == LB_ID)
    .values(due_at=sa.case((dirty.c.due_at > _NOW, dirty.c.due_at)), lease_owner=_OWNER, lease_until=_UNTIL)
)
HELD = sa.and_(dirty.c.load_balancer_id == LB_ID, dirty.c.lease_owner == _OWNER)
"""The row of a claim that is still its `holder`'s."""
_RENEW = sa.update(dirty).where(HELD).values(lease_until=_UNTIL)
_RELEASE = (
    sa.update(dirty)
    .where(HELD)
    .values(
        due_at=sa.func.coalesce(dirty.c.due_at, _AT),
        lease_owner=None,
        lease_until=None,
        attempts=sa.bindparam("tries", type_=sa.Integer),
    )
)
_NEXT_DUE = sa.select(sa.func.min(_free_at))


def mark(tx: Transaction, lb_id: str, *, at: float | None = None) -> None:
    """Dirty from `at` (else now) on, or earlier if it already was. Nothing happens when there is no such one."""
    values = {"at": tx.clock() if at is None else at, "lb_id": lb_id}
    if tx.execute(_MARK, values).rowcount == 0:
        tx.execute(_FIRST_MARK, values)


class Queue:
    def __init__(self, database: Database, clock: Callable[[], float] | None = None) -> None:
        self._database = database
        self.clock = clock or database.clock

    def mark(self, tx: Transaction, lb_id: str, *, after: float = 0.0) -> None:
        mark(tx, lb_id, at=self.clock() + after)

    def claim(self, owner: str, lease_seconds: float) -> Claim | None:
        """Take the longest due load balancer, None when there is none."""
        now = self.clock()
        due = self.next_due()
        if due is None or due > now:  # without the write lock that each idle worker would else take every second
            return None
        with self._database.write() as tx:
            row = tx.execute(_FIRST, {"now": now}).first()
            if row is None:
                return None
            claim = Claim(row.load_balancer_id, owner=f"{owner}/{uuid.uuid4().hex}", attempts=row.attempts)
            lease = {"lb_id": claim.load_balancer_id, "owner": claim.owner, "until": now + lease_seconds}
            tx.execute(_CLAIM, {**lease, "now": now})
        return claim

    def renew(self, claim: Claim, lease_seconds: float) -> bool:
        """False: the lease ran out and another took it, or the load balancer is gone."""
        values = {"until": self.clock() + lease_seconds, **holder(claim)}
        with self._database.write() as tx:
            return tx.execute(_RENEW, values).rowcount > 0

    def later(self, claim: Claim, *, after: float, reason: str | None = None) -> None:
        """Give it back, due again `after` seconds, or at once when it was marked meanwhile."""
        with self._database.write() as tx:
            if release(tx, claim, at=self.clock() + after, attempts=claim.attempts + 1) and reason is not None:
                lb_id = claim.load_balancer_id
                record(tx, lb_id, LoadBalancer, lb_id, level="WARNING", reason=reason)

    def next_due(self) -> float | None:
        """When, by the queue's clock, there is or was something to claim."""
        with self._database.read() as tx:
            due: float | None = tx.execute(_NEXT_DUE).scalar_one()
            return due

    def mark_all(self, *, spread_seconds: float) -> int:
        """Look at every load balancer again, spread evenly over that time. Returns their number."""
        with self._database.write() as tx:
            ids = tx.execute(sa.select(table(LoadBalancer).c.id).order_by(table(LoadBalancer).c.id)).scalars().all()
            for position, lb_id in enumerate(ids):
                self.mark(tx, lb_id, after=spread_seconds * position / len(ids))
        return len(ids)


def holder(claim: Claim) -> dict[str, str]:
    """What HELD is bound to."""
    return {"lb_id": claim.load_balancer_id, "owner": claim.owner}


def release(tx: Transaction, claim: Claim, *, at: float | None, attempts: int) -> bool:
    """End a lease; due at `at` (None: clean) unless it was marked meanwhile. False: it was no longer ours."""
    return tx.execute(_RELEASE, {**holder(claim), "at": at, "tries": attempts}).rowcount > 0
