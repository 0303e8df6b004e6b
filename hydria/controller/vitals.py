"""When each amphora was last heard, and whether one that is silent may be replaced now. In memory: a slow database
must not make amphorae look dead.
"""

import collections
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hydria.model.heartbeat import Heartbeat

_REPLACEMENTS = 3
_PER_SECONDS = 10.0


@dataclass
class _Heard:
    at: float
    sequence: int = 0
    generation: int | None = None


class Vitals:
    """Threads share it. Times are of a monotonic clock."""

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout = timeout
        self.clock = clock
        self._heard: dict[str, _Heard] = {}
        self._lock = threading.Lock()

    def hear(self, heartbeat: Heartbeat) -> bool:
        """False: it is not newer than one that came before, so it is late or replayed, and tells nothing."""
        with self._lock:
            last = self._heard.get(heartbeat.amphora_id)
            if last is not None and heartbeat.sequence <= last.sequence:
                return False
            self._heard[heartbeat.amphora_id] = _Heard(self.clock(), heartbeat.sequence, heartbeat.generation)
            return True

    def expect(self, amphora_ids: Iterable[str]) -> None:
        """These should be heard, the new ones from now on; any others are forgotten."""
        ids = set(amphora_ids)
        with self._lock:
            now = self.clock()
            self._heard = {id_: self._heard.get(id_) or _Heard(now) for id_ in ids}

    def silence(self, amphora_id: str) -> float:
        """Seconds since it was heard, or expected first; 0 for one that nobody expects."""
        with self._lock:
            heard = self._heard.get(amphora_id)
            return self.clock() - heard.at if heard else 0.0

    def lost(self, amphora_id: str) -> bool:
        return self.silence(amphora_id) > self.timeout

    def generation(self, amphora_id: str) -> tuple[int, int | None]:
        """Sequence and generation of the last heartbeat."""
        with self._lock:
            heard = self._heard.get(amphora_id)
            return (heard.sequence, heard.generation) if heard else (0, None)


class Breaker:
    """Lets few amphorae be replaced at a time: when very many are silent at once, the fault is rather on our side."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._recent: collections.deque[float] = collections.deque(maxlen=_REPLACEMENTS)
        self._lock = threading.Lock()

    def wait_time(self) -> float:
        """0: go ahead, and it is counted; else the seconds after which it is worth asking again."""
        with self._lock:
            now = self._clock()
            if len(self._recent) == _REPLACEMENTS and (left := self._recent[0] + _PER_SECONDS - now) > 0:
                return left
            self._recent.append(now)
            return 0.0
