"""Flavor keys beyond Octavia's, from the API to the VF that its PF reports."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.scene import Scene, member
from hydria.cli.demo.client import graph
from hydria.fabric import software
from hydria.sriov.inventory import VfSettings
from hydria.sriov.software import SoftwareNics

Json = dict[str, Any]


@pytest.fixture
def flavor_of(scene: Scene) -> Iterator[Callable[..., str]]:
    made: list[tuple[str, str]] = []

    def make(**settings: object) -> str:
        data = {"compute_flavor": "amphora-sriov-flavor", "sriov_vip": True, "allow_member_sriov": True, **settings}
        fields = {"name": "vf-settings", "provider_name": "amphora", "flavor_data": json.dumps(data)}
        profile = scene.admin.create("flavorprofiles", **fields)
        made.append(("flavorprofiles", profile["id"]))
        flavor = scene.admin.create("flavors", name="vf-settings", flavor_profile_id=profile["id"])
        made.append(("flavors", flavor["id"]))
        return str(flavor["id"])

    yield make
    for kind, id_ in reversed(made):
        scene.admin.delete(kind, id_)


def settings_in_use(scene: Scene) -> list[VfSettings]:
    pfs = SoftwareNics(scene.stage.fabric, software.pfs_of(scene.stage.fabric)).scan()
    return [vf.settings for pf in pfs for vf in pf.vfs if not vf.at_home]


def direct_ports(scene: Scene) -> list[Json]:
    return [port for port in scene.octavia_ports() if port["binding:vnic_type"] == "direct"]


def test_trust_and_spoof_check_of_a_flavor(scene: Scene, flavor_of: Callable[..., str]) -> None:
    members = [member("192.0.2.10", scene.subnet("members-subnet"), sriov=True)]
    with scene.balancer("settings", members, flavor_id=flavor_of(vf_trust=True, vf_spoofchk=False)) as balancer:
        scene.await_answer(balancer["vip_address"])
        assert scene.answers(balancer["vip_address"], 3) == {"backend-a": 3}
        ports = direct_ports(scene)
        assert len(ports) == 2
        assert [port["port_security_enabled"] for port in ports] == [False, False]
        assert [port["allowed_address_pairs"] for port in ports] == [[], []]
        assert [port["binding:profile"].get("trusted") for port in ports] == ["true", "true"]
        assert len(settings_in_use(scene)) == 2
    scene.await_nothing_left()


def test_a_rate_that_the_nic_cannot_do_is_the_reason_of_the_error(scene: Scene, flavor_of: Callable[..., str]) -> None:
    """A software PF limits nothing. The QoS policy says what was asked for all the same."""
    flavor_id = flavor_of(vf_min_tx_rate=100, vf_max_tx_rate=1000)
    made = scene.demo.create("loadbalancers", **graph("rates", scene.subnet("public-subnet"), [], flavor_id=flavor_id))
    try:
        assert scene.demo.await_settled(made["id"])["provisioning_status"] == "ERROR"
        assert any("cannot have a tx rate" in reason for reason in scene.demo.reasons(made["id"]))
        path = "/v2.0/qos/policies?name=hydria-vf-100-1000"
        (policy,) = scene.admin.call("GET", path, service="network")["policies"]
        rates = {rule["type"]: rule.get("max_kbps") or rule.get("min_kbps") for rule in policy["rules"]}
        assert rates == {"bandwidth_limit": 1_000_000, "minimum_bandwidth": 100_000}
    finally:
        scene.remove(made["id"])
    scene.await_nothing_left()
