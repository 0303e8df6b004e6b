import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from store_world import Clock, Filled

from hydria.model.load_balancer import LoadBalancer
from hydria.store.database import Database
from hydria.store.events import list_events
from hydria.store.load_balancers import insert_graph
from hydria.store.queue import Claim, Queue


def fill(database: Database, *ids: str) -> None:
    for id_ in ids:
        with database.write() as tx:
            insert_graph(tx, LoadBalancer(id=id_))


def claimed(queue: Queue, lease: float = 30) -> Claim:
    claim = queue.claim("worker", lease)
    assert claim is not None
    return claim


def test_each_is_claimed_once_the_longest_due_first(database: Database, queue: Queue, clock: Clock):
    for id_ in "abc":
        fill(database, id_)
        clock.advance(1)
    assert [claimed(queue).load_balancer_id for _ in "abc"] == ["a", "b", "c"]
    assert queue.claim("worker", 30) is None


def test_given_back_it_comes_again_later(database: Database, queue: Queue, clock: Clock):
    fill(database, "a")
    queue.later(claimed(queue), after=5, reason="No VF is left on public.")
    assert queue.next_due() == clock.now + 5
    assert queue.claim("worker", 30) is None
    clock.advance(5)
    again = claimed(queue)
    assert again.attempts == 1
    queue.later(again, after=5, reason="No VF is left on public.")
    with database.read() as tx:
        assert [event.reason for event in list_events(tx, "a")] == ["No VF is left on public."]


def test_a_mark_while_claimed_outlives_the_claim(database: Database, queue: Queue, clock: Clock):
    fill(database, "a")
    claim = claimed(queue)
    with database.write() as tx:
        queue.mark(tx, "a", after=2)
    assert queue.claim("other", 30) is None
    queue.later(claim, after=60)
    assert queue.next_due() == clock.now + 2


@pytest.mark.parametrize(("first", "then", "due"), [(5, 9, 5), (9, 5, 5), (0, 5, 0)])
def test_the_earlier_mark_counts(database: Database, queue: Queue, first: float, then: float, due: float):
    fill(database, "a")
    queue.later(claimed(queue), after=first)
    with database.write() as tx:
        queue.mark(tx, "a", after=then)
    assert queue.next_due() == database.clock() + due


def test_a_dead_holders_is_taken_over(database: Database, queue: Queue, clock: Clock):
    fill(database, "a")
    dead = claimed(queue, lease=30)
    clock.advance(29)
    assert queue.claim("other", 30) is None
    clock.advance(1)
    heir = claimed(queue)
    assert heir.load_balancer_id == "a"
    assert not queue.renew(dead, 30)
    queue.later(dead, after=0)  # comes to nothing
    assert queue.claim("third", 30) is None
    assert queue.renew(heir, 90)
    clock.advance(60)
    assert queue.claim("third", 30) is None


def test_a_later_mark_survives_a_takeover(database: Database, queue: Queue, clock: Clock):
    fill(database, "a")
    claimed(queue, lease=30)
    with database.write() as tx:
        queue.mark(tx, "a", after=100)
    clock.advance(30)
    queue.later(claimed(queue), after=1000)
    assert queue.next_due() == clock.now + 70


def test_a_mark_of_what_is_gone_is_nothing(database: Database, queue: Queue):
    with database.write() as tx:
        queue.mark(tx, "nobody")
    assert queue.next_due() is None


def test_resync_is_spread(database: Database, queue: Queue, clock: Clock, filled: Filled):
    fill(database, "a", "b", "c")
    for _ in range(4):
        queue.later(claimed(queue), after=9999)
    assert queue.mark_all(spread_seconds=100) == 4
    due = []
    while (at := queue.next_due()) is not None and at < clock.now + 1000:
        due.append(at)
        clock.now = at
        queue.later(claimed(queue), after=9999)
    assert [at - due[0] for at in due] == [0, 25, 50, 75]
    assert filled.lb == "lb-1"


def test_two_processes_never_hold_the_same(tmp_path: Path):
    clock = Clock()
    databases = [Database(f"sqlite:///{tmp_path / 'hydria.db'}", clock=clock) for _ in range(2)]
    databases[0].migrate()
    fill(databases[0], *(f"lb-{number}" for number in range(5)))
    guard, held, rounds = threading.Lock(), set[str](), dict[str, int]()

    def work(number: int) -> None:
        queue = Queue(databases[number % 2])
        for _ in range(25):
            claim = queue.claim(f"worker-{number}", 30)
            if claim is None:
                continue
            with guard:
                assert claim.load_balancer_id not in held
                held.add(claim.load_balancer_id)
                rounds[claim.load_balancer_id] = rounds.get(claim.load_balancer_id, 0) + 1
            assert queue.renew(claim, 30)
            with guard:
                held.remove(claim.load_balancer_id)
            queue.later(claim, after=0)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert sum(rounds.values()) > 30
    for database in databases:
        database.close()
