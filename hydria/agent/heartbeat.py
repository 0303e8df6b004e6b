"""Looks at HAProxy every second and tells the controllers: at every interval, and at once when a status changed.

Also what notices that HAProxy is gone, or that a missing NIC has come, and has the spec applied again; and that a NIC
lost or got its link, which cannot wait for the next heartbeat.
"""

import socket
import threading
import time

from hydria.agent import statistics
from hydria.agent.amphora import Amphora
from hydria.agent.haproxy import HaproxyFailed
from hydria.agent.netlink import RTMGRP_LINK, Netlink
from hydria.base import log
from hydria.base.errors import HydriaError
from hydria.model.heartbeat import Heartbeat, NicCounters, seal
from hydria.model.spec import Heartbeats, Spec
from hydria.render.haproxy.config import served_listeners, vip_addresses

logger = log.Logger(__name__)

LOOK_SECONDS = 1.0
RETRY_SECONDS = 0.05
REPAIR_SECONDS = 5.0
"""Between two attempts to bring a lost HAProxy back."""


class Reporter:
    def __init__(self, amphora: Amphora, key: bytes) -> None:
        self._amphora = amphora
        self._key = key
        self._sequence = int(time.time() * 1000)
        self._repaired = -REPAIR_SECONDS
        self._sent = 0.0
        self._statuses: tuple[object, ...] = ()
        self._owed = False
        """A spec was applied, and nobody was told yet."""

    def run(self, stop: threading.Event) -> None:
        """Until `stop`. Nothing that happens here may end it: a silent amphora is replaced."""
        pause = LOOK_SECONDS
        while not stop.is_set():
            self._owed |= self._amphora.changed.wait(pause)
            self._amphora.changed.clear()
            spec = self._amphora.spec
            if spec is None:
                continue
            try:
                self._beat(spec)
                pause = LOOK_SECONDS
            except HaproxyFailed as error:
                # For a moment after its start and at a reload HAProxy does not answer.
                logger.debug("haproxy does not answer", error=error)
                pause = RETRY_SECONDS if pause == LOOK_SECONDS else LOOK_SECONDS
            except Exception:
                logger.exception("heartbeat failed")
                pause = LOOK_SECONDS

    def _beat(self, spec: Spec) -> None:
        self._repair(spec)
        health = self._look(spec)
        due = time.monotonic() - self._sent >= spec.heartbeats.interval - LOOK_SECONDS / 2
        if self._owed or due or health.statuses != self._statuses:
            self._send(spec, health)
            self._sent, self._statuses, self._owed = time.monotonic(), health.statuses, False

    def _repair(self, spec: Spec) -> None:
        lost = is_needed(spec) and self._amphora.haproxy.pid() is None
        if lost and time.monotonic() - self._repaired >= REPAIR_SECONDS:
            self._repaired = time.monotonic()
            logger.error("haproxy is gone, starting it again")
            self._amphora.apply_again()

    def _look(self, spec: Spec) -> statistics.Health:
        health = self._amphora.traffic.look()
        wanted = {listener.id for listener in served_listeners(spec)}
        return statistics.Health({key: one for key, one in health.listeners.items() if key in wanted}, health.pools)

    def _send(self, spec: Spec, health: statistics.Health) -> None:
        self._sequence += 1
        running = self._amphora.haproxy.pid() is not None
        heartbeat = Heartbeat(
            amphora_id=self._amphora.id,
            load_balancer_id=spec.load_balancer_id,
            generation=spec.generation,
            sequence=self._sequence,
            time=time.time(),
            haproxy="running" if running else "stopped" if is_needed(spec) else "not needed",
            listeners=health.listeners,
            pools=health.pools,
            nics=self._nics(),
        )
        send(seal(heartbeat, self._key), spec.heartbeats)

    def _nics(self) -> dict[str, NicCounters]:
        with self._amphora.namespace.inside(Netlink) as inside:
            return {link.mac: link.counters for link in inside.links() if not link.is_loopback and link.mac}


def is_needed(spec: Spec) -> bool:
    return bool(served_listeners(spec) and vip_addresses(spec))


def send(datagram: bytes, heartbeats: Heartbeats) -> None:
    """To every controller; one that cannot be reached is no reason to leave out the others."""
    for controller in heartbeats.controllers:
        host, _, port = controller.rpartition(":")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                sender.sendto(datagram, (host.strip("[]"), int(port)))
        except (OSError, ValueError) as error:
            logger.warning("heartbeat not sent", controller=controller, error=error)


def watch_links(amphora: Amphora, stop: threading.Event) -> None:
    """When a NIC of the spec is plugged, late or again, apply the spec: whoever plugs it need not tell us."""
    tried: set[str] = set()
    with Netlink(RTMGRP_LINK) as events, Netlink() as outside:
        while not stop.is_set():
            events.wait(LOOK_SECONDS)
            plugged = {link.mac for link in outside.links() if link.mac in amphora.nics}
            news, tried = plugged - tried, plugged
            if news:
                try:
                    amphora.apply_again()
                except (HydriaError, OSError) as error:
                    logger.warning("links not followed", error=error)


def watch_carriers(amphora: Amphora, stop: threading.Event) -> None:
    """Have a heartbeat sent as soon as a NIC loses or gets its link, and the VIPs told to the neighbours again."""
    while not amphora.applied.wait(LOOK_SECONDS):
        if stop.is_set():
            return
    events = amphora.namespace.inside(lambda: Netlink(RTMGRP_LINK))
    inside = amphora.namespace.inside(Netlink)
    before: dict[str, bool] = {}
    with events, inside:
        while not stop.is_set():
            try:
                now = {link.mac: link.has_carrier for link in inside.links() if not link.is_loopback and link.mac}
                if now != before:
                    amphora.changed.set()
                    amphora.links_came_up([mac for mac, carrier in now.items() if carrier and not before.get(mac)])
                before = now
                events.wait(LOOK_SECONDS)
            except (HydriaError, OSError) as error:
                logger.warning("carriers not followed", error=error)
                stop.wait(LOOK_SECONDS)
