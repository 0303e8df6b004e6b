"""Takes dirty load balancers from the queue, has them reconciled, and decides what follows from the result."""

import random
import threading
import time
import uuid
from collections.abc import Callable

from hydria.base import log
from hydria.base.errors import HydriaError
from hydria.controller.result import Again, Done, Failed, Gone, Result
from hydria.model.load_balancer import LoadBalancer
from hydria.model.status import ProvisioningStatus
from hydria.store import resources
from hydria.store.database import Database
from hydria.store.outcome import Outcome, settle, settle_deleted
from hydria.store.queue import Claim, Queue

_POLL = 1.0
"""The truth is in the database. Being woken only makes it sooner."""
_FIRST_DELAY = 0.2
_LONGEST_DELAY = 30.0
_PATIENCE = 12
"""Attempts, about three minutes, after which what does not work is shown as ERROR; it is still tried."""
_AT_ONCE = 3
"""Attempts for which a failure may name its own delay, even none."""
_STOP_SECONDS = 2.5

logger = log.Logger(__name__)


def delay(attempts: int, after: float | None) -> float:
    """Exponential, with jitter, so that what failed together does not come back together."""
    longest = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(attempts, 16))
    backoff = longest * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, no secret
    if after is None:
        return backoff
    return after if attempts < _AT_ONCE else max(after, backoff)


class Loop:
    """`workers` threads. `step` does one load balancer's work in the caller's."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        reconcile: Callable[[str], Result],
        *,
        stopping: threading.Event,
        workers: int = 1,
        lease_seconds: float = 30.0,
        observe: Callable[[str, float], None] = lambda _result, _seconds: None,
    ) -> None:
        """`observe` is told of each round: how it ended, and the seconds it took."""
        self._database = database
        self._queue = queue
        self._reconcile = reconcile
        self._stopping = stopping
        self._lease_seconds = lease_seconds
        self._observe = observe
        self._owner = uuid.uuid4().hex
        self._claims: set[Claim] = set()
        self._woken = threading.Condition()
        self._wakes = 0
        names = [f"worker-{number}" for number in range(workers)]
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        self._threads.append(threading.Thread(target=self._renew, name="leases", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        with self._woken:
            self._wakes += 1
            self._woken.notify_all()

    def stop(self) -> None:
        """Give everything back: what has not ended in time ends with the process, and another one may begin at once."""
        self._stopping.set()
        self.wake()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        for claim in list(self._claims):
            self._queue.later(claim, after=0.0)

    def step(self) -> bool:
        """Whether there was something to do."""
        claim = self._queue.claim(self._owner, self._lease_seconds)
        if claim is None:
            return False
        self._claims.add(claim)
        try:
            with log.context(reconcile=uuid.uuid4().hex[:8], load_balancer_id=claim.load_balancer_id):
                self._end(claim, self._reconciled(claim))
        finally:
            self._claims.discard(claim)
        return True

    def resync(self, spread_seconds: float) -> int:
        """Look at all again, but for those in ERROR, whose next try is a user's or operator's to ask for."""
        with self._database.write() as tx:
            rows = resources.find(tx, LoadBalancer)
            healthy = [row for row in rows if row.provisioning_status is not ProvisioningStatus.ERROR]
            for position, row in enumerate(healthy):
                self._queue.mark(tx, row.id, after=spread_seconds * position / len(healthy))
        return len(healthy)

    def _reconciled(self, claim: Claim) -> Result:
        started = time.monotonic()
        try:
            result = self._reconcile(claim.load_balancer_id)
        except HydriaError as error:
            result = Again(error.message)
        except Exception as error:  # the outermost loop of a load balancer: its bug must not stop the others
            logger.exception("reconcile broke")
            result = Again(f"Internal error: {type(error).__name__}.")
        seconds = time.monotonic() - started
        self._observe(type(result).__name__.lower(), seconds)
        milliseconds = round(seconds * 1000)
        logger.info("reconciled", result=_sentence(result), attempts=claim.attempts, milliseconds=milliseconds)
        return result

    def _end(self, claim: Claim, result: Result) -> None:
        """The one place that decides what follows. Marks come before `settle`, which would else make it clean."""
        match result:
            case Done(outcome, again):
                if again is not None:
                    self._mark(claim, again)
                settle(self._database, self._queue, claim, outcome)
            case Gone():
                settle_deleted(self._database, claim)
            case Failed(reason, generation, again):
                if again is not None:
                    self._mark(claim, again)
                settle(self._database, self._queue, claim, Outcome(generation, load_balancer_fault=reason))
            case Again(reason, _, int(generation)) if claim.attempts >= _PATIENCE:
                self._mark(claim, _LONGEST_DELAY)
                settle(self._database, self._queue, claim, Outcome(generation, load_balancer_fault=reason))
            case Again(reason, after, _):
                # The first failures are mostly a matter of time, and tell a user nothing.
                told = reason if claim.attempts >= _AT_ONCE else None
                self._queue.later(claim, after=delay(claim.attempts, after), reason=told)

    def _mark(self, claim: Claim, after: float) -> None:
        with self._database.write() as tx:
            self._queue.mark(tx, claim.load_balancer_id, after=after)

    def _work(self) -> None:
        while not self._stopping.is_set():
            wakes = self._wakes
            try:
                if self.step():
                    continue
                due = self._queue.next_due()
                wait = _POLL if due is None else min(_POLL, max(0.0, due - self._queue.clock()))
            except Exception:  # the outermost loop of a worker, which must not end before it is told to
                logger.exception("the queue does not work")
                wait = _POLL
            with self._woken:
                if self._wakes == wakes:
                    self._woken.wait(wait)

    def _renew(self) -> None:
        while not self._stopping.wait(self._lease_seconds / 3):
            for claim in list(self._claims):
                try:
                    if not self._queue.renew(claim, self._lease_seconds) and claim in self._claims:
                        logger.warning("lease lost", load_balancer_id=claim.load_balancer_id)
                except HydriaError as error:
                    logger.warning("lease not renewed", load_balancer_id=claim.load_balancer_id, reason=error)


def _sentence(result: Result) -> str:
    """What the log says of a round."""
    match result:
        case Done(outcome, _):
            faults = len(outcome.faults) + (outcome.load_balancer_fault is not None)
            return f"done, generation {outcome.generation}, {faults} faults"
        case Gone():
            return "deleted"
        case Failed(reason, _, _):
            return f"failed: {reason}"
        case Again(reason, _, _):
            return f"again: {reason}"
