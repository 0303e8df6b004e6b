import datetime as dt
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from store_world import Filled

from hydria.model.amphora import Amphora, Replacement
from hydria.model.heartbeat import Heartbeat, ListenerHealth, ListenerStats, PoolHealth
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Member, Pool
from hydria.model.resource import Provisioned
from hydria.model.status import AmphoraStatus
from hydria.model.status import OperatingStatus as Op
from hydria.model.status import ProvisioningStatus as Ps
from hydria.store import amphorae, resources
from hydria.store.database import Database
from hydria.store.events import list_events
from hydria.store.health import listener_stats, load_balancer_stats, write_health
from hydria.store.load_balancers import touch
from hydria.store.outcome import Outcome, settle
from hydria.store.queue import Queue

NAMES = Filled()
AT = 1_700_000_002.5


@pytest.fixture
def serving(database: Database, queue: Queue, filled: Filled) -> Database:
    claim = queue.claim("worker", 30)
    assert claim is not None
    settle(database, queue, claim, Outcome(generation=0))
    with database.write() as tx:
        for id_ in ("amphora-1", "amphora-2"):
            resources.insert(tx, Amphora(id=id_, loadbalancer_id=filled.lb, status=AmphoraStatus.ALLOCATED))
    return database


def beat(
    sequence: int = 1,
    *,
    listener: str | None = "OPEN",
    pool: str | None = "UP",
    members: tuple[str | None, str | None] = ("UP", "UP"),
    stats: ListenerStats | None = None,
    generation: int | None = 0,
    amphora_id: str = "amphora-1",
) -> Heartbeat:
    told = {id_: status for id_, status in zip(NAMES.members, members, strict=True) if status is not None}
    return Heartbeat(
        amphora_id=amphora_id,
        sequence=sequence,
        time=AT,
        generation=generation,
        listeners={NAMES.listener: ListenerHealth(status=listener, stats=stats or ListenerStats())} if listener else {},
        pools={NAMES.pool: PoolHealth(status=pool, members=told)} if pool else {},
    )


def shown(database: Database) -> tuple[Op, ...]:
    """Load balancer, listener, pool, members."""
    wanted: list[tuple[type[Provisioned], str]] = [
        (LoadBalancer, NAMES.lb),
        (Listener, NAMES.listener),
        (Pool, NAMES.pool),
        *((Member, id_) for id_ in NAMES.members),
    ]
    with database.read() as tx:
        rows = [resources.get(tx, resource, id_) for resource, id_ in wanted]
    return tuple(row.operating_status for row in rows if row is not None)


@pytest.mark.parametrize(
    ("heartbeat", "expected"),
    [
        pytest.param(beat(), (Op.ONLINE, Op.ONLINE, Op.ONLINE, Op.ONLINE, Op.ONLINE), id="all well"),
        pytest.param(beat(listener="FULL"), (Op.DEGRADED, Op.DEGRADED, Op.ONLINE, Op.ONLINE, Op.ONLINE), id="full"),
        pytest.param(
            beat(listener=None), (Op.ERROR, Op.ERROR, Op.ONLINE, Op.ONLINE, Op.ONLINE), id="listener is missing"
        ),
        pytest.param(
            beat(members=("UP", "DOWN")), (Op.DEGRADED, Op.ONLINE, Op.DEGRADED, Op.ONLINE, Op.ERROR), id="one down"
        ),
        pytest.param(
            beat(pool="DOWN", members=("DOWN", "DOWN")),
            (Op.ERROR, Op.ONLINE, Op.ERROR, Op.ERROR, Op.ERROR),
            id="all down",
        ),
        pytest.param(
            beat(members=("DRAIN", "MAINT")),
            (Op.ONLINE, Op.ONLINE, Op.ONLINE, Op.DRAINING, Op.OFFLINE),
            id="drain, maint",
        ),
        pytest.param(
            beat(members=("no check", "RESTARTING")),
            (Op.ONLINE, Op.ONLINE, Op.ONLINE, Op.NO_MONITOR, Op.OFFLINE),
            id="no check; restarting keeps what was",
        ),
        pytest.param(
            beat(members=("UP", None)), (Op.ONLINE, Op.ONLINE, Op.ONLINE, Op.ONLINE, Op.OFFLINE), id="member is missing"
        ),
        pytest.param(beat(pool=None), (Op.ONLINE, Op.ONLINE, Op.OFFLINE, Op.OFFLINE, Op.OFFLINE), id="pool is missing"),
    ],
)
def test_heartbeat_gives_operating_statuses(serving: Database, heartbeat: Heartbeat, expected: tuple[Op, ...]):
    write_health(serving, heartbeat, AT)
    assert shown(serving) == expected
    write_health(serving, heartbeat, AT)
    assert shown(serving) == expected


@pytest.mark.parametrize(
    ("resource", "id_", "expected"),
    [
        (LoadBalancer, NAMES.lb, (Op.OFFLINE, Op.OFFLINE, Op.OFFLINE, Op.OFFLINE, Op.OFFLINE)),
        (Listener, NAMES.listener, (Op.ONLINE, Op.OFFLINE, Op.ONLINE, Op.ONLINE, Op.ONLINE)),
        (Pool, NAMES.pool, (Op.ONLINE, Op.ONLINE, Op.OFFLINE, Op.OFFLINE, Op.OFFLINE)),
        (Member, NAMES.members[1], (Op.ONLINE, Op.ONLINE, Op.ONLINE, Op.ONLINE, Op.OFFLINE)),
    ],
    ids=["load balancer", "listener", "pool", "member"],
)
def test_what_is_admin_down_is_offline(
    serving: Database, resource: type[Provisioned], id_: str, expected: tuple[Op, ...]
):
    with serving.write() as tx:
        resources.update(tx, resource, id_, admin_state_up=False)
    write_health(serving, beat(), AT)
    assert shown(serving) == expected


def test_what_the_amphora_has_not_been_told_keeps_its_status(serving: Database):
    write_health(serving, beat(1), AT)
    with serving.write() as tx:
        generation = touch(tx, NAMES.lb, strict=False)
        resources.update(tx, Member, NAMES.members[0], provisioning_status=Ps.PENDING_UPDATE)
        resources.update(tx, Listener, NAMES.listener, generation=generation)
    write_health(serving, beat(2, listener=None, members=(None, None)), AT)
    assert shown(serving)[1:] == (Op.ONLINE, Op.ONLINE, Op.ONLINE, Op.OFFLINE)


def test_what_comes_late_or_from_a_stranger_is_ignored(serving: Database):
    write_health(serving, beat(5), AT)
    before = shown(serving)
    write_health(serving, beat(4, listener="FULL"), AT)
    write_health(serving, beat(9, listener="FULL", amphora_id="nobody"), AT)
    assert shown(serving) == before
    with serving.read() as tx:
        amphora = resources.get(tx, Amphora, "amphora-1")
    assert amphora is not None
    assert (amphora.heartbeat_sequence, amphora.last_heartbeat) == (5, dt.datetime(2023, 11, 14, 22, 13, 22, 500000))  # noqa: DTZ001


@pytest.fixture
def written(serving: Database) -> Iterator[list[str]]:
    """The statements that change something."""
    found: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith("SELECT") or "IMMEDIATE" in statement:
            found.append(statement)

    sa.event.listen(serving._engine, "before_cursor_execute", listen)
    yield found
    sa.event.remove(serving._engine, "before_cursor_execute", listen)


def test_without_change_nothing_is_written(serving: Database, written: list[str]):
    write_health(serving, beat(1), AT)
    assert any(statement.startswith("UPDATE") for statement in written)
    written.clear()
    write_health(serving, beat(2), AT)
    assert written in ([], ["BEGIN"])


def totals(count: int, active: int = 0) -> ListenerStats:
    return ListenerStats(
        bytes_in=count, bytes_out=count * 10, total_connections=count, request_errors=0, active_connections=active
    )


def test_counters_survive_restarts_and_replacements(serving: Database):
    for sequence, stats in enumerate([totals(5, 2), totals(8, 3), totals(2, 1)], start=1):  # 8, then HAProxy began anew
        write_health(serving, beat(sequence, stats=stats), AT)
    write_health(serving, beat(1, stats=totals(4, 7), amphora_id="amphora-2"), AT)
    with serving.write() as tx:
        assert load_balancer_stats(tx, NAMES.lb) == totals(8 + 2 + 4, 1 + 7)
        resources.delete(tx, Amphora, "amphora-1")
        assert listener_stats(tx, [NAMES.listener]) == totals(8 + 2 + 4, 7)
        assert listener_stats(tx, ["none"]) == ListenerStats()


def test_counters_of_a_listener_that_is_gone_are_forgotten(serving: Database):
    with serving.write() as tx:
        resources.delete(tx, Listener, NAMES.listener)
    write_health(serving, beat(1, stats=totals(5)), AT)
    with serving.read() as tx:
        assert load_balancer_stats(tx, NAMES.lb) == ListenerStats()


def test_without_a_link_the_load_balancer_is_in_error_whatever_its_amphora_tells(serving: Database, filled: Filled):
    write_health(serving, beat(), AT)
    assert shown(serving)[0] is Op.ONLINE
    with serving.write() as tx:
        assert amphorae.ask_replacement(tx, "amphora-1", Replacement.LINK, "It has no link.")
    assert shown(serving)[0] is Op.ERROR
    write_health(serving, beat(2), AT)
    assert shown(serving)[:2] == (Op.ERROR, Op.ONLINE)
    with serving.write() as tx:
        assert not amphorae.withdraw_replacement(tx, "amphora-1", Replacement.SILENCE, "It answers.")
        assert amphorae.withdraw_replacement(tx, "amphora-1", Replacement.LINK, "It has a link again.")
    write_health(serving, beat(3), AT)
    assert shown(serving)[0] is Op.ONLINE
    with serving.read() as tx:
        said = {event.reason for event in list_events(tx, filled.lb) if event.resource_id == "amphora-1"}
    assert said == {"It has a link again.", "It has no link."}


def test_a_worse_cause_takes_the_place_of_a_lesser_one(serving: Database):
    with serving.write() as tx:
        asked = [
            amphorae.ask_replacement(tx, "amphora-1", cause, cause.value)
            for cause in (Replacement.FAILOVER, Replacement.LINK, Replacement.SERVER, Replacement.SILENCE)
        ]
    assert asked == [True, False, True, False]


def test_only_what_is_still_to_be_replaced_is_superseded(serving: Database):
    with serving.write() as tx:
        assert not amphorae.supersede(tx, "amphora-1", "x")
        amphorae.ask_replacement(tx, "amphora-1", Replacement.FAILOVER, "y")
        assert amphorae.supersede(tx, "amphora-1", "z")
        row = resources.get(tx, Amphora, "amphora-1")
    assert row is not None
    assert row.status is AmphoraStatus.PENDING_DELETE


def test_words_of_a_newer_agent_change_nothing(serving: Database) -> None:
    write_health(serving, beat(1, members=("UP", "DOWN")), AT)
    before = shown(serving)
    write_health(serving, beat(2, listener="TIRED", pool="TIRED", members=("TIRED", "TIRED")), AT)
    assert shown(serving) == before
