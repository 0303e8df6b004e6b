import contextlib
import signal
from collections.abc import Callable

import pytest
from compute_fakes import MACHINE, Killed
from compute_world import ADMIN, KINDS, PROJECT, Kind, World, until

from hydria.base.errors import Conflict, Invalid, NotFound
from hydria.cloud.compute.servers import UpdateServer
from hydria.cloud.context import CLOUD, Context
from hydria.cloud.hypervisor import guest


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def test_server_gets_its_nics_before_it_runs(world: World):
    port = world.port("public")
    server_id = world.create(world.flavor(), port.id)
    until(lambda: world.status(server_id) == "ACTIVE")
    server = world.compute.servers.get(ADMIN, server_id)
    (vf,) = world.claims()
    assert world.nics.held[vf] == (MACHINE if world.kind == "machines" else server.pid)
    assert world.nics.macs[vf] == port.mac_address
    assert server.guest is not None
    management, direct = world.hypervisor.machines[server.guest].nics
    assert (management.addresses, direct.addresses) == (("198.51.2.2/24",), ())
    assert (direct.id, direct.mac, direct.mtu) == (port.id, port.mac_address, 1500)
    if world.kind == "machines":
        assert world.fabric.introduced == {management.mac: management.addresses}
        assert world.machines.devices[server_id, port.id] == port.mac_address
    else:
        assert world.fabric.configured == {server.pid: management.addresses}
    bound = world.network.port(port.id)
    assert (bound.binding_host_id, bound.device_id, bound.status) == ("host1", server_id, "ACTIVE")
    assert bound.device_owner == "compute:nova"
    assert bound.binding_profile == {"physical_network": "public", "pci_slot": str(vf)}
    world.balanced()


def test_delete_gives_everything_back(world: World):
    port = world.port("public")
    server_id = world.create(world.flavor(), port.id)
    until(lambda: world.status(server_id) == "ACTIVE")
    world.compute.servers.delete(ADMIN, server_id)
    until(lambda: not world.compute.servers.all(ADMIN, {}))
    until(lambda: not world.hypervisor.files)
    assert world.claims() == set()
    assert world.nics.away() == set()
    assert world.fabric.ports() == set()
    kept = world.network.port(port.id)
    assert (kept.device_id, kept.binding_host_id) == ("", "")
    assert world.network.ports_of_device(server_id) == []
    with pytest.raises(NotFound, match=f"Instance {server_id} could not be found"):
        world.compute.servers.delete(ADMIN, server_id)


def test_no_valid_host_is_a_fault_with_reasons_and_changes_nothing(world: World):
    port = world.port("public")
    server_id = world.create(world.flavor(**{"public-sriov": "true"}), port.id)
    until(lambda: world.status(server_id) == "ERROR")
    fault = world.compute.servers.get(ADMIN, server_id).fault
    assert fault is not None
    assert fault.code == 500
    assert fault.message == (
        "No valid host was found. host1: aggregate property public-sriov=true is missing (aggregates: none)"
    )
    assert world.claims() == set()
    assert world.network.ports_of_device(server_id) == []
    assert world.network.port(port.id).device_id == ""
    world.balanced()


def test_vfs_used_up_then_freed(make_world: Callable[..., World]):
    world = make_world(vfs=1)
    world.inline()
    world.compute.start()
    flavor = world.flavor()
    first = world.create(flavor, world.port("public").id)
    port = world.port("public")
    second = world.create(flavor, port.id)
    assert (world.status(first), world.status(second)) == ("ACTIVE", "ERROR")
    fault = world.compute.servers.get(ADMIN, second).fault
    assert fault is not None
    assert fault.message == "No valid host was found. host1: 0 of 1 VFs free on physical network public"
    world.compute.servers.delete(ADMIN, first)
    third = world.create(flavor, port.id)
    assert world.status(third) == "ACTIVE"
    world.balanced()


def test_failed_boot_leaves_nothing(world: World):
    world.hypervisor.fail = "no such container"
    server_id = world.create(world.flavor(), world.port("public").id)
    until(lambda: world.status(server_id) == "ERROR")
    server = world.compute.servers.get(ADMIN, server_id)
    assert server.fault is not None
    assert server.fault.message == "no such container"
    assert server.host is None
    assert world.claims() == set()
    assert world.network.ports_of_device(server_id) == []
    world.balanced()


def test_attach_and_detach(world: World):
    server_id = world.create(world.flavor())
    until(lambda: world.status(server_id) == "ACTIVE")
    direct, normal = world.port("members"), world.port("members", direct=False)
    world.attach(server_id, direct.id)
    world.attach(server_id, normal.id)
    assert len(world.claims()) == 1
    assert normal.id in world.fabric.ports()
    world.balanced()
    with pytest.raises(Conflict, match=f"Port {direct.id} is still in use"):
        world.attach(server_id, direct.id)
    for port in (direct, normal):
        world.compute.servers.detach(ADMIN, server_id, port.id)
        assert world.network.port(port.id).binding_host_id == ""
    assert world.claims() == set()
    world.balanced()
    with pytest.raises(NotFound, match="is not attached"):
        world.compute.servers.detach(ADMIN, server_id, direct.id)


def test_attach_without_free_vf_is_novas_answer_with_numbers(make_world: Callable[..., World]):
    world = make_world(vfs=1)
    world.inline()
    server_id = world.create(world.flavor(), world.port("members").id)
    port = world.port("members")
    with pytest.raises(Invalid, match="Failed to claim PCI device") as caught:
        world.attach(server_id, port.id)
    assert "1 of 1 VFs claimed" in caught.value.message
    assert world.network.port(port.id).device_id == ""
    world.balanced()


def test_port_deleted_behind_the_servers_back(world: World):
    port = world.port("members")
    server_id = world.create(world.flavor(), port.id)
    until(lambda: world.status(server_id) == "ACTIVE")
    world.network.delete_port_of(ADMIN, port.id)
    assert world.claims() == set()
    world.balanced()


def test_dead_guest_is_noticed_and_can_be_started_again(world: World):
    server_id = world.create(world.flavor(), world.port("public").id)
    until(lambda: world.status(server_id) == "ACTIVE")
    (child, started) = next(iter(world.hypervisor.processes.items()))
    started.send_signal(signal.SIGKILL)
    until(lambda: world.status(server_id) == "SHUTOFF", 1.0)
    server = world.compute.servers.get(ADMIN, server_id)
    assert (server.power_state, server.fault and server.fault.message) == (4, "process ended")
    assert not guest.alive(child)
    assert len(world.claims()) == 1
    world.balanced()
    world.compute.servers.start(ADMIN, server_id)
    until(lambda: world.status(server_id) == "ACTIVE")
    assert world.compute.servers.get(ADMIN, server_id).fault is None
    world.balanced()


def test_stop_start_reboot(world: World):
    server_id = world.create(world.flavor(), world.port("public").id)
    until(lambda: world.status(server_id) == "ACTIVE")
    first = world.compute.servers.get(ADMIN, server_id).pid
    with pytest.raises(Conflict, match=r"Cannot 'start' instance .* while it is in vm_state active"):
        world.compute.servers.start(ADMIN, server_id)
    world.compute.servers.stop(ADMIN, server_id)
    until(lambda: world.status(server_id) == "SHUTOFF")
    world.balanced()
    world.compute.servers.start(ADMIN, server_id)
    until(lambda: world.status(server_id) == "ACTIVE")
    second = world.compute.servers.get(ADMIN, server_id).pid
    world.compute.servers.reboot(ADMIN, server_id, hard=False)
    until(lambda: world.status(server_id) == "ACTIVE")
    assert len({first, second, world.compute.servers.get(ADMIN, server_id).pid}) == 3
    world.balanced()


def test_restart_adopts_what_runs(world: World):
    server_id = world.create(world.flavor(), world.port("public").id)
    until(lambda: world.status(server_id) == "ACTIVE")
    before = world.compute.servers.get(ADMIN, server_id).guest
    world.restart()
    assert world.compute.servers.get(ADMIN, server_id).guest == before
    assert before is not None
    assert guest.alive(before)
    world.balanced()
    world.hypervisor.processes[before].send_signal(signal.SIGKILL)
    until(lambda: world.status(server_id) == "SHUTOFF", 1.0)


def test_guest_that_ended_while_nobody_looked(world: World):
    server_id = world.create(world.flavor(), world.port("public").id)
    until(lambda: world.status(server_id) == "ACTIVE")
    (started,) = world.hypervisor.processes.values()
    world.restart(meanwhile=started.kill)
    until(lambda: world.status(server_id) == "SHUTOFF")
    world.balanced()


def test_stray_vf_and_files_are_cleared_at_start(world: World):
    vf = next(iter(world.nics.held))
    world.nics.held[vf] = 1
    world.hypervisor.files["nobody"] = b""
    world.fabric.plugged["nobody"] = ("eth1", 1)
    world.restart()
    assert world.nics.away() == set()
    world.balanced()


def test_delete_during_another_step_is_not_forgotten(world: World):
    """A step that began before the wish to delete stores what it knows; the wish must survive that."""
    server_id = world.create(world.flavor())
    until(lambda: world.status(server_id) == "ACTIVE")
    with world.compute.lifecycle.exclusively(server_id) as server:
        assert server is not None
        world.compute.lifecycle.submit = lambda *_: None  # type: ignore[method-assign]
        world.compute.servers.delete(ADMIN, server_id)
        world.compute.lifecycle.placement.store(server, vm_state="active", task_state=None)
    world.restart()
    assert world.compute.servers.all(ADMIN, {}) == []


def _everything(world: World) -> None:
    """A server's whole life."""
    flavor = world.flavor()
    ports = [world.port("public").id, world.port("members").id]
    server_id = world.create(flavor, *ports)
    world.attach(server_id, world.port("members").id)
    extra = world.port("members", direct=False).id
    world.attach(server_id, extra)
    world.compute.servers.detach(ADMIN, server_id, extra)
    world.compute.servers.detach(ADMIN, server_id, ports[1])
    world.compute.servers.update(ADMIN, server_id, UpdateServer(name="renamed"))
    world.compute.servers.reboot(ADMIN, server_id, hard=True)
    world.compute.servers.stop(ADMIN, server_id)
    world.compute.servers.start(ADMIN, server_id)
    world.compute.servers.delete(ADMIN, server_id)


def _number_of_points(world: World) -> int:
    world.points.countdown = 10_000
    _everything(world)
    assert world.points.countdown is not None
    return 10_000 - world.points.countdown


@pytest.mark.parametrize("part", range(4))
def test_killed_at_any_point_everything_ends_as_if_not(make_world: Callable[..., World], part: int):
    counting = make_world()
    counting.inline()
    counting.compute.start()
    total = _number_of_points(counting)
    assert total > 60
    for countdown in range(part, total, 4):
        world = make_world()
        world.inline()
        world.compute.start()
        world.points.countdown = countdown
        with contextlib.suppress(Killed):
            _everything(world)
        world.points.countdown = None
        world.restart()
        world.balanced()
        for server in world.compute.servers.all(ADMIN, {}):
            assert server.task_state is None
            assert server.vm_state in {"active", "stopped"}, (countdown, server.fault)
            world.compute.servers.delete(ADMIN, server.id)
        world.balanced()
        assert world.claims() == set()
        ports, _ = world.network.ports.documents(CLOUD, {})
        assert [port for port in ports if port["device_id"]] == []


def test_project_is_kept_apart(world: World):
    server_id = world.create(world.flavor())
    until(lambda: world.status(server_id) == "ACTIVE")
    stranger = Context(user_id="u2", project_id="2" * 32, roles=frozenset({"member"}))
    assert world.compute.servers.all(stranger, {}) == []
    with pytest.raises(NotFound):
        world.compute.servers.get(stranger, server_id)
    with pytest.raises(NotFound):
        world.compute.servers.delete(stranger, server_id)
    assert world.compute.servers.get(ADMIN, server_id).project_id == PROJECT
