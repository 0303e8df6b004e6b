"""It must show 1: the whole guide with virtual machines, through the same API: traffic, members, failover, delete."""

import shlex

from e2e.scene import BACKENDS, Traffic, member, type_guide
from hydria.cli.demo import guide
from hydria.cli.demo.stage import await_condition
from image.vm_scene import VmScene


def test_the_guide_as_typed_with_virtual_machines(scene: VmScene) -> None:
    try:
        said = type_guide(scene.stage, [guide.USE])
        balancer = scene.demo.named("loadbalancers", "lb1")
        vip = balancer["vip_address"]
        assert all("ACTIVE" in text for text in said.values())
        assert len(scene.machines()) == 1
        assert balancer["vip_vnic_type"] == "direct"
        assert scene.nics(balancer) == {"eth1": "direct", "eth2": "direct"}
        assert sum(scene.vfs_in_use().values()) == 2
        scene.await_answer(vip, seconds=30)
        assert scene.answers(vip, 3) == {"backend-a": 3}

        more = guide.USE.commands[-1].replace("192.0.2.10", "192.0.2.11")
        type_guide(scene.stage, [guide.Step("", "demo", (more,))])
        assert scene.answers(vip, 6) == dict.fromkeys(("backend-a", "backend-b"), 3)
        idle = scene.members(balancer)["192.0.2.10"]["id"]
        change(scene, f"openstack loadbalancer member set --weight 0 --wait pool1 {idle}")
        assert scene.answers(vip, 3) == {"backend-b": 3}
        change(scene, f"openstack loadbalancer member delete --wait pool1 {idle}")
        assert list(scene.members(balancer)) == ["192.0.2.11"]

        first = scene.amphora_of(balancer)["id"]
        scene.stage.openstack("admin", shlex.split("loadbalancer failover --wait lb1"))
        scene.demo.await_active(balancer["id"], seconds=60)
        assert scene.amphora_of(balancer)["id"] != first
        scene.await_answer(vip, seconds=30)
        assert scene.answers(vip, 3) == {"backend-b": 3}
        await_condition("the machine before is gone", lambda: len(scene.machines()) == 1, 30.0)
        assert sum(scene.vfs_in_use().values()) == 2
    finally:
        scene.remove(scene.demo.named("loadbalancers", "lb1")["id"])
    scene.await_nothing_left()


def change(scene: VmScene, line: str) -> None:
    scene.stage.openstack("demo", shlex.split(line)[1:])


def test_normal_ports_and_the_running_machine(scene: VmScene) -> None:
    """Taps on the fabric's bridges, the second one plugged into the machine that runs; no request fails meanwhile."""
    with scene.balancer("normal") as balancer:
        vip = balancer["vip_address"]
        assert balancer["vip_vnic_type"] == "normal"
        assert scene.nics(balancer) == {"eth1": "normal"}
        for address in BACKENDS.values():
            scene.add_member(balancer, address)
        assert scene.nics(balancer) == {"eth1": "normal", "eth2": "normal"}
        scene.await_answer(vip, seconds=30)
        with Traffic(scene.client, vip) as traffic:
            traffic.await_more(30)
            # An IPv6 member is reached over a NIC that is there already.
            made = scene.demo.create(
                f"pools/{scene.pool_of(balancer)}/members",
                **member("2001:db8:0:c0::10", scene.subnet("members-subnet6")),
            )
            scene.demo.await_active(balancer["id"])
            traffic.await_more(30)
            scene.demo.delete(f"pools/{scene.pool_of(balancer)}/members", made["id"])
            scene.demo.await_active(balancer["id"])
        assert traffic.failures == []
        assert set(traffic.answers) == set(BACKENDS)
    scene.await_nothing_left()
