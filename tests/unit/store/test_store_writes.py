"""Rows, accepted writes, graphs and events."""

import datetime as dt
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from store_world import Clock, Filled

from hydria.base.errors import Conflict, Invalid, NotFound
from hydria.model.amphora import Amphora
from hydria.model.event import Event
from hydria.model.flavor import Flavor, FlavorData, FlavorProfile
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool, SessionPersistence
from hydria.model.resource import Resource
from hydria.model.status import AmphoraStatus
from hydria.model.status import ProvisioningStatus as Ps
from hydria.store import amphorae, events, resources
from hydria.store.database import Database
from hydria.store.graph import load_graph
from hydria.store.load_balancers import delete_load_balancer, insert_graph, mark_pending, touch
from hydria.store.queue import Queue

NAMES = Filled()


def member(id_: str, **values: object) -> Member:
    return Member(**{"id": id_, "pool_id": NAMES.pool, "address": "192.0.2.1", "protocol_port": 80, **values})


def listener(protocol: str, **values: object) -> Listener:
    given = {"id": protocol, "loadbalancer_id": NAMES.lb, "protocol": protocol, "protocol_port": 80, **values}
    return Listener(**given)


def monitor(id_: str) -> HealthMonitor:
    return HealthMonitor(id=id_, pool_id=NAMES.pool, type="TCP", delay=5, timeout=3, max_retries=2)


@pytest.mark.parametrize(
    ("row", "wording"),
    [
        pytest.param(
            member("x", address="192.0.2.9", protocol_port=8000),
            "Another member on this pool is already using ip 192.0.2.9 on protocol_port 8000",
            id="member",
        ),
        pytest.param(
            listener("TCP"),
            "Another Listener on this Load Balancer is already using protocol TCP and protocol_port 80",
            id="listener",
        ),
        pytest.param(monitor("x"), "This pool already has a health monitor", id="monitor"),
        pytest.param(member("x", pool_id="none"), "Member x refers to something that is not there.", id="no such pool"),
    ],
)
@pytest.mark.usefixtures("filled")
def test_what_may_exist_once_does(database: Database, row: Resource, wording: str):
    with pytest.raises(Conflict) as refused, database.write() as tx:
        resources.insert(tx, row)
    assert refused.value.message == wording
    with database.read() as tx:
        assert resources.get(tx, type(row), row.id) is None


@pytest.mark.parametrize("row", [listener("UDP"), listener("SCTP"), listener("TCP", protocol_port=81)], ids=str)
@pytest.mark.usefixtures("filled")
def test_other_l4_protocols_and_ports_are_free(database: Database, row: Listener):
    with database.write() as tx:
        stored = resources.insert(tx, row)
        assert resources.get(tx, Listener, row.id) == stored


def test_what_is_being_deleted_can_be_made_anew(database: Database, filled: Filled):
    with database.write() as tx:
        mark_pending(tx, Member, filled.members[0], Ps.PENDING_DELETE, 1)
        mark_pending(tx, HealthMonitor, filled.monitor, Ps.PENDING_DELETE, 1)
        resources.insert(tx, member("new", address="192.0.2.9", protocol_port=8000))
        resources.insert(tx, monitor("new"))
    with database.read() as tx:
        graph = load_graph(tx, filled.lb)
    assert graph is not None
    (node,) = graph.pools
    assert node.health_monitor is not None
    assert node.health_monitor.id == "new"
    assert {row.id for row in node.members} == {*filled.members, "new"}


def test_flavors_in_use_stay(database: Database):
    with database.write() as tx:
        profile = FlavorProfile(id="fp", name="f", provider_name="amphora", flavor_data='{"sriov_vip": true}')
        resources.insert(tx, profile)
        resources.insert(tx, Flavor(id="f", name="f", flavor_profile_id="fp"))
        insert_graph(tx, LoadBalancer(id="lb", flavor_id="f"))
    for resource, id_ in ((Flavor, "f"), (FlavorProfile, "fp")):
        with pytest.raises(Conflict, match="in use"), database.write() as tx:
            resources.delete(tx, resource, id_)
    with pytest.raises(Conflict, match="A flavor of f already exists"), database.write() as tx:
        resources.insert(tx, Flavor(id="g", name="f", flavor_profile_id="fp"))
    with database.read() as tx:
        graph = load_graph(tx, "lb")
    assert graph is not None
    assert graph.flavor == FlavorData(sriov_vip=True)


def test_a_row_can_be_changed_and_removed(database: Database, filled: Filled, clock: Clock):
    clock.advance(60)
    persistence = SessionPersistence(type="APP_COOKIE", cookie_name="c")
    with database.write() as tx:
        assert resources.update(tx, Pool, filled.pool, session_persistence=persistence, name="n")
        assert not resources.update(tx, Pool, "none", name="n")
        changed = resources.get(tx, Pool, filled.pool)
        assert changed is not None
        assert (changed.session_persistence, changed.name) == (persistence, "n")
        assert changed.updated_at == dt.datetime(2023, 11, 14, 22, 14, 20)  # noqa: DTZ001 - stored without zone
        assert resources.delete(tx, Pool, filled.pool)
        assert not resources.delete(tx, Pool, filled.pool)
        assert resources.find(tx, Member) == ()
        (left,) = resources.find(tx, Listener, id=[filled.listener], protocol="HTTP")
        assert left.default_pool_id is None


STATUSES = [status for status in Ps if status is not Ps.DELETED]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("strict", [True, False], ids=["strict", "merging"])
def test_which_writes_are_accepted(database: Database, queue: Queue, filled: Filled, status: Ps, strict: bool):
    with database.write() as tx:
        resources.update(tx, LoadBalancer, filled.lb, provisioning_status=status, generation=7)
    queue.claim("worker", 30)
    if status is Ps.PENDING_DELETE or (strict and status is not Ps.ACTIVE):
        with pytest.raises(Conflict, match="is immutable and cannot be updated"), database.write() as tx:
            touch(tx, filled.lb, strict=strict)
        with pytest.raises(Conflict, match=f"Invalid state {status} of loadbalancer"), database.write() as tx:
            touch(tx, filled.lb, strict=strict, itself=True)
        expected = (status, 7)
    else:
        with database.write() as tx:
            assert touch(tx, filled.lb, strict=strict) == 8
        expected = (Ps.PENDING_CREATE if status is Ps.PENDING_CREATE else Ps.PENDING_UPDATE, 8)
    with database.read() as tx:
        row = resources.get(tx, LoadBalancer, filled.lb)
    assert row is not None
    assert (row.provisioning_status, row.generation) == expected


def test_writes_to_what_is_not_there(database: Database):
    for attempt in (
        lambda tx: touch(tx, "none", strict=False),
        lambda tx: delete_load_balancer(tx, "none", cascade=True),
        lambda tx: mark_pending(tx, Pool, "none", Ps.PENDING_UPDATE, 1),
    ):
        with pytest.raises(NotFound, match="none not found"), database.write() as tx:
            attempt(tx)


def test_a_deleted_pool_takes_along_what_is_below_it(database: Database, filled: Filled):
    with database.write() as tx:
        mark_pending(tx, Pool, filled.pool, Ps.PENDING_DELETE, 3)
        graph = load_graph(tx, filled.lb)
        assert graph is not None
        (node,) = graph.pools
        assert node.health_monitor is not None
        gone = [node.pool, node.health_monitor, *node.members]
        assert {(row.provisioning_status, row.generation) for row in gone} == {(Ps.PENDING_DELETE, 3)}
        assert [(row.default_pool_id, row.generation) for row in graph.listeners] == [(None, 3)]
    with pytest.raises(Conflict, match="Member member-1 is immutable"), database.write() as tx:
        mark_pending(tx, Member, filled.members[0], Ps.PENDING_UPDATE, 4)


def test_children_are_deleted_only_by_cascade(database: Database, filled: Filled):
    with pytest.raises(Invalid) as refused, database.write() as tx:
        delete_load_balancer(tx, filled.lb, cascade=False)
    assert refused.value.message == f"Cannot delete Load Balancer {filled.lb} - it has children"
    with database.write() as tx:
        assert delete_load_balancer(tx, filled.lb, cascade=True) == 1
        graph = load_graph(tx, filled.lb)
        assert graph is not None
        assert graph.deleting
        assert {row.provisioning_status for row in graph.resources()} == {Ps.PENDING_DELETE}
    with pytest.raises(Conflict, match="Invalid state PENDING_DELETE"), database.write() as tx:
        delete_load_balancer(tx, filled.lb, cascade=True)


def test_children_that_are_going_do_not_hinder(database: Database, filled: Filled):
    with database.write() as tx:
        mark_pending(tx, Listener, filled.listener, Ps.PENDING_DELETE, 1)
        mark_pending(tx, Pool, filled.pool, Ps.PENDING_DELETE, 1)
        assert delete_load_balancer(tx, filled.lb, cascade=False) == 1


def test_a_graph_takes_few_statements_however_large(database: Database, filled: Filled):
    with database.write() as tx:
        resources.insert_all(tx, [member(f"m{port}", protocol_port=port) for port in range(1, 301)])
        amphorae.insert(tx, Amphora(id="a", loadbalancer_id=filled.lb))
        amphorae.insert(tx, Amphora(id="b", loadbalancer_id=filled.lb, status=AmphoraStatus.DELETED))
    statements: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    sa.event.listen(database._engine, "before_cursor_execute", listen)
    with database.read() as tx:
        graph = load_graph(tx, filled.lb)
        assert load_graph(tx, "none") is None
    sa.event.remove(database._engine, "before_cursor_execute", listen)
    assert graph is not None
    assert len(statements) <= 11
    assert len(graph.pools[0].members) == 302
    assert [amphora.id for amphora in graph.amphorae] == ["a"]


def test_amphorae_remember_their_last_heartbeat(database: Database, filled: Filled):
    at = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - stored without zone
    with database.write() as tx:
        amphorae.insert(tx, Amphora(id="a", loadbalancer_id=filled.lb))
        assert amphorae.update(tx, "a", status=AmphoraStatus.ALLOCATED)
        assert amphorae.heard(tx, "a", at=at, sequence=2**41)
        assert not amphorae.heard(tx, "a", at=at, sequence=1)
        (row,) = amphorae.of_load_balancer(tx, filled.lb)
    assert (row.status, row.last_heartbeat, row.heartbeat_sequence) == (AmphoraStatus.ALLOCATED, at, 2**41)


def test_only_the_newest_events_are_kept(
    database: Database, filled: Filled, clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "KEPT", 10)
    with database.write() as tx:
        for number in range(25):
            clock.advance(1)
            event = Event(
                id=str(uuid.uuid4()),
                loadbalancer_id=filled.lb,
                resource_type="member",
                resource_id=filled.members[0],
                level="ERROR",
                reason=f"{number} " + "long " * 200,
                created_at=resources.now(tx),
            )
            events.add(tx, event)
        kept = events.list_events(tx, filled.lb)
        newest = events.list_events(tx, filled.lb, 2)
    assert [int(event.reason.split()[0]) for event in kept] == list(range(24, 14, -1))
    assert newest == kept[:2]


def test_of_concurrent_duplicates_one_passes(database: Database, filled: Filled):
    start = threading.Barrier(8)

    def create(number: int) -> bool:
        start.wait()
        try:
            with database.write() as tx:
                generation = touch(tx, filled.lb, strict=False)
                port = {"protocol_port": 443, "generation": generation}
                resources.insert(tx, listener("HTTPS" if number % 2 else "TCP", id=f"l-{number}", **port))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [False] * 7 + [True]
    with database.read() as tx:
        (row,) = resources.find(tx, Listener, protocol_port=443)
        parent = resources.get(tx, LoadBalancer, filled.lb)
    assert parent is not None
    assert (row.generation, parent.generation) == (1, 1)
