"""The controller's process: makes the parts, connects them, and ends them."""

import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from hydria.base import garbage
from hydria.base.config import Config
from hydria.base.errors import HydriaError
from hydria.base.log import Logger
from hydria.controller import names
from hydria.controller.health import Health, Receiver
from hydria.controller.leftovers import Sweeper
from hydria.controller.load_balancer import LoadBalancers
from hydria.controller.lookups import Lookups
from hydria.controller.loop import Loop
from hydria.controller.metrics import Metrics
from hydria.controller.outside import Outside
from hydria.controller.vitals import Vitals
from hydria.controller.watch import Watch
from hydria.drivers.amphora import AmphoraClient
from hydria.drivers.amphora_client import HttpsAmphoraClient
from hydria.drivers.certificates import Authority, ensure_ca
from hydria.drivers.cloud import Cloud
from hydria.drivers.noop import NOTHING_IS_REAL, NoopCloud
from hydria.drivers.noop_amphorae import NoopAmphorae
from hydria.drivers.openstack import OpenStackCloud
from hydria.store.database import Database
from hydria.store.queue import Queue
from hydria.store.wake import WakeReceiver

_WRITE_SECONDS = 0.5
_WATCH_SECONDS = 0.25
_SWEEP_SECONDS = 30.0
_BEAT_SECONDS = 0.5
_REMEMBERED = 100_000
"""Ports of pretended amphorae."""
_STOP_POLL = 0.2
_STOP_SECONDS = 0.5

log = Logger(__name__)


def run(config: Config) -> None:
    """Until SIGTERM or SIGINT. Raises HydriaError when it cannot start."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with ExitStack() as cleanup:
        authority = ensure_ca(Path(config.certificates.directory))
        controller = (_pretending if config.drivers.kind == "noop" else _real)(config, authority, stopping, cleanup)
        cleanup.callback(controller.stop)
        controller.start()
        garbage.spare_what_stays()
        stopping.wait()


def _real(config: Config, authority: Authority, stopping: threading.Event, cleanup: ExitStack) -> "Controller":
    client = HttpsAmphoraClient(authority.client_context())
    cleanup.callback(client.close)
    cloud = OpenStackCloud(config.identity)
    cleanup.callback(cloud.close)
    return Controller(config, cloud, client, authority, stopping)


def _pretending(config: Config, authority: Authority, stopping: threading.Event, _cleanup: ExitStack) -> "Controller":
    log.warning(NOTHING_IS_REAL)
    amphorae = NoopAmphorae(authority.heartbeat_key)
    cloud = NoopCloud(memory=_REMEMBERED, stands=names.is_base_port, power_off=amphorae.power_off)
    controller = Controller(config, cloud, amphorae, authority, stopping)
    controller.also_every("noop-heartbeats", _BEAT_SECONDS, lambda: controller.hear(amphorae.heartbeats()))
    return controller


class Controller:
    """All of it but for signals, so that tests run it with other drivers."""

    def __init__(
        self, config: Config, cloud: Cloud, client: AmphoraClient, authority: Authority, stopping: threading.Event
    ) -> None:
        options = config.controller
        self._config = options
        self._prometheus = config.metrics
        self._stop_serving: Callable[[], None] = lambda: None
        self._stopping = stopping
        self._database = Database(config.database.url)
        self._database.migrate()
        queue = Queue(self._database)
        vitals = Vitals(options.heartbeat_timeout)
        self._lookups = Lookups(cloud)
        self._metrics = Metrics()
        self._metrics.watch(self._database, vitals)
        outside = Outside(
            config, cloud, client, authority, self._lookups, vitals, metrics=self._metrics, stopping=stopping
        )
        self._sweeper = Sweeper(outside)
        self._loop = Loop(
            self._database,
            queue,
            LoadBalancers(outside, self._database, self._sweeper).reconcile,
            stopping=stopping,
            workers=options.workers,
            lease_seconds=options.lease_seconds,
            observe=self._metrics.reconciled,
        )
        self._health = Health(self._database, queue, vitals, key=authority.heartbeat_key, wake=self._loop.wake)
        self._watch = Watch(self._database, cloud, vitals, options, wake=self._loop.wake)
        self._receiver = Receiver(options.heartbeat_bind_host, options.heartbeat_bind_port)
        self._wake = WakeReceiver(options.wake_socket) if options.wake_socket is not None else None
        self._threads: list[threading.Thread] = []
        self._also: list[Callable[[], None]] = []

    @property
    def heartbeat_port(self) -> int:
        return self._receiver.port

    def also_every(self, name: str, seconds: float, action: Callable[[], object]) -> None:
        """To be said before `start`."""
        self._also.append(partial(self._every, name, seconds, action))

    def hear(self, heartbeats: Iterable[bytes]) -> None:
        """Of amphorae that live in this process."""
        for datagram in heartbeats:
            self._health.take(datagram, time.time())

    def start(self) -> None:
        options = self._config
        if self._prometheus.controller_port:
            self._stop_serving = self._metrics.serve(self._prometheus.bind_host, self._prometheus.controller_port)
        self._loop.start()
        self._thread("heartbeats", partial(self._receiver.receive, self._health.take, self._stopping))
        self._every("health-writer", _WRITE_SECONDS, self._health.write)
        self._every("health-check", options.heartbeat_interval, self._health.check)
        self._every("watch", _WATCH_SECONDS, self._watch.look)
        self._every("resync", options.resync_seconds, partial(self._loop.resync, options.resync_seconds))
        self._every("sweeper", _SWEEP_SECONDS, self._sweeper.sweep)
        # What every amphora needs is asked for before the first one does.
        self._thread("lookups", self._look_up)
        for begin in self._also:
            begin()
        if self._wake is not None:
            self._thread("wake", partial(self._listen, self._wake))
        log.info("controller started", workers=options.workers, heartbeats=self.heartbeat_port)

    def stop(self) -> None:
        """Within 3 s, whatever hangs: what does not end by then ends with the process."""
        self._stopping.set()
        self._loop.stop()
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._stop_serving()
        self._receiver.close()
        if self._wake is not None:
            self._wake.close()
        self._database.close()
        log.info("controller stopped")

    def _thread(self, name: str, action: Callable[[], object]) -> None:
        thread = threading.Thread(target=action, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _every(self, name: str, seconds: float, action: Callable[[], object]) -> None:
        self._thread(name, partial(_repeat, self._stopping, seconds, action))

    def _look_up(self) -> None:
        try:
            self._lookups.network(self._config.management_network)
        except HydriaError as error:
            log.info("the cloud is not ready yet", reason=error)

    def _listen(self, wake: WakeReceiver) -> None:
        while not self._stopping.is_set():
            if wake.wait(_STOP_POLL):
                self._loop.wake()


def _repeat(stopping: threading.Event, seconds: float, action: Callable[[], object]) -> None:
    """Now and every so many seconds. One failure does not end it."""
    while not stopping.is_set():
        try:
            action()
        except Exception:  # an outermost loop: the next turn may go well
            log.exception("will be tried again", seconds=seconds)
        stopping.wait(seconds)
