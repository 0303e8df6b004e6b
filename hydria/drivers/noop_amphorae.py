"""Amphorae that are only pretended: each answers at once, is what its spec says, and tells so by heartbeats."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hydria.base.errors import Retryable
from hydria.model.heartbeat import Heartbeat, ListenerHealth, NicCounters, PoolHealth, seal
from hydria.model.spec import Info, MemberSpec, Observed, ObservedInterface, PoolSpec, Spec
from hydria.model.spec_versions import Document, read


@dataclass
class _Guest:
    spec: Spec
    due: float
    """When its next heartbeat is."""


class NoopAmphorae:
    """drivers.amphora.AmphoraClient. Any address answers."""

    def __init__(self, key: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._key = key.encode()
        self._clock = clock
        self._guests: dict[str, _Guest] = {}
        """By address."""
        self._sequence = int(time.time() * 1000)
        self._lock = threading.Lock()

    def info(self, amphora_id: str, address: str) -> Info:  # noqa: ARG002
        return Info(agent_version="noop")

    def put_spec(self, address: str, document: Document) -> Observed:
        spec = read(document.body)
        with self._lock:
            last = self._guests.get(address)
            if last is not None and spec.generation < last.spec.generation:
                raise Retryable(
                    f"Amphora {spec.amphora_id} refused generation {spec.generation}: it has {last.spec.generation}.",
                    after=0,
                )
            self._guests[address] = _Guest(spec, self._clock() + spec.heartbeats.interval)
        return _observed(spec)

    def observed(self, amphora_id: str, address: str) -> Observed:
        guest = self._guests.get(address)
        return Observed(amphora_id=amphora_id) if guest is None else _observed(guest.spec)

    def power_off(self, address: str) -> None:
        """Its server is deleted."""
        with self._lock:
            self._guests.pop(address, None)

    def heartbeats(self) -> list[bytes]:
        """Those that are due. An amphora speaks first when its spec has stayed as it is for one interval: until then
        operating statuses are those of a load balancer that nobody has heard of, as test suites without amphorae
        expect.
        """
        now = self._clock()
        with self._lock:
            due = [guest for guest in self._guests.values() if guest.due <= now]
            for guest in due:
                guest.due = now + guest.spec.heartbeats.interval
            self._sequence += 1
            sequence = self._sequence
        return [seal(_heartbeat(guest.spec, sequence), self._key) for guest in due]


def _observed(spec: Spec) -> Observed:
    return Observed(
        amphora_id=spec.amphora_id,
        generation=spec.generation,
        interfaces=tuple(
            ObservedInterface(mac_address=nic.mac_address, name=nic.name, addresses=nic.addresses, up=True)
            for nic in spec.interfaces
        ),
    )


def _heartbeat(spec: Spec, sequence: int) -> Heartbeat:
    listeners = spec.listeners if spec.admin_state_up else ()
    return Heartbeat(
        amphora_id=spec.amphora_id,
        load_balancer_id=spec.load_balancer_id,
        generation=spec.generation,
        sequence=sequence,
        time=time.time(),
        haproxy="running" if listeners else "not needed",
        listeners={listener.id: ListenerHealth(status="OPEN") for listener in listeners},
        pools={pool.id: _pool(pool) for pool in spec.pools},
        nics={nic.mac_address: NicCounters(name=nic.name) for nic in spec.interfaces},
    )


def _pool(pool: PoolSpec) -> PoolHealth:
    monitored = pool.health_monitor is not None
    return PoolHealth(status="UP", members={member.id: _member(member, monitored=monitored) for member in pool.members})


def _member(member: MemberSpec, *, monitored: bool) -> str:
    if not member.admin_state_up:
        return "MAINT"
    if not monitored:
        return "no check"
    return "UP" if member.weight else "DRAIN"
