"""A compute service on the real network service and database; hypervisor, NICs and fabric are in memory and behave."""

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any, ClassVar, Literal

from compute_fakes import NETWORKS, FakeFabric, FakeNics, KillableDatabase, Points
from compute_hypervisors import FakeHypervisor, FakeMachines

from hydria.base import config
from hydria.cloud.compute.flavors import CreateFlavor
from hydria.cloud.compute.server_groups import CreateServerGroup
from hydria.cloud.compute.servers import AttachInterface, CreateServer, ServerNetwork, status
from hydria.cloud.compute.service import Compute
from hydria.cloud.context import CLOUD, Context
from hydria.cloud.image.service import Images
from hydria.cloud.network.resources import Port
from hydria.cloud.network.service import Network
from hydria.sriov.inventory import VfId

PROJECT = "11111111111111111111111111111111"
ADMIN = Context(user_id="u1", project_id=PROJECT, roles=frozenset({"admin"}))

Kind = Literal["containers", "machines"]
KINDS: tuple[Kind, ...] = ("containers", "machines")


class World:
    """One machine: what outlives the program, and the program, which can be killed and started again."""

    _furnished: ClassVar[tuple[bytes, dict[str, str]] | None] = None
    """A database with the networks, and their ids: every world begins with the same."""

    def __init__(
        self, directory: Path, *, kind: Kind = "containers", vfs: int = 4, hosts: int = 1, pfs: int = 1
    ) -> None:
        self.kind = kind
        self.points = Points()
        self.nics = FakeNics(self.points, vfs, hosts, pfs)
        self.fabric = FakeFabric(self.points)
        self.machines = FakeMachines(self.points, self.nics.opened)
        """The hypervisor, where guests are virtual machines."""
        self.hypervisor = self.machines if kind == "machines" else FakeHypervisor(self.points)
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
        database = directory / "cloud.db"
        if World._furnished is not None:
            data, networks = World._furnished
            self.networks = dict(networks)
            database.write_bytes(data)
            self.start()
            return
        self.start()
        self.database.create_tables()
        self.networks = {name: self._network(name) for name in (*NETWORKS, "mgmt")}
        self.close()
        World._furnished = database.read_bytes(), self.networks
        self.start()

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
        assert {item.id for item in interfaces if item.pf is None} == self.fabric.ports()
        if self.kind == "machines":
            nics = {(item.server_id, item.id) for item in interfaces}
            assert set(self.machines.devices) == set(self.machines.backends) == nics
            assert {vf for vf, queue in self.nics.queues.items() if queue.is_open()} <= self.nics.away()
            assert self.nics.opened <= {str(vf) for vf in self.nics.away()}
        assert {server.id for server in self.compute.servers.all(ADMIN, {})} == set(self.hypervisor.files)


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for `condition`, looking often."""
    pause = Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError(f"not within {seconds} s: {condition}")
