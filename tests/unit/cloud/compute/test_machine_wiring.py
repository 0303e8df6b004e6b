"""NICs of virtual machines: the machine has to let go of one, and may have no place for one."""

from collections.abc import Callable

import pytest
from compute_http import ComputeClient, served
from compute_world import ADMIN, Kind, World

from hydria.base.errors import Conflict, Invalid, Retryable, Terminal
from hydria.cloud.compute import api
from hydria.cloud.compute.machine_wiring import MachineWiring, wiring_of
from hydria.cloud.compute.wiring import NamespaceWiring, Nic
from hydria.sriov.inventory import VfId


@pytest.fixture
def kind() -> Kind:
    return "machines"


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    made = make_world()
    made.inline()
    made.compute.start()
    return made


def stubborn(world: World, *, direct: bool) -> tuple[str, str]:
    """A server and a NIC that it does not let go of: a crashed kernel answers nobody."""
    server_id, port = world.create(world.flavor()), world.port("members", direct=direct)
    world.attach(server_id, port.id)
    world.machines.stubborn.add(port.id)
    return server_id, port.id


def has(world: World, server_id: str, port_id: str) -> bool:
    (interface,) = (one for one in world.compute.lifecycle.placement.interfaces(server_id) if one.id == port_id)
    return interface.state == "detaching" and world.machines.has(server_id, port_id)


def test_the_hypervisor_decides(world: World) -> None:
    assert isinstance(wiring_of(world.machines, world.nics, world.fabric), MachineWiring)
    assert isinstance(wiring_of(object(), world.nics, world.fabric), NamespaceWiring)


@pytest.mark.parametrize("direct", [True, False], ids=["VF", "tap"])
def test_a_guest_that_does_not_let_go(world: World, direct: bool) -> None:
    server_id, port_id = stubborn(world, direct=direct)
    for _ in range(2):
        with pytest.raises(Retryable, match="does not let go of it"):
            world.compute.servers.detach(ADMIN, server_id, port_id)
        assert has(world, server_id, port_id)
    assert world.network.port(port_id).device_id == server_id
    world.balanced()
    world.machines.stubborn.clear()
    world.compute.servers.detach(ADMIN, server_id, port_id)
    assert not world.machines.has(server_id, port_id)
    assert world.network.port(port_id).device_id == ""
    world.balanced()


def test_the_api_says_that_a_guest_does_not_let_go(world: World) -> None:
    server_id, port_id = stubborn(world, direct=True)
    with served(world, api.router) as client:
        answer = ComputeClient(client)("DELETE", f"/servers/{server_id}/os-interface/{port_id}")
    assert answer.status_code == 503
    assert "does not let go of it" in answer.text


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda world, server_id: world.compute.servers.stop(ADMIN, server_id), id="stop"),
        pytest.param(lambda world, server_id: world.compute.servers.reboot(ADMIN, server_id, hard=True), id="reboot"),
        pytest.param(lambda world, server_id: world.compute.servers.delete(ADMIN, server_id), id="delete"),
    ],
)
def test_the_guests_end_frees_what_it_did_not_let_go_of(world: World, end: Callable[[World, str], None]) -> None:
    server_id, port_id = stubborn(world, direct=True)
    with pytest.raises(Retryable):
        world.compute.servers.detach(ADMIN, server_id, port_id)
    end(world, server_id)
    assert (world.claims(), world.nics.away()) == (set(), set())
    assert world.network.port(port_id).device_id == ""
    assert not world.machines.has(server_id, port_id)
    world.balanced()


def test_a_restart_tries_again_and_lets_the_server_run(world: World) -> None:
    server_id, port_id = stubborn(world, direct=True)
    with pytest.raises(Retryable):
        world.compute.servers.detach(ADMIN, server_id, port_id)
    world.restart()
    assert world.status(server_id) == "ACTIVE"
    assert has(world, server_id, port_id)
    world.restart(meanwhile=world.machines.stubborn.clear)
    assert world.status(server_id) == "ACTIVE"
    assert world.claims() == set()
    world.balanced()


def test_port_deleted_while_the_guest_does_not_let_go(world: World) -> None:
    server_id, port_id = stubborn(world, direct=True)
    world.network.delete_port_of(ADMIN, port_id)
    assert has(world, server_id, port_id)
    assert len(world.claims()) == 1
    world.compute.servers.delete(ADMIN, server_id)
    assert (world.claims(), world.nics.away()) == (set(), set())
    world.balanced()


def test_a_restart_leaves_nics_in_machines_that_run(world: World) -> None:
    server_id = world.create(world.flavor(), world.port("public").id, world.port("members").id)
    before = dict(world.machines.backends)
    assert len(before) == 3
    world.restart()
    assert world.machines.backends == before
    assert all(queue.is_open() for queue in (*world.nics.queues.values(), *world.fabric.taps.values()))
    assert world.status(server_id) == "ACTIVE"
    world.balanced()


def test_no_place_for_a_vf(world: World) -> None:
    server_id, port = world.create(world.flavor()), world.port("public")
    world.machines.refused.add(port.id)
    with pytest.raises(Invalid, match="has no place for NIC"):
        world.attach(server_id, port.id)
    assert (world.claims(), world.nics.away()) == (set(), set())
    world.balanced()


def test_no_place_for_a_tap(world: World) -> None:
    server_id, port = world.create(world.flavor()), world.port("public", direct=False)
    world.machines.refused.add(port.id)
    with pytest.raises(Terminal, match="has no place for NIC"):
        world.attach(server_id, port.id)
    assert world.network.port(port.id).device_id == ""
    world.balanced()


@pytest.mark.parametrize("vf", [VfId("pf-public", 0), VfId("pf-members", 0), None], ids=["macvtap", "vfio", "tap"])
def test_plug_and_unplug_twice(world: World, vf: VfId | None) -> None:
    server_id = world.create(world.flavor(), management=False)
    child = world.compute.servers.get(ADMIN, server_id).guest
    assert child is not None
    wiring = MachineWiring(world.nics, world.fabric, world.machines)
    mac = "fa:16:3e:00:00:01"
    nic = Nic(port_id="port", mac=mac, mtu=1500, physical_network="public", vf=vf, addresses=("198.51.2.9/24",))
    for _ in range(2):
        wiring.plug(nic, server_id=server_id, child=child)
        assert world.machines.devices == {(server_id, "port"): mac}
        assert world.fabric.introduced == {mac: nic.addresses}
    for _ in range(2):
        wiring.unplug("port", vf, server_id=server_id)
        assert (world.machines.backends, world.fabric.ports(), world.nics.away()) == ({}, set(), set())


def test_half_a_nic_of_an_interrupted_attempt(world: World) -> None:
    """The machine has the macvtap's queue already, but no device on it."""
    server_id, port = world.create(world.flavor()), world.port("public")
    vf = VfId("pf-public", 0)
    child = world.compute.servers.get(ADMIN, server_id).guest
    assert child is not None
    wiring = MachineWiring(world.nics, world.fabric, world.machines)
    nic = Nic(port_id=port.id, mac=port.mac_address, mtu=1500, physical_network="public", vf=vf)
    wiring.plug(nic, server_id=server_id, child=child)
    del world.machines.devices[server_id, port.id]
    wiring.plug(nic, server_id=server_id, child=child)
    assert world.machines.has(server_id, port.id)
    wiring.unplug(port.id, vf, server_id=server_id)


def test_settings_of_a_vf_that_is_with_no_machine(world: World) -> None:
    wiring = MachineWiring(world.nics, world.fabric, world.machines)
    server_id = world.create(world.flavor())
    child = world.compute.servers.get(ADMIN, server_id).guest
    assert child is not None
    nic = Nic(port_id="port", mac="fa:16:3e:00:00:01", mtu=1500, physical_network="public", vf=VfId("pf-public", 0))
    with pytest.raises(Conflict, match="is with no virtual machine"):
        wiring.set_anew(nic, server_id=server_id, child=child)
