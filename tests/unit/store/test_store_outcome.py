import pytest
from store_world import Clock, Filled

from hydria.model.amphora import Amphora, Replacement
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool
from hydria.model.resource import Provisioned
from hydria.model.status import AmphoraStatus
from hydria.model.status import OperatingStatus as Op
from hydria.model.status import ProvisioningStatus as Ps
from hydria.store import amphorae, resources
from hydria.store.database import Database
from hydria.store.events import list_events
from hydria.store.graph import load_graph
from hydria.store.load_balancers import delete_load_balancer, mark_pending, touch
from hydria.store.outcome import Outcome, settle, settle_deleted
from hydria.store.queue import Claim, Queue


def claimed(queue: Queue) -> Claim:
    claim = queue.claim("worker", 30)
    assert claim is not None
    return claim


def statuses(database: Database, resource: type[Provisioned], id_: str) -> tuple[Ps, Op]:
    with database.read() as tx:
        row = resources.get(tx, resource, id_)
    assert row is not None
    return row.provisioning_status, row.operating_status


def test_a_round_without_faults_makes_everything_active(database: Database, queue: Queue, filled: Filled):
    assert settle(database, queue, claimed(queue), Outcome(generation=0))
    assert statuses(database, LoadBalancer, filled.lb) == (Ps.ACTIVE, Op.ONLINE)
    assert statuses(database, Listener, filled.listener) == (Ps.ACTIVE, Op.ONLINE)
    assert statuses(database, Pool, filled.pool) == (Ps.ACTIVE, Op.ONLINE)
    assert statuses(database, HealthMonitor, filled.monitor) == (Ps.ACTIVE, Op.ONLINE)
    assert statuses(database, Member, filled.members[0]) == (Ps.ACTIVE, Op.OFFLINE)  # its monitor will tell
    assert queue.next_due() is None


def test_a_member_without_monitor_has_no_monitor(database: Database, queue: Queue, filled: Filled):
    with database.write() as tx:
        resources.delete(tx, HealthMonitor, filled.monitor)
    settle(database, queue, claimed(queue), Outcome(generation=0))
    assert statuses(database, Member, filled.members[0]) == (Ps.ACTIVE, Op.NO_MONITOR)


def test_a_fault_is_told_once_and_so_is_its_end(database: Database, queue: Queue, filled: Filled, clock: Clock):
    faulty = filled.members[0]
    for _ in range(2):
        assert settle(database, queue, claimed(queue), Outcome(generation=0, faults={faulty: "No VF is left."}))
        assert statuses(database, Member, faulty) == (Ps.ERROR, Op.OFFLINE)
        assert statuses(database, Member, filled.members[1])[0] is Ps.ACTIVE
        assert statuses(database, LoadBalancer, filled.lb)[0] is Ps.ACTIVE
        clock.advance(1)
        queue.mark_all(spread_seconds=0)
    settle(database, queue, claimed(queue), Outcome(generation=0))
    assert statuses(database, Member, faulty)[0] is Ps.ACTIVE
    with database.read() as tx:
        told = [(event.resource_type, event.resource_id, event.level) for event in list_events(tx, filled.lb)]
    assert told == [("member", faulty, "INFO"), ("member", faulty, "ERROR")]


def test_a_write_during_a_round_stays_pending_and_dirty(database: Database, queue: Queue, filled: Filled):
    claim = claimed(queue)
    with database.write() as tx:
        generation = touch(tx, filled.lb, strict=False)
        mark_pending(tx, Member, filled.members[0], Ps.PENDING_UPDATE, generation)
        mark_pending(tx, Listener, filled.listener, Ps.PENDING_DELETE, generation)
    assert not settle(database, queue, claim, Outcome(generation=0))
    assert statuses(database, LoadBalancer, filled.lb)[0] is Ps.PENDING_CREATE
    assert statuses(database, Pool, filled.pool)[0] is Ps.ACTIVE
    assert statuses(database, Member, filled.members[0])[0] is Ps.PENDING_CREATE
    assert statuses(database, Listener, filled.listener)[0] is Ps.PENDING_DELETE
    assert settle(database, queue, claimed(queue), Outcome(generation=generation))
    with database.read() as tx:
        graph = load_graph(tx, filled.lb)
    assert graph is not None
    assert graph.listeners == ()
    assert {row.provisioning_status for row in graph.resources()} == {Ps.ACTIVE}
    assert queue.next_due() is None


@pytest.mark.usefixtures("filled")
def test_a_mark_without_a_write_is_not_lost(database: Database, queue: Queue, clock: Clock):
    claim = claimed(queue)
    queue.mark_all(spread_seconds=0)
    assert settle(database, queue, claim, Outcome(generation=0))
    assert queue.next_due() == clock.now


def test_a_lost_claim_writes_nothing(database: Database, queue: Queue, filled: Filled, clock: Clock):
    late = claimed(queue)
    clock.advance(31)
    claimed(queue)
    assert not settle(database, queue, late, Outcome(generation=0))
    settle_deleted(database, late)
    assert statuses(database, LoadBalancer, filled.lb)[0] is Ps.PENDING_CREATE


def test_the_load_balancers_fault_leaves_what_works(database: Database, queue: Queue, filled: Filled):
    settle(database, queue, claimed(queue), Outcome(generation=0))
    with database.write() as tx:
        generation = touch(tx, filled.lb, strict=True)
        mark_pending(tx, Pool, filled.pool, Ps.PENDING_UPDATE, generation)
    settle(database, queue, claimed(queue), Outcome(generation=generation, load_balancer_fault="No valid host."))
    assert statuses(database, LoadBalancer, filled.lb)[0] is Ps.ERROR
    assert statuses(database, Pool, filled.pool)[0] is Ps.ERROR
    assert statuses(database, Listener, filled.listener)[0] is Ps.ACTIVE
    with database.write() as tx:
        generation = touch(tx, filled.lb, strict=False)
    settle(database, queue, claimed(queue), Outcome(generation=generation))
    assert statuses(database, LoadBalancer, filled.lb)[0] is Ps.ACTIVE
    assert statuses(database, Pool, filled.pool)[0] is Ps.ACTIVE


def test_deleted_takes_everything_with_it(database: Database, queue: Queue, filled: Filled):
    claim = claimed(queue)
    with database.write() as tx:
        delete_load_balancer(tx, filled.lb, cascade=True)
    assert not settle(database, queue, claim, Outcome(generation=1))
    settle_deleted(database, claimed(queue))
    with database.read() as tx:
        for resource in (LoadBalancer, Listener, Pool, Member, HealthMonitor):
            assert resources.find(tx, resource) == ()
        assert load_graph(tx, filled.lb) is None
    assert queue.next_due() is None


def asked(database: Database, lb_id: str) -> int:
    """A failover of its only amphora. The new generation."""
    with database.write() as tx:
        if not amphorae.of_load_balancer(tx, lb_id):
            amphorae.insert(tx, Amphora(id="amphora-1", loadbalancer_id=lb_id, status=AmphoraStatus.ALLOCATED))
        generation = touch(tx, lb_id, strict=True, itself=True, mends=True)
        amphorae.ask_failover(tx, amphorae.of_load_balancer(tx, lb_id), "it was asked for.")
        return generation


def cause(database: Database) -> Replacement | None:
    with database.read() as tx:
        row = resources.get(tx, Amphora, "amphora-1")
    assert row is not None
    return row.replace_for


def test_a_failover_in_vain_is_an_error_although_all_is_served(
    database: Database, queue: Queue, filled: Filled, clock: Clock
):
    settle(database, queue, claimed(queue), Outcome(generation=0))
    asked(database, filled.lb)
    with database.write() as tx:
        generation = touch(tx, filled.lb, strict=False)
        mark_pending(tx, Member, filled.members[0], Ps.PENDING_UPDATE, generation)
    outcome = Outcome(generation=generation, load_balancer_fault="No valid host.", stays="amphora-1")
    clock.advance(1)
    assert settle(database, queue, claimed(queue), outcome)
    assert statuses(database, LoadBalancer, filled.lb) == (Ps.ERROR, Op.ONLINE)
    assert statuses(database, Member, filled.members[0])[0] is Ps.ACTIVE
    assert cause(database) is None
    with database.read() as tx:
        assert next(event.reason for event in list_events(tx, filled.lb)) == "No valid host."
    assert asked(database, filled.lb) > generation, "also with strict_immutable it can be asked for again"
    assert cause(database) is Replacement.FAILOVER


def test_one_that_was_asked_for_meanwhile_is_still_to_be_done(database: Database, queue: Queue, filled: Filled):
    settle(database, queue, claimed(queue), Outcome(generation=0))
    generation, claim = asked(database, filled.lb), claimed(queue)
    with database.write() as tx:
        touch(tx, filled.lb, strict=False)
    outcome = Outcome(generation=generation, load_balancer_fault="No valid host.", stays="amphora-1")
    assert not settle(database, queue, claim, outcome)
    assert statuses(database, LoadBalancer, filled.lb)[0] is Ps.PENDING_UPDATE
    assert cause(database) is Replacement.FAILOVER
    assert queue.next_due() is not None


def test_what_became_worse_meanwhile_stays_so(database: Database, queue: Queue, filled: Filled):
    settle(database, queue, claimed(queue), Outcome(generation=0))
    generation, claim = asked(database, filled.lb), claimed(queue)
    with database.write() as tx:
        assert amphorae.ask_replacement(tx, "amphora-1", Replacement.SERVER, "Its server is gone.")
    settle(database, queue, claim, Outcome(generation=generation, load_balancer_fault="x", stays="amphora-1"))
    assert cause(database) is Replacement.SERVER
    assert queue.next_due() is not None


def test_where_nothing_serves_heartbeats_alone_tell(database: Database, queue: Queue, filled: Filled):
    assert settle(database, queue, claimed(queue), Outcome(generation=0, serves=False))
    assert statuses(database, LoadBalancer, filled.lb) == (Ps.ACTIVE, Op.OFFLINE)
    assert statuses(database, Listener, filled.listener) == (Ps.ACTIVE, Op.OFFLINE)
    assert statuses(database, Pool, filled.pool) == (Ps.ACTIVE, Op.OFFLINE)
    assert statuses(database, HealthMonitor, filled.monitor) == (Ps.ACTIVE, Op.ONLINE)
