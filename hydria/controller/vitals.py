"""When each amphora was last heard, and whether one that is silent may be replaced now. In memory: a slow database
must not make amphorae look dead.
"""

import collections
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from hydria.model.heartbeat import Heartbeat, NicCounters
from hydria.model.spec import VIP_INTERFACE

_REPLACEMENTS = 3
_PER_SECONDS = 10.0


@dataclass(frozen=True)
class Heard:
    at: float
    """When it was heard last; of one that never was, since when it is expected."""
    sequence: int = 0
    generation: int | None = None
    load_balancer_id: str = ""
    nics: Mapping[str, NicCounters] = field(default_factory=dict)
    """By MAC address."""
    link_lost: float | None = None
    """Since when its VIP's NIC has had no link; None: it has, or nothing is known."""
    link_seen: bool = False
    """Its VIP's NIC had a link once."""

    def next(self, heartbeat: Heartbeat, now: float) -> "Heard":
        vip = next((nic for nic in heartbeat.nics.values() if nic.name == VIP_INTERFACE), None)
        link_seen = self.link_seen or (vip is not None and vip.carrier)
        # A NIC goes altogether when its PF does, perhaps before this controller started. Whoever has applied a spec
        # should have it.
        without = heartbeat.generation is not None if vip is None else not vip.carrier
        lost = None if not without else self.link_lost if self.link_lost is not None else now
        return Heard(
            now,
            heartbeat.sequence,
            heartbeat.generation,
            heartbeat.load_balancer_id or "",
            heartbeat.nics,
            link_lost=lost,
            link_seen=link_seen,
        )


class Vitals:
    """Threads share it. Times are of a monotonic clock."""

    def __init__(self, timeout: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.timeout = timeout
        self.clock = clock
        self._heard: dict[str, Heard] = {}
        self._lock = threading.Lock()

    def hear(self, heartbeat: Heartbeat) -> bool:
        """False: it is not newer than one that came before, so it is late or replayed, and tells nothing."""
        with self._lock:
            last = self._heard.get(heartbeat.amphora_id)
            if last is not None and heartbeat.sequence <= last.sequence:
                return False
            now = self.clock()
            self._heard[heartbeat.amphora_id] = (last or Heard(now)).next(heartbeat, now)
            return True

    def expect(self, amphora_ids: Iterable[str]) -> None:
        """These should be heard, the new ones from now on; any others are forgotten."""
        ids = set(amphora_ids)
        with self._lock:
            now = self.clock()
            self._heard = {id_: self._heard.get(id_) or Heard(now) for id_ in ids}

    def silence(self, amphora_id: str) -> float:
        """Seconds since it was heard, or expected first; 0 for one that nobody expects."""
        with self._lock:
            heard = self._heard.get(amphora_id)
            return self.clock() - heard.at if heard else 0.0

    def saw_link(self, amphora_id: str) -> None:
        """Its agent said so, when it was asked: a heartbeat may come too late to tell."""
        with self._lock:
            heard = self._heard.get(amphora_id) or Heard(self.clock())
            self._heard[amphora_id] = replace(heard, link_seen=True)

    def everybody(self) -> Mapping[str, Heard]:
        """By amphora id."""
        with self._lock:
            return dict(self._heard)

    def has_link(self, amphora_id: str) -> bool:
        """Its VIP's NIC, as its last heartbeat said; False also when it has not said anything yet."""
        with self._lock:
            heard = self._heard.get(amphora_id)
        return heard is not None and bool(heard.nics) and heard.link_seen and heard.link_lost is None

    def lost(self, amphora_id: str) -> bool:
        return self.silence(amphora_id) > self.timeout

    def generation(self, amphora_id: str) -> tuple[int, int | None]:
        """Sequence and generation of the last heartbeat."""
        with self._lock:
            heard = self._heard.get(amphora_id)
            return (heard.sequence, heard.generation) if heard else (0, None)


class Breaker:
    """Lets few amphorae be replaced at a time: when very many are silent at once, the fault is rather on our side."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, replacements: int = _REPLACEMENTS) -> None:
        self._clock = clock
        self._most = replacements
        self._recent: collections.deque[float] = collections.deque(maxlen=replacements)
        self._lock = threading.Lock()

    def wait_time(self) -> float:
        """0: go ahead, and it is counted; else the seconds after which it is worth asking again."""
        with self._lock:
            now = self._clock()
            if len(self._recent) == self._most and (left := self._recent[0] + _PER_SECONDS - now) > 0:
                return left
            self._recent.append(now)
            return 0.0
