"""It must show 4: on an image without nftables an SR-IOV port is refused with the reason, a normal one is served."""

import msgspec
import pytest

from e2e.scene import member
from hydria.cli.demo.client import graph
from image.vm_scene import VmScene
from lab.amphora_image import Built

TAG = "without-nftables"


@pytest.fixture(scope="module")
def flavors(scene: VmScene, built_without_nftables: Built) -> dict[bool, str]:
    """With VFs or without → a flavor whose amphorae boot from that image."""
    scene.upload(built_without_nftables, "--tag", TAG)
    made = {}
    for sriov in (True, False):
        data = {"compute_flavor": "amphora-sriov-flavor", "sriov_vip": sriov, "allow_member_sriov": sriov}
        data["amp_image_tag"] = TAG
        name = f"{TAG}-{'vf' if sriov else 'normal'}"
        encoded = msgspec.json.encode(data).decode()
        profile = scene.admin.create("flavorprofiles", name=name, provider_name="amphora", flavor_data=encoded)
        made[sriov] = scene.admin.create("flavors", name=name, flavor_profile_id=profile["id"])["id"]
    return made


def test_a_vf_is_refused_with_the_reason(scene: VmScene, flavors: dict[bool, str]) -> None:
    body = graph("refused", scene.subnet("public-subnet"), [], flavor_id=flavors[True])
    made = scene.demo.create("loadbalancers", **body)
    try:
        settled = scene.demo.await_settled(made["id"], seconds=60)
        assert settled["provisioning_status"] == "ERROR"
        reasons = scene.demo.reasons(made["id"])
        assert any("nftables" in reason for reason in reasons), reasons
    finally:
        scene.remove(made["id"])
    scene.await_nothing_left()


def test_an_ordinary_load_balancer_is_served(scene: VmScene, flavors: dict[bool, str]) -> None:
    members = [member("192.0.2.10", scene.subnet("members-subnet"))]
    with scene.balancer("served", members, flavor_id=flavors[False]) as balancer:
        assert scene.nics(balancer) == {"eth1": "normal", "eth2": "normal"}
        scene.await_answer(balancer["vip_address"], seconds=30)
        assert scene.answers(balancer["vip_address"], 3) == {"backend-a": 3}
    scene.await_nothing_left()
