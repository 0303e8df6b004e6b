"""Any order of writes, rounds and crashes ends with nothing pending and nothing lost."""

import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from store_world import Clock, Filled, insert_filled, make_database

from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Member
from hydria.model.status import ProvisioningStatus as Ps
from hydria.store import resources
from hydria.store.graph import load_graph
from hydria.store.load_balancers import delete_load_balancer, mark_pending, touch
from hydria.store.outcome import Outcome, settle, settle_deleted
from hydria.store.queue import Claim, Queue
from hydria.store.tables import dirty

NAMES = Filled()
LEASE = 30.0


class Rounds(RuleBasedStateMachine):
    migrated: Path

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        shutil.copy(self.migrated, self.directory / "hydria.db")
        self.clock = Clock()
        self.database = make_database(self.directory / "hydria.db", self.clock)
        self.queue = Queue(self.database)
        insert_filled(self.database, NAMES)
        self.rounds: list[tuple[Claim, int, float]] = []
        """Who believes to hold it, the generation that was read, and when the lease ends."""
        self.accepted = 0
        self.acted_upon = -1
        self.members = len(NAMES.members)
        self.deleting = False

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.end()
            self.database.close()
            shutil.rmtree(self.directory)

    @precondition(lambda self: not self.deleting)
    @rule(kind=st.sampled_from(["touch", "add", "update", "remove"]))
    def write(self, kind: str) -> None:
        with self.database.write() as tx:
            self.accepted = touch(tx, NAMES.lb, strict=False)
            staying = [row for row in resources.find(tx, Member) if row.provisioning_status is not Ps.PENDING_DELETE]
            if kind == "add":
                self.members += 1
                values = {"pool_id": NAMES.pool, "address": "192.0.2.1", "generation": self.accepted}
                resources.insert(tx, Member(id=f"m-{self.members}", protocol_port=self.members, **values))
            elif kind in ("update", "remove") and staying:
                status = Ps.PENDING_UPDATE if kind == "update" else Ps.PENDING_DELETE
                mark_pending(tx, Member, staying[0].id, status, self.accepted)

    @precondition(lambda self: not self.deleting)
    @rule()
    def delete(self) -> None:
        with self.database.write() as tx:
            self.accepted = delete_load_balancer(tx, NAMES.lb, cascade=True)
        self.deleting = True

    @rule()
    def mark(self) -> None:
        self.queue.mark_all(spread_seconds=1)

    @rule()
    def claim(self) -> None:
        claim = self.queue.claim("worker", LEASE)
        if claim is None:
            return
        assert all(until <= self.clock.now for _, _, until in self.rounds), "two hold it at once"
        with self.database.read() as tx:
            graph = load_graph(tx, NAMES.lb)
        assert graph is not None
        self.rounds.append((claim, graph.generation, self.clock.now + LEASE))

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), fault=st.booleans())
    def settle(self, data: st.DataObject, fault: bool) -> None:
        claim, generation, _ = self.take(data)
        if self.deleting and generation == self.accepted:
            settle_deleted(self.database, claim)
            return
        faults = {NAMES.members[0]: "No VF is left."} if fault else {}
        if settle(self.database, self.queue, claim, Outcome(generation=generation, faults=faults)):
            assert generation == self.accepted
            self.acted_upon = generation

    @precondition(lambda self: self.rounds)
    @rule(data=st.data(), after=st.sampled_from([0, 5]))
    def later(self, data: st.DataObject, after: float) -> None:
        claim, _, _ = self.take(data)
        self.queue.later(claim, after=after)

    @rule(seconds=st.sampled_from([1, 10, 31]))
    def wait(self, seconds: float) -> None:
        """Longer than a lease: its holder is dead or stalled, and may come back."""
        self.clock.advance(seconds)

    def take(self, data: st.DataObject) -> tuple[Claim, int, float]:
        return self.rounds.pop(data.draw(st.integers(0, len(self.rounds) - 1)))

    @invariant()
    def what_is_unfinished_is_dirty(self) -> None:
        with self.database.read() as tx:
            graph = load_graph(tx, NAMES.lb)
            marks = tx.execute(dirty.select()).all()
        if graph is None:
            assert self.deleting
            assert marks == []
            return
        pending = any(row.provisioning_status.pending for row in graph.resources())
        clean = all(mark.due_at is None and mark.lease_until is None for mark in marks)
        assert not (clean and (pending or self.acted_upon != self.accepted))
        assert graph.generation == self.accepted

    def end(self) -> None:
        """Every holder dies; one worker goes on until nothing is left to do."""
        for _ in range(50):
            due = self.queue.next_due()
            if due is None:
                break
            self.clock.now = max(self.clock.now, due)
            claim = self.queue.claim("last", LEASE)
            assert claim is not None
            if self.deleting:
                settle_deleted(self.database, claim)
            else:
                settle(self.database, self.queue, claim, Outcome(generation=self.accepted))
        assert self.queue.next_due() is None
        with self.database.read() as tx:
            graph = load_graph(tx, NAMES.lb)
            assert (graph is None) is self.deleting
            if graph is not None:
                assert {row.provisioning_status for row in graph.resources()} == {Ps.ACTIVE}
            else:
                assert resources.find(tx, LoadBalancer) == ()


def test_any_order_ends_well(migrated: Path):
    Rounds.migrated = migrated
    run_state_machine_as_test(Rounds, settings=settings(max_examples=30, stateful_step_count=25, deadline=None))
