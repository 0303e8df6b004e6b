"""The world around a compute service, in memory: NICs and a fabric that behave, and where a kill may hit."""

import contextlib
import os
import select
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import Connection, Dialect, Engine

from hydria.base.errors import Conflict, HydriaError, Retryable, Terminal
from hydria.cloud.database import Database
from hydria.cloud.hypervisor import guest
from hydria.sriov.inventory import Pf, Vf, VfCounters, VfId, VfSettings
from hydria.sriov.nics import PciDevice, Tap

NETWORKS = ("public", "members")

MACHINE = 0
"""Who has a VF that was given to a virtual machine."""


class Killed(BaseException):
    """kill -9: nothing of ours runs after it."""


class Points:
    """Every place where the program may be killed. `countdown` 0: here."""

    def __init__(self) -> None:
        self.countdown = None

    @property
    def countdown(self) -> int | None:
        return self._countdown

    @countdown.setter
    def countdown(self, value: int | None) -> None:
        self._countdown, self._killed = value, None

    def pass_(self) -> None:
        if self._killed is threading.current_thread():
            raise Killed
        # What the watching of PFs writes is written again at the next start: it has no points of its own.
        if self._countdown is None or threading.current_thread().name == "pf-watch":
            return
        if self._countdown == 0:
            self._countdown, self._killed = None, threading.current_thread()
            raise Killed
        self._countdown -= 1


class Queue:
    """A tap's or a macvtap's: open as long as anybody has the descriptor that `tap` gave."""

    def __init__(self) -> None:
        self._ours, fd = os.pipe()
        self.tap = Tap(fd)
        self._is_open = True

    def is_open(self) -> bool:
        if self._is_open:
            poll = select.poll()
            poll.register(self._ours, select.POLLIN)
            # A pipe that nobody can write to any more.
            if any(event & select.POLLHUP for _, event in poll.poll(0)):
                os.close(self._ours)
                self._is_open = False
        return self._is_open


class KillableDatabase(Database):
    """Killed right before a commit: nothing of the transaction is left."""

    points: Points
    _compiled: ClassVar[dict[Any, Any]] = {}
    _dialect: ClassVar[Dialect | None] = None

    def __init__(self, url: str) -> None:
        """What one has compiled all know: a test has one for each place where it kills, twice."""
        super().__init__(url)
        KillableDatabase._dialect = KillableDatabase._dialect or self._engine.dialect
        shared = {"compiled_cache": self._compiled}
        self._engine = Engine(self._engine.pool, self._dialect, self._engine.url, execution_options=shared)

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        outermost = getattr(self._thread, "connection", None) is None
        with super().begin() as connection:
            yield connection
            if outermost:
                self.points.pass_()


class FakeNics:
    """NICs whose PFs can lose their link or go, and whose VFs somebody else may hold or that may not work."""

    def __init__(self, points: Points, vfs: int = 4, hosts: int = 1, pfs: int = 1) -> None:
        self._points = points
        names = [
            f"pf-{network}{f'-{host}' if host else ''}{'x' * extra}"
            for host in range(hosts)
            for network in NETWORKS
            for extra in range(pfs)
        ]
        self.networks = {name: name.split("-")[1].rstrip("x") for name in names}
        self.held: dict[VfId, int | None] = {VfId(name, index): None for name in names for index in range(vfs)}
        self.macs: dict[VfId, str | None] = {}
        self.lost: set[VfId] = set()
        """Went with their PF while a guest had them; if the PF is there again, they are free on it."""
        self.down: set[str] = set()
        self.gone: set[str] = set()
        self.foreign: dict[VfId, str] = {}
        self.broken: dict[VfId, HydriaError] = {}
        self.macs_elsewhere: set[str] = set()
        self.nodes: dict[str, int] = {}
        self.counted: dict[VfId, VfCounters] = {}
        self._changed = threading.Condition()
        self.settings: dict[VfId, VfSettings] = {}
        self.holders: dict[VfId, str] = {}
        self.unlimited = False
        """As a software PF's: they take no rates."""
        self.queues: dict[VfId, Queue] = {}
        """Of VFs on `public`, which virtual machines get as macvtaps; all others they get as PCI devices."""
        self.opened: set[str] = set()
        """PCI addresses that a virtual machine has open."""

    def scan(self) -> tuple[Pf, ...]:
        return tuple(
            Pf(
                name=name,
                physical_network=network,
                driver="fake",
                numa_node=self.nodes.get(name),
                link_up=name not in self.down,
                speed=None if name in self.down else 10_000,
                vfs=tuple(self._vf(vf, pid) for vf, pid in self.held.items() if vf.pf == name),
            )
            for name, network in self.networks.items()
            if name not in self.gone
        )

    def _vf(self, vf: VfId, pid: int | None) -> Vf:
        at_home = pid is None and vf not in self.foreign
        return Vf(vf, at_home=at_home, foreign=vf in self.foreign, holder=self.foreign.get(vf, ""))

    def watch(self, stop: threading.Event) -> Iterator[tuple[Pf, ...]]:
        seen = None
        while not stop.is_set():
            with self._changed:
                if (links := self._links()) == seen:
                    self._changed.wait(0.02)
                    continue
                seen = links
            yield self.scan()

    def _links(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(self.down), frozenset(self.gone)

    def counters(self) -> Mapping[VfId, VfCounters]:
        return {vf: counters for vf, counters in self.counted.items() if vf.pf not in self.gone}

    def lose_link(self, pf: str) -> None:
        with self._changed:
            self.down.add(pf)
            self._changed.notify_all()

    def regain_link(self, pf: str) -> None:
        with self._changed:
            self.down.discard(pf)
            self._changed.notify_all()

    def lose_pf(self, pf: str) -> None:
        """As when its driver is unbound: its VFs vanish, out of guests too."""
        with self._changed:
            self.gone.add(pf)
            for vf in [vf for vf, pid in self.held.items() if vf.pf == pf and pid is not None]:
                self.held[vf] = None
                self.macs.pop(vf, None)
                self.queues.pop(vf, None)
                self.opened.discard(str(vf))
                self.lost.add(vf)
            self._changed.notify_all()

    def return_pf(self, pf: str) -> None:
        with self._changed:
            self.gone.discard(pf)
            self._changed.notify_all()

    def hand_over(self, vf: VfId, settings: VfSettings, *, pid: int, holder: str) -> None:
        self._points.pass_()
        if guest.started_at(pid) is None:
            raise Retryable(f"process {pid} is gone")
        self._set_up(vf, settings, pid, holder)
        self._points.pass_()

    def _set_up(self, vf: VfId, settings: VfSettings, whose: int, holder: str) -> None:
        if vf.pf in self.gone:
            raise Terminal(f"Handing over VF {vf}: there is no PF {vf.pf}.")
        if vf in self.foreign:
            raise Conflict(f"Handing over VF {vf}: {self.foreign[vf]} holds it.")
        others = {mac for other, mac in self.macs.items() if other != vf} | self.macs_elsewhere
        if settings.mac in others:
            raise Conflict(f"Handing over VF {vf}: its PF has MAC {settings.mac} in use already.")
        if vf in self.broken:
            raise self.broken[vf]
        if self.unlimited and settings.max_tx_rate:
            raise Terminal(f"VF {vf} cannot have a tx rate")
        self.settings[vf], self.holders[vf] = settings, holder
        self.held[vf], self.macs[vf] = whose, settings.mac
        self.lost.discard(vf)

    def hand_over_to_machine(self, vf: VfId, settings: VfSettings, *, holder: str) -> Tap | PciDevice:
        self._points.pass_()
        if vf in self.queues and self.queues[vf].is_open():
            raise Retryable(f"VF {vf} is still in use")
        self._set_up(vf, settings, MACHINE, holder)
        self._points.pass_()
        if self.networks[vf.pf] != "public":
            return PciDevice(str(vf))
        self.queues[vf] = Queue()
        return self.queues[vf].tap

    def adjust(self, vf: VfId, settings: VfSettings, *, holder: str) -> None:
        if self.held[vf] != MACHINE:
            raise Conflict(f"VF {vf} is with no virtual machine")
        self._set_up(vf, settings, MACHINE, holder)

    def take_back(self, vf: VfId) -> None:
        self._points.pass_()
        if str(vf) in self.opened:
            raise Retryable(f"VF {vf} is still in use")
        self.lost.discard(vf)
        if vf not in self.foreign:
            self.held[vf] = None
            self.macs.pop(vf, None)
        self._points.pass_()

    def away(self) -> set[VfId]:
        return {vf for vf, pid in self.held.items() if pid is not None}


class FakeFabric:
    def __init__(self, points: Points) -> None:
        self._points = points
        self.plugged: dict[str, tuple[str, int]] = {}
        self.taps: dict[str, Queue] = {}
        self.configured: dict[int, Sequence[str]] = {}
        self.introduced: dict[str, Sequence[str]] = {}

    def plug(self, *, port_id: str, mac: str, physical_network: str, pid: int, name: str, mtu: int, vlan: int) -> None:
        self._points.pass_()
        self._check(mac, physical_network, mtu, vlan)
        self.plugged[port_id] = (name, pid)
        self._points.pass_()

    def plug_tap(self, *, port_id: str, mac: str, physical_network: str, mtu: int, vlan: int) -> Tap:
        self._points.pass_()
        self._check(mac, physical_network, mtu, vlan)
        self.taps[port_id] = Queue()
        return self.taps[port_id].tap

    def _check(self, mac: str, physical_network: str, mtu: int, vlan: int) -> None:
        assert mac
        assert vlan == 0
        assert mtu == 1500
        assert physical_network in {*NETWORKS, "mgmt"}

    def unplug(self, *, port_id: str) -> None:
        self._points.pass_()
        self.plugged.pop(port_id, None)
        self.taps.pop(port_id, None)
        self._points.pass_()

    def ports(self) -> set[str]:
        return set(self.plugged) | {port_id for port_id, tap in self.taps.items() if tap.is_open()}

    def configure(self, *, pid: int, mac: str, addresses: Sequence[str]) -> None:
        assert mac
        self.configured[pid] = addresses
        self._points.pass_()

    def introduce(self, *, mac: str, addresses: Sequence[str]) -> None:
        self._points.pass_()
        self.introduced[mac] = addresses
