"""A compute service on the real network service and database; hypervisor, NICs and fabric are in memory and behave."""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from hydria.base import config, process
from hydria.base.errors import Retryable, Terminal
from hydria.cloud.compute.flavors import CreateFlavor
from hydria.cloud.compute.servers import AttachInterface, CreateServer, ServerNetwork, status
from hydria.cloud.compute.service import Compute
from hydria.cloud.context import CLOUD, Context
from hydria.cloud.database import Database
from hydria.cloud.hypervisor import cloud_config, guest
from hydria.cloud.hypervisor.guest import Guest, Machine
from hydria.cloud.network.resources import Port
from hydria.cloud.network.service import Network
from hydria.sriov.inventory import Pf, Vf, VfId, VfSettings

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
        if self.countdown is None:
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
    def __init__(self, points: Points, vfs: int = 4, hosts: int = 1) -> None:
        self._points = points
        names = [f"pf-{network}{f'-{host}' if host else ''}" for host in range(hosts) for network in NETWORKS]
        self.networks = {name: name.split("-")[1] for name in names}
        self.held: dict[VfId, int | None] = {VfId(name, index): None for name in names for index in range(vfs)}
        self.macs: dict[VfId, str | None] = {}
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
                link_up=True,
                vfs=tuple(Vf(vf, at_home=pid is None) for vf, pid in self.held.items() if vf.pf == name),
            )
            for name, network in self.networks.items()
        )

    def hand_over(self, vf: VfId, settings: VfSettings, *, pid: int, holder: str) -> None:
        self._points.pass_()
        if guest.started_at(pid) is None:
            raise Retryable(f"process {pid} is gone")
        if self.unlimited and settings.max_tx_rate:
            raise Terminal(f"VF {vf} cannot have a tx rate")
        self.settings[vf], self.holders[vf] = settings, holder
        self.held[vf], self.macs[vf] = pid, settings.mac
        self._points.pass_()

    def take_back(self, vf: VfId) -> None:
        self._points.pass_()
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

    def configure(self, *, pid: int, name: str, addresses: Sequence[str]) -> None:
        assert name == "eth0" or name.startswith("pf-")
        self.configured[pid] = addresses
        self._points.pass_()


class FakeHypervisor:
    """A guest is a sleeping process; files are names."""

    kind = "fake"

    def __init__(self, points: Points) -> None:
        self._points = points
        self.files: dict[str, bytes] = {}
        self.processes: dict[Guest, process.Process] = {}
        self.fail: str | None = None

    def prepare(self, server_id: str, user_data: bytes) -> None:
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

    def __init__(self, directory: Path, *, vfs: int = 4, hosts: int = 1) -> None:
        self.points = Points()
        self.nics = FakeNics(self.points, vfs, hosts)
        self.fabric = FakeFabric(self.points)
        self.hypervisor = FakeHypervisor(self.points)
        self.cloud = config.Cloud(
            database_url=f"sqlite:///{directory}/cloud.db",
            hosts=tuple(
                config.Host(
                    name=f"host{number + 1}",
                    pfs={
                        name: network
                        for name, network in self.nics.networks.items()
                        if name.endswith(f"-{number}" if number else network)
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
        self.compute = Compute(
            cloud=self.cloud,
            database=self.database,
            network=self.network,
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

    def create(self, flavor: str, *ports: str, **options: Any) -> str:
        networks = [ServerNetwork(uuid=self.networks["mgmt"]), *(ServerNetwork(port=port) for port in ports)]
        form = CreateServer(name="amphora-1", flavorRef=flavor, networks=networks, **options)
        return self.compute.servers.create(ADMIN, form, {}).id

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
        assert {VfId(item.pf, item.vf) for item in interfaces if item.pf is not None and item.vf is not None} == (
            self.nics.away()
        )
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
