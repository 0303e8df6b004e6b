"""It must show 1 and 2: the guide as typed, on VFs; and without `sriov_vip` ordinary ports, side by side."""

import json

from e2e.scene import BACKENDS, Scene, member, type_guide
from hydria.cli.demo import guide


def test_the_guide_as_typed_serves_traffic_through_vfs(scene: Scene) -> None:
    before = scene.vfs_in_use()
    said = type_guide(scene.stage, [guide.USE])
    balancer = scene.demo.named("loadbalancers", "lb1")
    try:
        assert all("ACTIVE" in text for text in said.values())
        assert balancer["vip_vnic_type"] == "direct"
        assert [one["vnic_type"] for one in scene.members(balancer).values()] == ["direct"]
        assert scene.answers(balancer["vip_address"], 3) == {"backend-a": 3}
        for address in ("192.0.2.11", "192.0.2.12"):
            more = guide.USE.commands[-1].replace("192.0.2.10", address)
            type_guide(scene.stage, [guide.Step("", "demo", (more,))])
        assert scene.answers(balancer["vip_address"], 9) == dict.fromkeys(BACKENDS, 3)
        assert scene.kinds(balancer["vip_address"]) == {"eth1": "vf", "eth2": "vf"}
        # One VF in each network, whatever the number of members: on the host that the aggregate holds.
        used = scene.vfs_in_use()
        assert {pf: used[pf] - before[pf] for pf in used} == {
            **dict.fromkeys(used, 0),
            "pf-public": 1,
            "pf-members": 1,
        }
    finally:
        scene.remove(balancer["id"])


def test_the_operators_commands_made_what_they_say(scene: Scene) -> None:
    aggregate = scene.stage.openstack("admin", ["aggregate", "show", "sriov_aggregate", "-f", "json"]).stdout
    shown = json.loads(aggregate)
    assert shown["hosts"] == [guide.HOST]
    assert shown["properties"] == {"sriov-nic": "true", "public-sriov": "true", "members-sriov": "true"}
    flavor = json.loads(scene.stage.openstack("service", ["flavor", "show", "sriov.amphora", "-f", "json"]).stdout)
    assert flavor["os-flavor-access:is_public"] is False
    assert flavor["properties"] == {"hw_rng:allowed": "True", "public-sriov": "true", "members-sriov": "true"}
    hidden = scene.stage.openstack("demo", ["flavor", "show", "sriov.amphora"], check=False)
    assert hidden.status != 0


def test_both_kinds_of_ports_side_by_side(scene: Scene) -> None:
    subnet = scene.subnet("members-subnet")
    before = scene.vfs_in_use()
    vf_members = [member(address, subnet, sriov=True) for address in BACKENDS.values()]
    with (
        scene.balancer("plain", [member(address, subnet) for address in BACKENDS.values()]) as plain,
        scene.balancer("sriov", vf_members, flavor_id=scene.flavor_id) as sriov,
    ):
        assert (plain["vip_vnic_type"], sriov["vip_vnic_type"]) == ("normal", "direct")
        for balancer, kind in ((plain, "port"), (sriov, "vf")):
            scene.await_answer(balancer["vip_address"])
            assert scene.kinds(balancer["vip_address"]) == {"eth1": kind, "eth2": kind}
            assert scene.answers(balancer["vip_address"], 9) == dict.fromkeys(BACKENDS, 3)
        assert sum(scene.vfs_in_use().values()) == sum(before.values()) + 2
    assert scene.vfs_in_use() == before


def test_a_load_balancer_in_ipv6_on_vfs(scene: Scene) -> None:
    subnet = scene.subnet("members-subnet6")
    members = [member(f"2001:db8:0:c0::{last}", subnet, sriov=True) for last in (10, 11, 12)]
    vip = scene.subnet("public-subnet6")
    with scene.balancer("six", members, vip_subnet_id=vip, flavor_id=scene.flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        assert scene.answers(balancer["vip_address"], 6) == dict.fromkeys(BACKENDS, 2)
