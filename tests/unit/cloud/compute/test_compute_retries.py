"""A VF that cannot be had: another of the host, then another host, each once; what is said when none is left."""

import contextlib
from collections.abc import Callable

import pytest
from compute_fakes import Killed
from compute_world import ADMIN, KINDS, Kind, World, until

from hydria.base.errors import Conflict, Invalid, Retryable, Terminal
from hydria.cloud.compute.resources import Server
from hydria.sriov.inventory import VfId

MakeWorld = Callable[..., World]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def started(make_world: MakeWorld, **options: int) -> World:
    world = make_world(**options)
    world.inline()
    world.compute.start()
    return world


def server(world: World, server_id: str) -> Server:
    return world.compute.servers.get(ADMIN, server_id)


def fault(world: World, server_id: str) -> str:
    found = server(world, server_id).fault
    assert found is not None
    return found.message


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Terminal("pf-public/0 does not take it"), id="the NIC cannot"),
        pytest.param(Conflict("pf-public/0 has been taken meanwhile"), id="taken meanwhile"),
        pytest.param(Retryable("pf-public does not answer"), id="not this time"),
    ],
)
def test_another_vf_of_the_host(make_world: MakeWorld, error: Terminal) -> None:
    world = started(make_world)
    world.nics.broken[VfId("pf-public", 0)] = error
    port = world.port("public")
    server_id = world.create(world.flavor(), port.id)
    assert world.status(server_id) == "ACTIVE"
    assert world.claims() == world.nics.away() == {VfId("pf-public", 1)}
    assert world.network.port(port.id).binding_profile["pci_slot"] == "pf-public/1"
    world.balanced()


def test_then_another_host(make_world: MakeWorld) -> None:
    world = started(make_world, vfs=2, hosts=2)
    for index in range(2):
        world.nics.broken[VfId("pf-public", index)] = Terminal(f"VF {index} is broken")
    server_id = world.create(world.flavor(), world.port("members").id, world.port("public").id)
    assert (world.status(server_id), server(world, server_id).host) == ("ACTIVE", "host2")
    assert world.claims() == {VfId("pf-members-1", 0), VfId("pf-public-1", 0)}
    world.balanced()


def test_no_host_left_says_of_every_vf_why(make_world: MakeWorld) -> None:
    world = started(make_world, vfs=2, hosts=2)
    for vf in world.nics.held:
        world.nics.broken[vf] = Terminal(f"{vf} does not take VLAN 5.")
    port = world.port("public")
    server_id = world.create(world.flavor(), port.id)
    assert fault(world, server_id) == (
        "No valid host was found. "
        "host1: No free VF on physical network 'public': pf-public: 1 of 2 VFs claimed, "
        "pf-public/0 failed (pf-public/0 does not take VLAN 5), pf-public/1 failed (pf-public/1 does not take VLAN 5); "
        "host2: No free VF on physical network 'public': pf-public-1: 1 of 2 VFs claimed, pf-public-1/0 failed "
        "(pf-public-1/0 does not take VLAN 5), pf-public-1/1 failed (pf-public-1/1 does not take VLAN 5)"
    )
    assert server(world, server_id).host is None
    assert world.claims() == set()
    assert world.network.port(port.id).device_id == ""
    world.balanced()


def test_forced_host_is_the_only_one_tried(make_world: MakeWorld) -> None:
    world = started(make_world, vfs=1, hosts=2)
    world.nics.broken[VfId("pf-public", 0)] = Terminal("broken")
    server_id = world.create(world.flavor(), world.port("public").id, host="host1")
    assert "host2: host host1 was asked for" in fault(world, server_id)
    assert "pf-public/0 failed (broken)" in fault(world, server_id)
    world.balanced()


def test_attach_tries_all_vfs_of_the_host(make_world: MakeWorld) -> None:
    world = started(make_world, vfs=3)
    server_id = world.create(world.flavor())
    for index in range(2):
        world.nics.broken[VfId("pf-members", index)] = Terminal("broken")
    world.attach(server_id, world.port("members").id)
    assert world.nics.away() == world.claims() == {VfId("pf-members", 2)}
    world.balanced()


def test_attach_without_a_vf_that_works_changes_nothing(make_world: MakeWorld) -> None:
    world = started(make_world, vfs=2)
    server_id = world.create(world.flavor())
    for index in range(2):
        world.nics.broken[VfId("pf-members", index)] = Terminal(f"reason {index}")
    port = world.port("members")
    with pytest.raises(Invalid, match="Failed to claim PCI device") as caught:
        world.attach(server_id, port.id)
    for index in range(2):
        assert f"pf-members/{index} failed (reason {index})" in caught.value.message
    assert world.claims() == set()
    assert world.network.port(port.id).device_id == ""
    assert world.status(server_id) == "ACTIVE"
    world.balanced()


def test_guest_that_ended_is_no_reason_to_try_another_vf(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = started(make_world)
    tried: list[VfId] = []
    name = "hand_over_to_machine" if world.kind == "machines" else "hand_over"
    hand_over = getattr(world.nics, name)

    def dies_first(vf: VfId, *arguments: object, **options: object) -> object:
        tried.append(vf)
        for child in list(world.hypervisor.processes):
            world.hypervisor._end(child)
        return hand_over(vf, *arguments, **options)

    monkeypatch.setattr(world.nics, name, dies_first)
    server_id = world.create(world.flavor(), world.port("public").id)
    assert len(tried) == 1
    assert "is gone" in fault(world, server_id)
    world.balanced()


def test_addresses_that_do_not_go_onto_a_vf(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = started(make_world, vfs=2)
    configured: list[str] = []

    def refuse_the_first(*, mac: str, **_: object) -> None:
        configured.append(mac)
        if len(configured) == 1:
            raise Terminal(f"{mac} takes no address")

    for name in ("configure", "introduce"):
        monkeypatch.setattr(world.fabric, name, refuse_the_first)
    server_id = world.create(world.flavor(), world.port("public").id, management=False)
    assert world.status(server_id) == "ACTIVE"
    assert len(configured) == 2
    assert world.nics.away() == world.claims() == {VfId("pf-public", 1)}
    world.balanced()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda world, port: world.nics.macs_elsewhere.add(port.mac_address), id="MAC already used"),
        pytest.param(
            lambda world, port: world.nics.foreign.update(dict.fromkeys(world.nics.held, "vfio-pci")),  # noqa: ARG005
            id="VFs held by somebody else",
        ),
        pytest.param(lambda world, port: world.nics.down.add("pf-public"), id="no link"),  # noqa: ARG005
    ],
)
def test_bad_input_names_the_device_and_changes_nothing(make_world: MakeWorld, spoil: Callable[..., None]) -> None:
    world = started(make_world, vfs=2)
    running = world.create(world.flavor())
    port = world.port("public")
    spoil(world, port)
    foreign = dict(world.nics.foreign)
    server_id = world.create(world.flavor("other"), port.id)
    assert "pf-public" in fault(world, server_id)
    with pytest.raises(Invalid, match="pf-public"):
        world.attach(running, port.id)
    assert (world.claims(), world.nics.away(), world.nics.foreign) == (set(), set(), foreign)
    assert (world.network.port(port.id).device_id, world.network.port(port.id).binding_host_id) == ("", "")
    world.balanced()


def test_foreign_holder_is_named(make_world: MakeWorld) -> None:
    world = started(make_world, vfs=1)
    world.nics.foreign[VfId("pf-public", 0)] = "vfio-pci"
    server_id = world.create(world.flavor(), world.port("public").id)
    assert fault(world, server_id) == (
        "No valid host was found. host1: 0 of 1 VFs free on physical network public "
        "(pf-public: pf-public/0 is held by vfio-pci)"
    )


def test_taken_between_the_look_and_the_hand_over(make_world: MakeWorld) -> None:
    """Somebody binds the VF to another driver after we have chosen it: it stays theirs."""
    world = started(make_world, vfs=2)
    scan = world.nics.scan
    world.nics.foreign[VfId("pf-public", 0)] = "vfio-pci"
    world.nics.scan = lambda: _as_if_free(world, scan)  # type: ignore[method-assign]
    server_id = world.create(world.flavor(), world.port("public").id)
    assert world.status(server_id) == "ACTIVE"
    assert world.claims() == {VfId("pf-public", 1)}
    assert world.nics.foreign == {VfId("pf-public", 0): "vfio-pci"}


def _as_if_free(world: World, scan: Callable[[], tuple[object, ...]]) -> tuple[object, ...]:
    held, world.nics.foreign = world.nics.foreign, {}
    try:
        return scan()
    finally:
        world.nics.foreign = held


@pytest.mark.parametrize("part", range(2))
def test_killed_at_any_point_while_vfs_are_refused(make_world: MakeWorld, part: int) -> None:
    def begun() -> World:
        world = started(make_world, vfs=2, hosts=2)
        for vf in (VfId("pf-public", 0), VfId("pf-public", 1), VfId("pf-members-1", 0)):
            world.nics.broken[vf] = Terminal(f"{vf} is broken")
        return world

    def live(world: World) -> None:
        server_id = world.create(world.flavor(), world.port("members").id, world.port("public").id)
        world.attach(server_id, world.port("public").id)

    counting = begun()
    counting.points.countdown = 1000
    live(counting)
    total = 1000 - (counting.points.countdown or 0)
    assert total > 20
    for countdown in range(part, total, 2):
        world = begun()
        world.points.countdown = countdown
        with contextlib.suppress(Killed):
            live(world)
        world.points.countdown = None
        world.restart()
        world.balanced()
        for found in world.compute.servers.all(ADMIN, {}):
            assert (found.vm_state, found.host) == ("active", "host2"), (countdown, found.fault)
            world.compute.servers.delete(ADMIN, found.id)
        assert (world.claims(), world.nics.away()) == (set(), set())
        world.balanced()


# -- PFs that come and go


def test_servers_of_a_group_are_on_different_pfs(make_world: MakeWorld) -> None:
    world = started(make_world, pfs=2)
    group = world.group()
    for number in range(2):
        world.create(world.flavor(f"f{number}"), world.port("public").id, group=group)
    assert {vf.pf for vf in world.claims()} == {"pf-public", "pf-publicx"}
    for number in range(2):
        assert world.status(world.create(world.flavor(f"g{number}"), world.port("public").id, group=group)) == "ACTIVE"


def test_vfs_of_a_server_are_on_one_node_and_so_are_its_cpus(make_world: MakeWorld) -> None:
    world = started(make_world, pfs=2)
    world.hypervisor.cpus = {0: frozenset({0}), 1: frozenset({1})}
    world.nics.nodes = {"pf-public": 0, "pf-publicx": 1, "pf-membersx": 1}
    server_id = world.create(world.flavor(), world.port("public").id, world.port("members").id)
    world.attach(server_id, world.port("public").id)
    assert {vf.pf for vf in world.claims()} == {"pf-publicx", "pf-membersx"}
    assert world.hypervisor.pinned == {server(world, server_id).guest: 1}
    world.balanced()


def test_a_machine_of_one_node_pins_nothing(make_world: MakeWorld) -> None:
    world = started(make_world)
    world.nics.nodes = dict.fromkeys(world.nics.networks, 0)
    world.create(world.flavor(), world.port("public").id)
    assert world.hypervisor.pinned == {}


def test_ports_show_the_link_of_their_pf(world: World, caplog: pytest.LogCaptureFixture) -> None:
    port = world.port("public")
    server_id = world.create(world.flavor(), port.id)
    until(lambda: world.status(server_id) == "ACTIVE")
    world.nics.lose_link("pf-public")
    until(lambda: world.network.port(port.id).status == "DOWN", 1.0)
    world.nics.regain_link("pf-public")
    until(lambda: world.network.port(port.id).status == "ACTIVE", 1.0)
    world.nics.lose_pf("pf-public")
    until(lambda: world.network.port(port.id).status == "DOWN", 1.0)
    world.nics.return_pf("pf-public")
    until(lambda: world.network.port(port.id).status == "ACTIVE", 1.0)
    told = [record.getMessage() for record in caplog.records if record.name == "hydria.cloud.compute.pf_watch"]
    assert [line.split(" pf=")[0] for line in told] == [
        "PF has lost its link",
        "PF has its link again",
        "PF is gone",
        "PF is new",
    ]


def test_link_lost_while_nobody_looked(world: World) -> None:
    port = world.port("public")
    server_id = world.create(world.flavor(), port.id)
    until(lambda: world.status(server_id) == "ACTIVE")
    world.restart(meanwhile=lambda: world.nics.down.add("pf-public"))
    until(lambda: world.network.port(port.id).status == "DOWN", 1.0)


def test_server_whose_pf_is_gone_can_be_deleted(make_world: MakeWorld) -> None:
    world = started(make_world)
    port = world.port("public")
    server_id = world.create(world.flavor(), port.id)
    world.nics.lose_pf("pf-public")
    assert len(world.claims()) == 1
    world.compute.servers.delete(ADMIN, server_id)
    assert (world.claims(), world.compute.servers.all(ADMIN, {})) == (set(), [])
    world.nics.return_pf("pf-public")
    assert world.status(world.create(world.flavor("after"), port.id)) == "ACTIVE"
    world.balanced()


def test_strays_of_others_are_left_alone(make_world: MakeWorld) -> None:
    world = started(make_world)
    ours, theirs = VfId("pf-public", 0), VfId("pf-public", 1)
    world.nics.held[ours] = 1
    world.nics.foreign[theirs] = "vfio-pci"
    world.restart()
    assert (world.nics.away(), world.nics.foreign) == (set(), {theirs: "vfio-pci"})
