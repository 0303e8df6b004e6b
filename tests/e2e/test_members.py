"""It must show 4, and the data plane's regression tests: which port a member gets, and that all combinations serve."""

import pytest

from e2e.scene import BACKENDS, Scene, Traffic, member
from hydria.cli.demo.client import CallFailed


@pytest.fixture(scope="module")
def member_flavor(scene: Scene) -> str:
    """VF members with an ordinary VIP."""
    data = '{"compute_flavor": "amphora-sriov-flavor", "allow_member_sriov": true}'
    profile = scene.admin.create("flavorprofiles", name="members-only", provider_name="amphora", flavor_data=data)
    return str(scene.admin.create("flavors", name="members-only", flavor_profile_id=profile["id"])["id"])


def test_h15_vf_vip_with_ordinary_members(scene: Scene) -> None:
    subnet = scene.subnet("members-subnet")
    members = [member(address, subnet) for address in BACKENDS.values()]
    with scene.balancer("h15", members, flavor_id=scene.flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        assert scene.kinds(balancer["vip_address"]) == {"eth1": "vf", "eth2": "port"}
        assert scene.answers(balancer["vip_address"], 9) == dict.fromkeys(BACKENDS, 3)


def test_h4_ordinary_vip_with_vf_members(scene: Scene, member_flavor: str) -> None:
    subnet = scene.subnet("members-subnet")
    members = [member(address, subnet, sriov=True) for address in BACKENDS.values()]
    with scene.balancer("h4", members, flavor_id=member_flavor) as balancer:
        scene.await_answer(balancer["vip_address"])
        assert scene.kinds(balancer["vip_address"]) == {"eth1": "port", "eth2": "vf"}
        assert scene.answers(balancer["vip_address"], 9) == dict.fromkeys(BACKENDS, 3)


def test_a_member_in_the_vips_network_is_reached_through_the_vips_vf(scene: Scene) -> None:
    neighbour = scene.neighbour()
    address = neighbour.addresses[0].split("/")[0]
    members = [member(address, scene.subnet("public-subnet"))]
    with scene.balancer("one-armed", members, flavor_id=scene.flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        assert scene.kinds(balancer["vip_address"]) == {"eth1": "vf"}
        assert scene.answers(balancer["vip_address"], 3) == {neighbour.name: 3}


def test_h6_a_vf_is_asked_for_on_a_network_that_has_an_ordinary_port(scene: Scene) -> None:
    ordinary = member("192.0.2.10", scene.subnet("members-subnet"))
    with scene.balancer("h6", [ordinary], flavor_id=scene.flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        with Traffic(scene.client, balancer["vip_address"]) as traffic:
            refused = scene.add_member(balancer, "192.0.2.11", sriov=True)
            traffic.await_more(20)
        assert traffic.failures == []
        assert (refused["provisioning_status"], refused["vnic_type"]) == ("ERROR", "direct")
        assert refused["id"] in " ".join(scene.demo.reasons(balancer["id"]))
        assert scene.members(balancer)["192.0.2.10"]["provisioning_status"] == "ACTIVE"
        assert scene.kinds(balancer["vip_address"])["eth2"] == "port"
        assert scene.answers(balancer["vip_address"], 4) == {"backend-a": 4}


def test_h6_of_mixed_members_in_one_request_the_first_decides(scene: Scene) -> None:
    subnet = scene.subnet("members-subnet")
    mixed = [member("192.0.2.10", subnet), member("192.0.2.11", subnet, sriov=True)]
    with scene.balancer("h6-mixed", mixed, flavor_id=scene.flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        assert scene.kinds(balancer["vip_address"])["eth2"] == "port"
        statuses = {address: one["provisioning_status"] for address, one in scene.members(balancer).items()}
        assert statuses == {"192.0.2.10": "ACTIVE", "192.0.2.11": "ERROR"}
        assert scene.answers(balancer["vip_address"], 6) == {"backend-a": 6}


def test_members_come_and_go_while_the_amphora_serves(scene: Scene) -> None:
    subnet = scene.subnet("members-subnet")
    with scene.balancer("hot-plug", flavor_id=scene.flavor_id) as balancer:
        vip = balancer["vip_address"]
        own = scene.stage.add_host("own", "public")
        own.serve()
        scene.add_member(balancer, own.addresses[0].split("/")[0], subnet="public-subnet")
        scene.await_answer(vip)
        with Traffic(scene.client, vip) as traffic:
            made = scene.add_member(balancer, "192.0.2.10", sriov=True)
            assert scene.kinds(vip) == {"eth1": "vf", "eth2": "vf"}
            traffic.await_more(20)
            scene.demo.delete(f"pools/{scene.pool_of(balancer)}/members", made["id"])
            scene.demo.await_active(balancer["id"])
            traffic.await_more(20)
        assert traffic.failures == []
        assert scene.kinds(vip) == {"eth1": "vf"}
        assert set(traffic.answers) == {"own", "backend-a"}
        assert subnet


def test_a_vf_member_needs_a_flavor_that_allows_it(scene: Scene) -> None:
    with scene.balancer("not-allowed") as balancer:
        body = member("192.0.2.10", scene.subnet("members-subnet"), sriov=True)
        with pytest.raises(CallFailed) as refused:
            scene.demo.create(f"pools/{scene.pool_of(balancer)}/members", **body)
        assert refused.value.status == 400
        assert refused.value.text == "The load balancer flavor does not allow SR-IOV member ports."
        assert scene.members(balancer) == {}


def test_monitors_turn_a_dead_member_out_and_say_so(scene: Scene) -> None:
    subnet = scene.subnet("members-subnet")
    members = [member("192.0.2.10", subnet, sriov=True), member("192.0.2.99", subnet, sriov=True)]
    with scene.balancer("monitored", members, flavor_id=scene.flavor_id) as balancer:
        scene.demo.create(
            "healthmonitors", pool_id=scene.pool_of(balancer), type="HTTP", delay=1, timeout=1, max_retries=1,
            max_retries_down=1,
        )  # fmt: skip
        scene.demo.await_active(balancer["id"])
        scene.await_operating(balancer, {"192.0.2.10": "ONLINE", "192.0.2.99": "ERROR"})
        assert scene.demo.get(f"/pools/{scene.pool_of(balancer)}")["operating_status"] == "DEGRADED"
        assert scene.answers(balancer["vip_address"], 6) == {"backend-a": 6}


def test_statistics_count_what_was_asked(scene: Scene) -> None:
    with scene.balancer("counted", [member("192.0.2.10", scene.subnet("members-subnet"))]) as balancer:
        scene.await_answer(balancer["vip_address"])
        scene.answers(balancer["vip_address"], 10)
        scene.await_statistics(balancer, connections=10)
