"""Flavor keys and QoS policies of load balancers, as the PFs of real VFs report them."""

from collections.abc import Callable, Sequence

from hardware import OURS, Card
from lab_scene import Json, LabScene

from e2e.scene import BACKENDS, member
from e2e.test_vf_settings import flavor_of
from hydria.cli.demo.client import graph

__all__ = ["flavor_of"]


def in_use(*cards: Card) -> list[Json]:
    """VFs with a port's MAC."""
    return [vf for card in cards for vf in card.settings() if vf["address"].startswith(OURS)]


def values(vfs: Sequence[Json], name: str) -> list[object]:
    return [vf[name] for vf in vfs]


def test_trust_spoof_check_and_rate_of_a_flavor(
    scene: LabScene, flavor_of: Callable[..., str], public: Card, members: Card
) -> None:
    flavor_id = flavor_of(vf_trust=True, vf_spoofchk=False, vf_max_tx_rate=200)
    behind = [member(BACKENDS["backend-a"], scene.subnet("members-subnet"), sriov=True)]
    with scene.balancer("settings", behind, flavor_id=flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        vfs = in_use(public, members)
        assert len(vfs) == 2
        assert values(vfs, "trust") == [True, True]
        assert values(vfs, "spoofchk") == [False, False]
        assert [vf["rate"]["max_tx"] for vf in vfs] == [200, 200]
    assert in_use(public, members) == []


def test_a_rate_that_the_nic_refuses_is_the_reason_of_the_error(
    scene: LabScene, flavor_of: Callable[..., str], public: Card
) -> None:
    """The driver igb has no min_tx_rate."""
    before = public.settings()
    flavor_id = flavor_of(vf_min_tx_rate=10, vf_max_tx_rate=200)
    made = scene.demo.create("loadbalancers", **graph("rates", scene.subnet("public-subnet"), [], flavor_id=flavor_id))
    try:
        assert scene.demo.await_settled(made["id"])["provisioning_status"] == "ERROR"
        reasons = scene.demo.reasons(made["id"])
        assert any("min_tx_rate" in reason and "igb" in reason and public.pf in reason for reason in reasons), reasons
    finally:
        scene.remove(made["id"])
    assert public.settings() == before


def test_the_rate_of_a_qos_policy_is_that_of_the_vip(scene: LabScene, public: Card) -> None:
    """It follows a change of the rule while the VF is in use."""
    policy = scene.admin.call(
        "POST", "/v2.0/qos/policies", {"policy": {"name": "gold", "shared": True}}, service="network"
    )
    rules = f"/v2.0/qos/policies/{policy['policy']['id']}/bandwidth_limit_rules"
    rule = {"bandwidth_limit_rule": {"max_kbps": 300_000, "direction": "egress"}}
    made = scene.admin.call("POST", rules, rule, service="network")["bandwidth_limit_rule"]
    sent = {"flavor_id": scene.flavor_id, "vip_qos_policy_id": policy["policy"]["id"]}
    with scene.balancer("gold", **sent):
        assert [vf["rate"]["max_tx"] for vf in in_use(public)] == [300]
        rule["bandwidth_limit_rule"]["max_kbps"] = 400_000
        scene.admin.call("PUT", f"{rules}/{made['id']}", rule, service="network")
        assert [vf["rate"]["max_tx"] for vf in in_use(public)] == [400]
    scene.admin.call("DELETE", f"/v2.0/qos/policies/{policy['policy']['id']}", service="network")
