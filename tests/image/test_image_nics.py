"""It must show 3: NICs of a running machine are told by their MAC; what the machine was it is again after a reboot."""

import contextlib
import random
import signal

from e2e.scene import Traffic, insist, member
from hydria.cli.demo.stage import await_condition
from hydria.drivers.cloud import Port
from image.own_amphora import OwnAmphora, booted, port
from image.vm_scene import VmScene, reset

VIP = "203.0.113.240"
OVER_IPV4, OVER_IPV6 = "192.0.2.10", "2001:db8:0:c0::11"
SEED = 20
"""Of the order in which NICs are plugged."""


def test_vip_and_member_nics_are_plugged_in_any_order(scene: VmScene) -> None:
    """VIP and one member network on VFs, the other member network on a normal port."""
    with contextlib.ExitStack() as stack:
        amphora = stack.enter_context(booted(scene))
        vip = stack.enter_context(port(amphora, scene.subnet("public-subnet"), "direct", VIP))
        four = stack.enter_context(port(amphora, scene.subnet("members-subnet"), "direct"))
        six = stack.enter_context(port(amphora, scene.subnet("members-subnet6"), "normal"))
        shuffled = random.Random(SEED).sample([vip, four, six], 3)  # noqa: S311 - an order, no secret
        assert shuffled[0] != vip, "else the order would be the usual one"
        for one in shuffled:
            amphora.cloud.attach_port(amphora.server_id, one.id)
        said = amphora.put(1, vip, [four, six], [OVER_IPV4, OVER_IPV6])
        assert said.faults == ()
        assert_as_told(scene, amphora, vip, four, six)

        reboot(scene, amphora)
        assert_as_told(scene, amphora, vip, four, six)

        # Unplugged, and told so: the other way is served on.
        with Traffic(scene.client, VIP) as traffic:
            assert amphora.put(2, vip, [four], [OVER_IPV4]).faults == ()
            amphora.cloud.detach_port(amphora.server_id, six.id)
            traffic.await_more(10)
        assert traffic.failures == []
        assert names(amphora) == {vip.mac_address: "eth1", four.mac_address: "eth2"}
        assert scene.answers(VIP, 3) == {"backend-a": 3}
    scene.await_nothing_left()


def names(amphora: OwnAmphora) -> dict[str, str]:
    return {one.mac_address: one.name for one in amphora.observed().interfaces}


def assert_as_told(scene: VmScene, amphora: OwnAmphora, vip: Port, four: Port, six: Port) -> None:
    scene.await_answer(VIP, seconds=60)
    wanted = {vip.mac_address: "eth1", four.mac_address: "eth2", six.mac_address: "eth3"}
    await_condition(f"NICs are {wanted}", lambda: names(amphora) == wanted, 30.0, 0.1)
    assert amphora.observed().generation == 1
    # Through the VF one backend is reached, through the normal port the other one.
    await_condition("both backends answer", lambda: set(scene.answers(VIP, 4)) == {"backend-a", "backend-b"}, 30.0, 0.1)


def reboot(scene: VmScene, amphora: OwnAmphora) -> None:
    """As a user reboots a server. No controller knows this one: what it is afterwards it has from its disk."""
    before = scene.console(amphora.server_id)
    scene.stage.openstack("service", ["server", "reboot", "--hard", "--wait", amphora.server_id])
    amphora.await_agent()
    assert scene.console(amphora.server_id) != before


def test_a_reset_machine_serves_again_while_nothing_of_hydria_runs(scene: VmScene) -> None:
    members = [member("192.0.2.10", scene.subnet("members-subnet"), sriov=True)]
    with scene.balancer("reset", members, flavor_id=scene.flavor_id) as balancer:
        vip = balancer["vip_address"]
        scene.await_answer(vip, seconds=30)
        before, machines = scene.nics(balancer), scene.machines()
        scene.stage.stop(signal.SIGTERM)
        with Traffic(scene.client, vip) as traffic:
            traffic.await_more(20)
        assert traffic.failures == []
        assert scene.machines() == machines
        reset(scene)
        scene.await_answer(vip, seconds=60)
        assert scene.answers(vip, 3) == {"backend-a": 3}

        # And it is taken over as it is.
        scene.stage.start()
        assert scene.machines() == machines
        insist(lambda: scene.demo.await_active(balancer["id"]))
        assert scene.nics(balancer) == before
        added = scene.add_member(balancer, "192.0.2.11", sriov=True)
        assert added["provisioning_status"] == "ACTIVE"
        assert set(scene.answers(vip, 6)) == {"backend-a", "backend-b"}
    scene.await_nothing_left()
