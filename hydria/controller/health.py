"""Takes heartbeats: who is alive, what statuses and counters they tell, and which amphorae need to be looked at."""

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from hydria.base.errors import HydriaError, Invalid
from hydria.base.log import Logger
from hydria.controller.vitals import Vitals
from hydria.model.amphora import Amphora, Replacement
from hydria.model.heartbeat import Heartbeat, NicCounters, unseal
from hydria.model.load_balancer import LoadBalancer
from hydria.model.status import AmphoraStatus, ProvisioningStatus
from hydria.store import amphorae, events, resources
from hydria.store.database import Database
from hydria.store.health import write_health
from hydria.store.queue import Queue

_DATAGRAM = 65_535
_BUFFER = 4 * 1024 * 1024
"""Bytes the kernel keeps for us: thousands of amphorae may speak in the same moment."""
_REPEATS = 3
"""Heartbeats written after one that differs: statuses of what was PENDING then are told by the next ones."""
_REFRESH_SECONDS = 30.0
_STOP_POLL = 0.2

log = Logger(__name__)


@dataclass
class _Written:
    content: Heartbeat
    at: float
    repeats: int = _REPEATS


class Health:
    """`take` is quick and never touches the database; `write` and `check` run in threads of their own."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        vitals: Vitals,
        *,
        key: str,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._queue = queue
        self._vitals = vitals
        self._key = key.encode()
        self._wake = wake
        self._pending: dict[str, tuple[Heartbeat, float]] = {}
        self._written: dict[str, _Written] = {}
        self._behind: dict[str, int] = {}
        """Amphora id → sequence of the heartbeat that first told an older generation."""
        self._marked: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, datagram: bytes, received_at: float) -> None:
        try:
            heartbeat = unseal(datagram, self._key)
        except Invalid as error:
            log.warning("heartbeat refused", reason=error)
            return
        if self._vitals.hear(heartbeat):
            with self._lock:
                # Of an amphora that speaks faster than the database writes only the newest counts.
                self._pending[heartbeat.amphora_id] = (heartbeat, received_at)

    def write(self) -> int:
        """Write what was taken since the last time and tells something new. Returns how many that were."""
        with self._lock:
            pending, self._pending = self._pending, {}
        news = [item for item in pending.values() if self._is_news(item[0])]
        for heartbeat, received_at in news:
            try:
                write_health(self._database, heartbeat, received_at)
            except HydriaError as error:
                log.warning("heartbeat not written", amphora_id=heartbeat.amphora_id, reason=error)
                self._written.pop(heartbeat.amphora_id, None)
        return len(news)

    def _is_news(self, heartbeat: Heartbeat) -> bool:
        links = {mac: NicCounters(name=nic.name, carrier=nic.carrier) for mac, nic in heartbeat.nics.items()}
        content = msgspec.structs.replace(heartbeat, sequence=0, time=0.0, nics=links)
        now = self._vitals.clock()
        last = self._written.get(heartbeat.amphora_id)
        if last is None or last.content != content or now - last.at > _REFRESH_SECONDS:
            self._written[heartbeat.amphora_id] = _Written(content, now)
            return True
        last.repeats -= 1
        return last.repeats >= 0

    def check(self) -> None:
        """Have amphorae replaced that are silent, and those brought up to date that are not what was settled."""
        with self._database.read() as tx:
            rows = resources.find(tx, Amphora, status=AmphoraStatus.ALLOCATED)
            settled = {
                lb.id: lb.generation
                for lb in resources.find(tx, LoadBalancer, provisioning_status=ProvisioningStatus.ACTIVE)
            }
        ids = {row.id for row in rows}
        self._vitals.expect(ids)
        for memory in (self._written, self._behind, self._marked):
            for forgotten in memory.keys() - ids:
                memory.pop(forgotten, None)
        for row in rows:
            if self._silent(row):
                self._ask_replacement(row)
            elif reason := self._outdated(row, settled.get(row.loadbalancer_id or "")):
                self._mark(row.loadbalancer_id or "", row.id, reason)

    def _silent(self, row: Amphora) -> bool:
        """And nobody was told of it lately."""
        if not self._vitals.lost(row.id):
            self._marked.pop(row.id, None)
            return False
        now = self._vitals.clock()
        if now - self._marked.get(row.id, float("-inf")) < self._vitals.timeout:
            return False
        self._marked[row.id] = now
        return True

    def _ask_replacement(self, row: Amphora) -> None:
        reason = f"Amphora {row.id} has been silent for over {self._vitals.timeout:.0f} s."
        with self._database.write() as tx:
            asked = amphorae.ask_replacement(tx, row.id, Replacement.SILENCE, reason)
        if asked:
            log.warning("amphora is silent", load_balancer_id=row.loadbalancer_id, reason=reason)
            self._wake()

    def _outdated(self, row: Amphora, generation: int | None) -> str | None:
        """Two heartbeats have to say so: one may have been under way while the spec was settled."""
        sequence, told = self._vitals.generation(row.id)
        if generation is None or told is None or told >= generation:
            self._behind.pop(row.id, None)
            return None
        first = self._behind.setdefault(row.id, sequence)
        if first == sequence:
            return None
        del self._behind[row.id]
        return f"Amphora {row.id} serves generation {told} instead of {generation}."

    def _mark(self, load_balancer_id: str, amphora_id: str, reason: str) -> None:
        log.warning("amphora needs a look", load_balancer_id=load_balancer_id, reason=reason)
        with self._database.write() as tx:
            events.record(tx, load_balancer_id, Amphora, amphora_id, level="WARNING", reason=reason)
            self._queue.mark(tx, load_balancer_id)
        self._wake()


class Receiver:
    """The UDP socket. Whoever made it closes it."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            self._socket.settimeout(_STOP_POLL)
            self._socket.bind((host, port))
        except OSError as error:
            self._socket.close()
            raise HydriaError(f"Listening for heartbeats on {host}:{port}: {error}") from error

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    def receive(self, take: Callable[[bytes, float], None], stopping: threading.Event) -> None:
        """Until `stopping`."""
        while not stopping.is_set():
            try:
                datagram = self._socket.recv(_DATAGRAM)
            except TimeoutError:
                continue
            take(datagram, time.time())

    def close(self) -> None:
        self._socket.close()
