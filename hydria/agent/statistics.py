"""HAProxy's `show stat` → listeners and pools of a heartbeat, with totals that survive reloads and restarts.

Every worker counts from 0. Totals are the sum of what is known of each worker, those that ended included: what one
counted between our last look and its end is lost.
"""

import contextlib
import csv
import threading
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct
from msgspec import field as default

from hydria.agent.haproxy import Haproxy, HaproxyFailed
from hydria.agent.state import State
from hydria.model.heartbeat import ListenerHealth, ListenerStats, PoolHealth
from hydria.render.haproxy.backend import pool_of

MemberStatus: TypeAlias = Literal["UP", "DOWN", "DRAIN", "MAINT", "no check", "RESTARTING"]
_FRONTENDS = "show stat -1 1 -1"
"""Of all proxies, frontends only, every one."""

Row: TypeAlias = dict[str, str]


class Totals(Struct, kw_only=True):
    """Kept on disk."""

    ended: dict[str, ListenerStats] = default(default_factory=dict)
    """By listener id: the sum over workers that are no more."""
    workers: dict[int, dict[str, ListenerStats]] = default(default_factory=dict)
    """By process id: what each counted when it was last asked."""


class Health(Struct, frozen=True):
    listeners: dict[str, ListenerHealth] = default(default_factory=dict)
    pools: dict[str, PoolHealth] = default(default_factory=dict)

    @property
    def statuses(self) -> tuple[object, ...]:
        """What a change of is worth a heartbeat at once."""
        return {key: one.status for key, one in self.listeners.items()}, self.pools


class Traffic:
    """What HAProxy did, looked at every second and once more before a reload ends a worker."""

    def __init__(self, haproxy: Haproxy, state: State) -> None:
        self._haproxy = haproxy
        self._state = state
        self._totals = state.load("totals", Totals) or Totals()
        self._saved = b""
        self._lock = threading.Lock()

    def look(self) -> Health:
        with self._lock:
            if self._haproxy.pid() is None:
                count(self._totals, {}, ())
                return Health()
            counted = {}
            alive = set(self._haproxy.workers())
            for worker in alive:
                # An old worker may end while we look.
                with contextlib.suppress(HaproxyFailed):
                    counted[worker] = parse(self._haproxy.ask(_FRONTENDS, worker))
            count(self._totals, counted, alive)
            if (now := msgspec.json.encode(self._totals)) != self._saved:
                self._state.save("totals", self._totals)
                self._saved = now
            return health(self._totals, parse(self._haproxy.ask("show stat")))


def parse(text: str) -> list[Row]:
    """Raises HaproxyFailed for anything else, as the empty answer of a worker that just ended."""
    if not text.startswith("# pxname,"):
        raise HaproxyFailed(f"HAProxy's statistics: {text[:100]!r}")
    return list(csv.DictReader(text.removeprefix("# ").splitlines()))


def count(totals: Totals, counted: Mapping[int, list[Row]], alive: Collection[int]) -> None:
    """Take up what workers count now. One that is alive and did not answer stays as it was; the others have ended."""
    for pid in totals.workers.keys() - alive:
        for listener_id, stats in totals.workers.pop(pid).items():
            totals.ended[listener_id] = _sum([totals.ended.get(listener_id, ListenerStats()), _idle(stats)])
    for pid, rows in counted.items():
        totals.workers[pid] = {row["pxname"]: _stats(row) for row in rows if row["svname"] == "FRONTEND"}


def health(totals: Totals, rows: list[Row]) -> Health:
    """As the current worker sees it, with the totals of all."""
    listeners = {}
    for row in rows:
        if row["svname"] == "FRONTEND":
            name = row["pxname"]
            known = [stats[name] for stats in totals.workers.values() if name in stats]
            stats = _sum([totals.ended.get(name, ListenerStats()), *known])
            full = int(row["scur"] or 0) >= int(row["slim"] or 0) > 0
            listeners[name] = ListenerHealth(status="FULL" if full else "OPEN", stats=stats)
    return Health(listeners=listeners, pools=_pools(rows))


def _pools(rows: list[Row]) -> dict[str, PoolHealth]:
    """A pool may have several backends: their members are the same, checked once."""
    members: dict[str, dict[str, MemberStatus]] = {}
    status: dict[str, Literal["UP", "DOWN"]] = {}
    for row in rows:
        pool_id = pool_of(row["pxname"])
        if row["svname"] == "BACKEND":
            status[pool_id] = "UP" if row["status"].startswith("UP") else "DOWN"
            members.setdefault(pool_id, {})
        elif row["svname"] != "FRONTEND":
            members.setdefault(pool_id, {})[row["svname"]] = member_status(row)
    return {pool_id: PoolHealth(status=status[pool_id], members=members[pool_id]) for pool_id in status}


def member_status(row: Row) -> MemberStatus:
    """HAProxy also says "UP 1/3" while a member is on its way down, "MAINT (via ...)" and "NOLB"."""
    first = row["status"].split(" ")[0]
    if first in ("DRAIN", "NOLB") or (row["status"] == "no check" and row["weight"] == "0"):
        return "DRAIN"
    if first == "UP":
        return "UP"
    if first == "MAINT":
        return "MAINT"
    return "no check" if first == "no" else "DOWN"


def _stats(row: Row) -> ListenerStats:
    return ListenerStats(
        bytes_in=int(row["bin"] or 0),
        bytes_out=int(row["bout"] or 0),
        active_connections=int(row["scur"] or 0),
        total_connections=int(row["stot"] or 0),
        request_errors=int(row["ereq"] or 0),
    )


def _idle(stats: ListenerStats) -> ListenerStats:
    return ListenerStats(
        bytes_in=stats.bytes_in,
        bytes_out=stats.bytes_out,
        total_connections=stats.total_connections,
        request_errors=stats.request_errors,
    )


def _sum(several: Iterable[ListenerStats]) -> ListenerStats:
    present = list(several)
    return ListenerStats(
        **{name: sum(getattr(stats, name) for stats in present) for name in ListenerStats.__struct_fields__}
    )
