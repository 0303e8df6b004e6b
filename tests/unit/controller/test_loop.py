"""What follows from each result, and that workers wake, share and stop."""

import threading
from collections.abc import Callable

import pytest
from controller_world import World

from hydria.base.errors import Retryable
from hydria.controller.loop import Loop, delay
from hydria.controller.result import Again, Done, Failed, Gone, Result
from hydria.store.outcome import Outcome


class Reconciler:
    """Answers with what a test planned, the last one for ever."""

    def __init__(self, *results: Result | Exception) -> None:
        self.results = list(results)
        self.calls: list[str] = []

    def __call__(self, load_balancer_id: str) -> Result:
        self.calls.append(load_balancer_id)
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result


def loop(world: World, reconcile: Callable[[str], Result], workers: int = 1) -> Loop:
    return Loop(world.database, world.queue, reconcile, stopping=threading.Event(), workers=workers, lease_seconds=30)


def test_done_is_active_and_clean(world: World) -> None:
    lb = world.load_balancer()
    assert loop(world, Reconciler(Done(Outcome(1)))).step()
    assert world.status(lb.id) == "ACTIVE"
    assert world.queue.next_due() is None


def test_done_with_a_fault_that_may_pass_is_looked_at_again(world: World) -> None:
    lb = world.load_balancer()
    loop(world, Reconciler(Done(Outcome(1, load_balancer_fault="no NIC"), again=30))).step()
    assert world.status(lb.id) == "ERROR"
    due = world.queue.next_due()
    assert due is not None
    assert due - world.now == pytest.approx(30, abs=1)


def test_a_write_meanwhile_means_another_round(world: World) -> None:
    lb = world.load_balancer()

    def reconcile(load_balancer_id: str) -> Result:
        world.touch(load_balancer_id)
        return Done(Outcome(1))

    loop(world, reconcile).step()
    assert world.status(lb.id) == "PENDING_CREATE"
    assert loop(world, Reconciler(Done(Outcome(2)))).step()
    assert world.status(lb.id) == "ACTIVE"


def test_failed_is_an_error_with_its_reason_and_not_tried_again(world: World) -> None:
    lb = world.load_balancer()
    loop(world, Reconciler(Failed("No valid host.", 1))).step()
    assert (world.status(lb.id), world.reasons(lb.id)) == ("ERROR", ["No valid host."])
    assert world.queue.next_due() is None
    assert loop(world, Reconciler(Done(Outcome(1)))).resync(0) == 0


def test_gone_is_gone(world: World) -> None:
    lb = world.load_balancer()
    world.delete(lb.id)
    loop(world, Reconciler(Gone())).step()
    assert not world.loop.step()
    with pytest.raises(AssertionError):
        world.graph(lb.id)


def test_what_fails_for_long_is_shown_and_still_tried(world: World) -> None:
    lb = world.load_balancer()
    reconcile = Reconciler(*[Again("The cloud does not answer.", generation=1)] * 30, Done(Outcome(1)))
    work = loop(world, reconcile)
    started, shown = world.now, None
    while work.step():
        if shown is None and world.status(lb.id) == "ERROR":
            shown = world.now - started
            assert "The cloud does not answer." in world.reasons(lb.id)
        due = world.queue.next_due()
        if due is not None:
            assert due - world.now <= 31
            world.now = max(world.now, due)
    assert shown is not None
    assert 60 < shown < 300
    assert world.status(lb.id) == "ACTIVE"
    assert len(reconcile.calls) == 31


@pytest.mark.parametrize("error", [Retryable("database locked"), ValueError("a bug")], ids=["foreseen", "a bug"])
def test_an_error_that_reaches_the_loop_is_tried_again(world: World, error: Exception) -> None:
    lb = world.load_balancer()
    work = loop(world, Reconciler(error, Done(Outcome(1))))
    assert work.step()
    assert world.status(lb.id) == "PENDING_CREATE"
    world.now += 1
    assert work.step()
    assert world.status(lb.id) == "ACTIVE"


@pytest.mark.parametrize(
    ("attempts", "after", "shortest", "longest"),
    [(0, None, 0.1, 0.2), (1, None, 0.2, 0.4), (4, None, 1.6, 3.2), (1000, None, 15, 30), (0, 0, 0, 0), (0, 7, 7, 7),
     (10, 0, 15, 30), (10, 90, 90, 90)],
)  # fmt: skip
def test_delays(attempts: int, after: float | None, shortest: float, longest: float) -> None:
    assert all(shortest <= delay(attempts, after) <= longest for _ in range(50))


def test_workers_are_woken_and_stop_giving_back_what_hangs(world: World) -> None:
    working, release = threading.Event(), threading.Event()

    def hang(_: str) -> Result:
        working.set()
        release.wait(20)
        return Again("too late")

    work = loop(world, hang, workers=2)
    work.start()
    lb = world.load_balancer()
    work.wake()
    assert working.wait(5)
    work.stop()
    claim = world.queue.claim("another process", 30)
    assert claim is not None
    assert claim.load_balancer_id == lb.id
    # What it has to say when it wakes comes too late: the other process has it.
    release.set()
    work.stop()
    assert world.queue.renew(claim, 30)


def test_a_load_balancer_is_worked_on_by_one_at_a_time(world: World) -> None:
    lbs = {world.load_balancer().id for _ in range(8)}
    busy: set[str] = set()
    clashes: list[str] = []
    done = threading.Event()
    finished: list[str] = []

    def reconcile(load_balancer_id: str) -> Result:
        if load_balancer_id in busy:
            clashes.append(load_balancer_id)
        busy.add(load_balancer_id)
        world.touch(load_balancer_id)  # so that it is dirty again while it is worked on
        busy.discard(load_balancer_id)
        finished.append(load_balancer_id)
        if len(finished) >= 40:
            done.set()
        return Done(Outcome(1))

    work = loop(world, reconcile, workers=4)
    work.start()
    assert done.wait(20)
    work.stop()
    assert not clashes
    assert set(finished) == lbs
