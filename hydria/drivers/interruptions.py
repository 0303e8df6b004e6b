"""What the fakes share: calls that are counted, fail on demand, and kill their caller at the n-th."""

import collections
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stopped(BaseException):
    """Stands for kill -9: not an Exception, so that nothing handles it."""


class Interruptions:
    """Counts calls to everything outside; at the n-th the caller is killed, and until `resume` nothing answers it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fail: dict[str, list[Exception]] = collections.defaultdict(list)
        """Errors that the next calls of that name raise instead of doing anything, one each."""
        self._lock = threading.Lock()
        self._stop_at: int | None = None
        self._effect = False
        self._stopped = False

    def stop_at(self, call: int, *, effect: bool = False) -> None:
        """Kill the caller at its `call`-th call from now (1 is the next); with `effect` after it was carried out."""
        with self._lock:
            self.calls.clear()
            self._stop_at, self._effect, self._stopped = call, effect, False

    def resume(self) -> bool:
        """A new process may call again. Returns whether the old one was stopped."""
        with self._lock:
            stopped, self._stopped, self._stop_at = self._stopped, False, None
            return stopped

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        with self._lock:
            self._check_alive(name)
            self.calls.append(name)
            mine = len(self.calls)
            if self._stop_at == mine and not self._effect:
                self._stop(name)
            error = self.fail[name].pop(0) if self.fail[name] else None
        if error is not None:
            raise error
        try:
            yield
        finally:
            # Also when it failed: the caller is killed before it hears of that.
            with self._lock:
                self._check_alive(name)
                if self._stop_at == mine and self._effect:
                    self._stop(name)

    def _stop(self, name: str) -> None:
        self._stopped = True
        raise Stopped(f"stopped at call {self._stop_at}: {name}")

    def _check_alive(self, name: str) -> None:
        if self._stopped:
            raise Stopped(f"{name} after the process was stopped")
