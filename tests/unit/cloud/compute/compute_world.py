"""A compute service on the real network service and database; hypervisor, NICs and fabric are in memory and behave."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from hydria.base import cloud_config, config, process
from hydria.base.errors import Conflict, HydriaError, Retryable, Terminal
from hydria.cloud.compute.flavors import CreateFlavor
from hydria.cloud.compute.server_groups import CreateServerGroup
from hydria.cloud.compute.servers import AttachInterface, CreateServer, ServerNetwork, status
from hydria.cloud.compute.service import Compute
from hydria.cloud.context import CLOUD, Context
from hydria.cloud.database import Database
from hydria.cloud.hypervisor import guest
from hydria.cloud.hypervisor.guest import BootImage, Guest, Machine
from hydria.cloud.image.service import Images
from hydria.cloud.network.resources import Port
from hydria.cloud.network.service import Network
from hydria.sriov.inventory import Pf, Vf, VfCounters, VfId, VfSettings
from hydria.sriov.nics import Tap

PROJECT = "11111111111111111111111111111111"
ADMIN = Context(user_id="u1", project_id=PROJECT, roles=frozenset({"admin"}))
NETWORKS = ("public", "members")


class Killed(BaseException):
    """kill -9: nothing of ours runs after it."""


class Points:
    """Every place where the program may be killed. `countdown` 0: here."""

    def __init__(self) -> None:
        self.countdown: int | None = None

    def pass_(self) -> None:
        # What the watching of PFs writes is written again at the next start: it has no points of its own.
        if self.countdown is None or threading.current_thread().name == "pf-watch":
            return
        if self.countdown == 0:
            self.countdown = None
            raise Killed
        self.countdown -= 1


class KillableDatabase(Database):
    """Killed right before a commit: nothing of the transaction is left."""

    points: Points

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
        self.held[vf], self.macs[vf] = pid, settings.mac
        self.lost.discard(vf)
        self._points.pass_()

    def hand_over_to_machine(self, vf: VfId, settings: VfSettings, *, holder: str = "") -> Tap:  # noqa: ARG002
        raise Terminal(f"VF {vf} cannot be given to a virtual machine here.")

    def adjust(self, vf: VfId, settings: VfSettings, *, holder: str = "") -> None:  # noqa: ARG002
        raise Conflict(f"VF {vf} is with no virtual machine.")

    def take_back(self, vf: VfId) -> None:
        self._points.pass_()
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
        self.configured: dict[int, Sequence[str]] = {}

    def plug(self, *, port_id: str, mac: str, physical_network: str, pid: int, name: str, mtu: int, vlan: int) -> None:
        self._points.pass_()
        assert mac
        assert vlan == 0
        assert mtu == 1500
        assert physical_network in {*NETWORKS, "mgmt"}
        self.plugged[port_id] = (name, pid)
        self._points.pass_()

    def unplug(self, *, port_id: str) -> None:
        self._points.pass_()
        self.plugged.pop(port_id, None)
        self._points.pass_()

    def ports(self) -> set[str]:
        return set(self.plugged)

    def configure(self, *, pid: int, mac: str, addresses: Sequence[str]) -> None:
        assert mac
        self.configured[pid] = addresses
        self._points.pass_()


class FakeHypervisor:
    """A guest is a sleeping process; files are names."""

    kind = "fake"
    version = 1
    boots_images = False

    def __init__(self, points: Points) -> None:
        self._points = points
        self.files: dict[str, bytes] = {}
        self.processes: dict[Guest, process.Process] = {}
        self.fail: str | None = None
        self.cpus: dict[int, frozenset[int]] = {0: frozenset({0, 1})}
        self.pinned: dict[Guest, int] = {}

    def prepare(self, server_id: str, user_data: bytes, image: BootImage | None = None) -> None:  # noqa: ARG002
        self._points.pass_()
        cloud_config.files(user_data)
        self.files[server_id] = user_data
        self._points.pass_()

    @contextlib.contextmanager
    def booting(self, machine: Machine) -> Iterator[Guest]:
        self._points.pass_()
        if self.fail:
            raise Retryable(self.fail)
        assert machine.id in self.files
        started = process.start(["sleep", "infinity"])
        child = Guest(started.pid, guest.started_at(started.pid) or 0)
        self.processes[child] = started
        try:
            self._points.pass_()
            yield child
            self._points.pass_()
        except BaseException:
            self._end(child)
            raise

    def _end(self, child: Guest) -> None:
        guest.kill(child)
        if started := self.processes.pop(child, None):
            started.wait()

    def nodes(self) -> Mapping[int, frozenset[int]]:
        return self.cpus

    def pin(self, child: Guest, node: int) -> None:
        assert guest.alive(child)
        self.pinned[child] = node

    def shut_down(self, child: Guest, server_id: str) -> None:
        self._points.pass_()
        assert server_id in self.files
        assert child in self.processes or not guest.alive(child)

    def kill(self, child: Guest) -> None:
        self._points.pass_()
        self._end(child)
        self._points.pass_()

    def remove(self, server_id: str) -> None:
        self._points.pass_()
        self.files.pop(server_id, None)

    def servers(self) -> frozenset[str]:
        return frozenset(self.files)

    def console(self, server_id: str, lines: int | None = None) -> str:
        text = ["booted\n", f"{server_id}\n"]
        return "".join(text if lines is None else text[-lines:])


class World:
    """One machine: what outlives the program, and the program, which can be killed and started again."""

    def __init__(self, directory: Path, *, vfs: int = 4, hosts: int = 1, pfs: int = 1) -> None:
        self.points = Points()
        self.nics = FakeNics(self.points, vfs, hosts, pfs)
        self.fabric = FakeFabric(self.points)
        self.hypervisor = FakeHypervisor(self.points)
        self.cloud = config.Cloud(
            database_url=f"sqlite:///{directory}/cloud.db",
            state_dir=str(directory),
            hosts=tuple(
                config.Host(
                    name=f"host{number + 1}",
                    pfs={
                        name: network
                        for name, network in self.nics.networks.items()
                        if name.rstrip("x").endswith(f"-{number}" if number else network)
                    },
                )
                for number in range(hosts)
            ),
        )
        self.start()
        self.database.create_tables()
        self.networks = {name: self._network(name) for name in (*NETWORKS, "mgmt")}

    def start(self) -> None:
        self.database = KillableDatabase(self.cloud.database_url)
        self.database.points = self.points
        self.network = Network(config.Config(cloud=self.cloud, fabric=config.Fabric(kind="software")), self.database)
        self.images = Images(self.cloud, self.database)
        self.compute = Compute(
            cloud=self.cloud,
            database=self.database,
            network=self.network,
            images=self.images,
            nics=self.nics,
            fabric=self.fabric,
            hypervisor=self.hypervisor,
        )

    def inline(self) -> None:
        """Steps run where they are asked for, so that a kill hits the one who asks."""
        self.compute.lifecycle.submit = lambda step, server_id, *rest: step(server_id, *rest)  # type: ignore[method-assign]

    def restart(self, meanwhile: Callable[[], None] | None = None) -> None:
        self.close()
        if meanwhile is not None:
            meanwhile()
        self.start()
        self.inline()
        self.compute.start()

    def close(self) -> None:
        self.compute.close()
        self.database.close()

    def _network(self, name: str) -> str:
        physical = {"provider:physical_network": name, "provider:network_type": "flat"}
        network = self.network.networks.create(CLOUD, {"name": name, "project_id": PROJECT, "shared": True, **physical})
        index = (*NETWORKS, "mgmt").index(name)
        self.network.subnets.create(
            CLOUD,
            {"network_id": network.id, "project_id": PROJECT, "ip_version": 4, "cidr": f"198.51.{index}.0/24"},
        )
        return network.id

    # -- what tests do

    def flavor(self, name: str = "small", **specs: str) -> str:
        flavor = self.compute.flavors.create(ADMIN, CreateFlavor(name=name, ram=64, vcpus=1, disk=0))
        self.compute.flavors.set_extra_specs(ADMIN, flavor.id, specs)
        return flavor.id

    def port(self, network: str, *, direct: bool = True) -> Port:
        return self.network.create_port(
            network_id=self.networks[network], project_id=PROJECT, vnic_type="direct" if direct else "normal"
        )

    def image(self, **values: Any) -> str:
        """Of any format and without data: what is made of it is up to the hypervisor."""
        return self.images.create(ADMIN, {"name": "image", **values}).id

    def group(self, policy: str = "soft-affinity") -> str:
        return self.compute.groups.create(ADMIN, CreateServerGroup(name="group", policy=policy)).id

    def create(
        self, flavor: str, *ports: str, group: str | None = None, management: bool = True, **options: Any
    ) -> str:
        first = [ServerNetwork(uuid=self.networks["mgmt"])] if management else []
        networks = [*first, *(ServerNetwork(port=port) for port in ports)]
        form = CreateServer(name="amphora-1", flavorRef=flavor, networks=networks, **options)
        return self.compute.servers.create(ADMIN, form, {"group": group} if group else {}).id

    def attach(self, server_id: str, port_id: str) -> None:
        self.compute.servers.attach(ADMIN, server_id, AttachInterface(port_id=port_id))

    def status(self, server_id: str) -> str:
        return status(self.compute.servers.get(ADMIN, server_id))

    def claims(self) -> set[VfId]:
        with self.database.read() as connection:
            return set(self.compute.hosts.claimed(connection))

    def balanced(self) -> None:
        """The books and the world say the same."""
        running = [server for server in self.compute.servers.all(ADMIN, {}) if server.pid is not None]
        assert {server.guest for server in running} == set(self.hypervisor.processes)
        interfaces = [item for server in running for item in self.compute.lifecycle.placement.interfaces(server.id)]
        wanted = {VfId(item.pf, item.vf) for item in interfaces if item.pf is not None and item.vf is not None}
        assert wanted - self.nics.lost == self.nics.away()
        assert self.nics.away() <= self.claims()
        assert {item.id for item in interfaces if item.pf is None} == set(self.fabric.plugged)
        assert {server.id for server in self.compute.servers.all(ADMIN, {})} == set(self.hypervisor.files)


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for `condition`, looking often."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError(f"not within {seconds} s: {condition}")
