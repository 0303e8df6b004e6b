"""Compute on real VFs: what cannot be had gives way to another, and a PF's link is its ports'."""

import base64
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hardware import CARDS, NUMVFS, PCI, Cable, Card, bring_up, driver_of, has_carrier, ip, is_home, until

from hydria.base import config
from hydria.base.errors import Invalid
from hydria.cloud.compute.capacity import STATES, PfCapacity
from hydria.cloud.compute.flavors import CreateFlavor
from hydria.cloud.compute.resources import Server
from hydria.cloud.compute.servers import AttachInterface, CreateServer, ServerNetwork, status
from hydria.cloud.compute.service import Compute
from hydria.cloud.context import CLOUD, Context
from hydria.cloud.database import Database
from hydria.cloud.image.service import Images
from hydria.cloud.network.resources import Port
from hydria.cloud.network.service import Network
from hydria.fabric import teardown
from hydria.fabric.kinds import fabric_of

PROJECT = "1" * 32
ADMIN = Context(user_id="u1", project_id=PROJECT, roles=frozenset({"admin"}))


class Cloud:
    """Both PFs on one host, a server program that sleeps."""

    def __init__(self, directory: Path) -> None:
        pfs = {card.pf: wire for wire, card in CARDS.items()}
        cloud = config.Cloud(
            database_url=f"sqlite:///{directory}/cloud.db",
            state_dir=str(directory),
            hosts=(config.Host(name="host1", pfs=pfs),),
            namespace_agent=("/bin/sh", "-c", "exec sleep 1000"),
        )
        self.config = config.Config(cloud=cloud, fabric=config.Fabric(kind="sriov", name="choice"))
        fabric = fabric_of(self.config)
        fabric.ensure()
        self.database = Database(cloud.database_url)
        self.network = Network(self.config, self.database)
        self.compute = Compute(
            cloud=cloud,
            database=self.database,
            network=self.network,
            images=Images(cloud, self.database),
            nics=fabric.nics(),
            fabric=fabric,
        )
        self.database.create_tables()
        self.networks = {name: self._network(name, number) for number, name in enumerate(("mgmt", "public", "members"))}
        self.flavor = self.compute.flavors.create(ADMIN, CreateFlavor(name="small", ram=64, vcpus=1, disk=0)).id
        self.compute.start()

    def _network(self, name: str, number: int) -> str:
        physical = {"provider:physical_network": name, "provider:network_type": "flat"}
        network = self.network.networks.create(CLOUD, {"name": name, "project_id": PROJECT, **physical})
        subnet = {"network_id": network.id, "project_id": PROJECT, "ip_version": 4, "cidr": f"198.51.{number}.0/24"}
        self.network.subnets.create(CLOUD, subnet)
        return network.id

    def port(self, network: str, mac: str | None = None) -> Port:
        values = {"network_id": self.networks[network], "project_id": PROJECT, "binding:vnic_type": "direct"}
        return self.network.ports.create(CLOUD, {**values, "mac_address": mac} if mac else values)

    def server(self, *ports: Port) -> Server:
        form = CreateServer(
            name="s",
            flavorRef=self.flavor,
            networks=[ServerNetwork(uuid=self.networks["mgmt"]), *(ServerNetwork(port=port.id) for port in ports)],
            user_data=base64.b64encode(b"#cloud-config\n{}").decode(),
        )
        id_ = self.compute.servers.create(ADMIN, form, {}).id
        until("the server is built", lambda: status(self.get(id_)) != "BUILD", 60)
        return self.get(id_)

    def get(self, server_id: str) -> Server:
        return self.compute.servers.get(ADMIN, server_id)

    def delete(self, server: Server) -> None:
        self.compute.servers.delete(ADMIN, server.id)
        until("it is gone", lambda: server.id not in {one.id for one in self.compute.servers.all(ADMIN, {})}, 60)

    def capacity(self, card: Card) -> PfCapacity:
        (host,) = self.compute.hosts.capacity()
        return next(one for one in host.pfs if one.pf.physical_network == card.wire)

    def close(self) -> None:
        for server in self.compute.servers.all(ADMIN, {}):
            self.delete(server)
        self.compute.close()
        self.database.close()
        teardown.down(self.config.fabric.name)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def taken_by_somebody(card: Card, *indexes: int) -> Iterator[None]:
    """VFs in a network namespace that is not ours."""
    ip("netns add somebody")
    names = [card.vf(index) for index in indexes]
    try:
        for name in names:
            ip(f"link set dev {name} netns somebody")
        yield
    finally:
        for name in names:
            ip(f"link set dev {name} netns 1", netns="somebody", check=False)
        ip("netns delete somebody")
        until("they are back", lambda: all(is_home(card.vfs[index]) for index in indexes))


def test_vfs_of_somebody_else_are_left_alone_and_counted(cloud: Cloud, public: Card) -> None:
    with taken_by_somebody(public, 0, 1):
        server = cloud.server(cloud.port("public"))
        assert server.vm_state == "active", server.fault
        (interface,) = [one for one in cloud.compute.servers.interfaces(ADMIN, server.id) if one.pf]
        assert interface.vf == 2
        seen = cloud.capacity(public)
        assert {state: seen.count(state) for state in STATES} == {"free": 4, "claimed": 1, "foreign": 2, "away": 0}
        assert not any(is_home(public.vfs[index]) for index in (0, 1))
        cloud.delete(server)
        assert not any(is_home(public.vfs[index]) for index in (0, 1)), "taking back ours must not take back theirs"
    assert cloud.capacity(public).usable == NUMVFS


def test_no_vf_left_names_who_has_them(cloud: Cloud, public: Card) -> None:
    with taken_by_somebody(public, *range(NUMVFS)):
        server = cloud.server(cloud.port("public"))
        assert server.fault is not None
        assert f"{public.pf}/0 is held by" in server.fault.message
        assert not any(is_home(vf) for vf in public.vfs)


def test_mac_already_used_on_the_nic_names_the_device(cloud: Cloud, public: Card) -> None:
    mac = Path(f"/sys/class/net/{public.pf}/address").read_text().strip()
    running = cloud.server()
    port = cloud.port("public", mac)
    with pytest.raises(Invalid, match=f"{public.pf}/0.* cannot have MAC {mac}: PF {public.pf} has it"):
        cloud.compute.servers.attach(ADMIN, running.id, AttachInterface(port_id=port.id))
    assert cloud.capacity(public).count("claimed") == 0
    assert cloud.network.port(port.id).device_id == ""


def test_ports_follow_the_cable(cloud: Cloud, public: Card, members: Card, cable: Callable[[Card], Cable]) -> None:
    port, other = cloud.port("public"), cloud.port("members")
    cloud.server(port, other)
    pulled = cable(public)
    pulled.pull()
    until("the kernel has seen it", lambda: not has_carrier(public.pf))
    until("the port is DOWN", lambda: cloud.network.port(port.id).status == "DOWN", 1.0)
    assert cloud.network.port(other.id).status == "ACTIVE"
    assert cloud.capacity(public).usable == 0
    assert cloud.capacity(members).usable == NUMVFS - 1
    pulled.plug()
    until("the port is ACTIVE", lambda: cloud.network.port(port.id).status == "ACTIVE", 1.0)


def test_server_whose_pf_is_gone_can_be_deleted(cloud: Cloud, public: Card) -> None:
    port = cloud.port("public")
    server = cloud.server(port)
    driver = driver_of(public.pci) or ""
    (PCI / public.pci / "driver" / "unbind").write_text(public.pci)
    try:
        until("the port is DOWN", lambda: cloud.network.port(port.id).status == "DOWN")
        seen = cloud.capacity(public)
        assert (seen.is_present, seen.count("claimed")) == (False, 1)
        cloud.delete(server)
        assert cloud.network.port(port.id).device_id == ""
        (host,) = cloud.compute.hosts.capacity()
        assert [one.pf.physical_network for one in host.pfs] == ["members"]
    finally:
        Path(f"/sys/bus/pci/drivers/{driver}/bind").write_text(public.pci)
        bring_up()
