"""Fails amphorae over, a bounded number of load balancers at a time. Knows no API and no terminal.

All it remembers is what it waits for. What is done already it sees, so an interrupted one can be begun anew.
"""

import collections
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from hydria.base.errors import Conflict, HydriaError, NotFound, Retryable
from hydria.cli.amphora.outdated import Amphora

POLL = 0.5
PATIENCE = 60.0
"""Seconds without any answer after which it gives up; the services may be being restarted."""


class Site(Protocol):
    """amphora/site.py says what each does and raises."""

    def status(self, load_balancer_id: str) -> str | None: ...
    def is_there(self, amphora_id: str) -> bool: ...
    def fail_over(self, amphora_id: str) -> None: ...
    def why(self, load_balancer_id: str) -> str: ...


@dataclass
class _Turn:
    """One load balancer with its amphorae, one after the other."""

    load_balancer_id: str
    left: collections.deque[str]
    asked: str | None = None
    """The amphora whose failover was accepted, and is awaited."""


@dataclass
class Outcome:
    replaced: list[str] = field(default_factory=list)
    """Amphorae."""
    skipped: list[str] = field(default_factory=list)
    """That were gone by then, with or without their load balancer."""
    failures: dict[str, str] = field(default_factory=dict)
    """Load balancer → why."""
    under_way: list[str] = field(default_factory=list)
    """Load balancers whose failover was not awaited to its end: it goes on without us."""
    not_begun: list[str] = field(default_factory=list)
    """Amphorae."""


class Rollout:
    def __init__(
        self,
        site: Site,
        *,
        at_a_time: int,
        stopping: threading.Event,
        tell: Callable[[str, Outcome], None] = lambda _text, _outcome: None,
    ) -> None:
        """`tell` hears of each amphora that is done, and of each load balancer that failed."""
        self._site = site
        self._at_a_time = at_a_time
        self._stopping = stopping
        self._tell = tell
        self._heard = time.monotonic()
        self.outcome = Outcome()

    def run(self, amphorae: Iterable[Amphora]) -> Outcome:
        """Until all are done, one has failed and the others under way have ended, or `stopping`."""
        by_load_balancer: dict[str, collections.deque[str]] = {}
        for one in amphorae:
            by_load_balancer.setdefault(one.loadbalancer_id, collections.deque()).append(one.id)
        waiting = collections.deque(_Turn(lb_id, left) for lb_id, left in by_load_balancer.items())
        running: list[_Turn] = []
        self._heard = time.monotonic()
        while waiting or running:
            while waiting and len(running) < self._at_a_time and not self.outcome.failures:
                running.append(waiting.popleft())
            running = [turn for turn in running if not self._is_over(turn)]
            ended = bool(self.outcome.failures) and not running
            if ended or self._stopping.is_set():
                break
            if running:
                self._stopping.wait(POLL)
        self.outcome.under_way += [turn.load_balancer_id for turn in running if turn.asked is not None]
        self.outcome.not_begun += [id_ for turn in (*running, *waiting) for id_ in turn.left]
        return self.outcome

    def _is_over(self, turn: _Turn) -> bool:
        """Takes one step with it."""
        try:
            over = self._step(turn)
        except Retryable as error:
            if time.monotonic() - self._heard > PATIENCE:
                raise HydriaError(f"For {PATIENCE:.0f} s nothing was heard. {error.message}") from error
            return False
        self._heard = time.monotonic()
        return over

    def _step(self, turn: _Turn) -> bool:
        status = self._site.status(turn.load_balancer_id)
        if status is None or status == "PENDING_DELETE":
            self._skip(turn)
            return True
        if status.startswith("PENDING_"):
            return False
        if turn.asked is not None:
            amphora_id, turn.asked = turn.asked, None
            if status != "ACTIVE" or self._site.is_there(amphora_id):
                self._fail(turn, amphora_id, status)
                return True
            self.outcome.replaced.append(amphora_id)
            self._tell(f"Load balancer {turn.load_balancer_id}: amphora {amphora_id} is replaced.", self.outcome)
        return self._ask_next(turn)

    def _ask_next(self, turn: _Turn) -> bool:
        """Whether there was none left to ask for."""
        while turn.left and not self.outcome.failures and not self._stopping.is_set():
            amphora_id = turn.left[0]
            try:
                there = self._site.is_there(amphora_id)
                if there:
                    self._site.fail_over(amphora_id)
            except NotFound:
                there = False
            except Conflict:
                return False  # somebody else's change is under way, and comes first
            turn.left.popleft()
            if there:
                turn.asked = amphora_id
                return False
            self.outcome.skipped.append(amphora_id)
            self._tell(f"Load balancer {turn.load_balancer_id}: amphora {amphora_id} is gone already.", self.outcome)
        self.outcome.not_begun += turn.left
        return True

    def _skip(self, turn: _Turn) -> None:
        gone = [*([turn.asked] if turn.asked else []), *turn.left]
        self.outcome.skipped += gone
        self._tell(f"Load balancer {turn.load_balancer_id} is gone.", self.outcome)

    def _fail(self, turn: _Turn, amphora_id: str, status: str) -> None:
        why = self._site.why(turn.load_balancer_id)
        text = f"it is {status}, and amphora {amphora_id} is still to be replaced: {why}"
        self.outcome.failures[turn.load_balancer_id] = text
        self.outcome.not_begun += turn.left
        self._tell(f"Load balancer {turn.load_balancer_id}: {text}", self.outcome)
