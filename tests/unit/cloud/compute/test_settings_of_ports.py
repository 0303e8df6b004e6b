"""What a VF is set to, of its port, its network and their QoS policies; and again when these change."""

from typing import Any

import pytest
from compute_world import ADMIN, KINDS, PROJECT, Kind, World, until

from hydria.cloud.context import CLOUD
from hydria.cloud.network.qos import BANDWIDTH_LIMIT, MINIMUM_BANDWIDTH, RULE_KINDS, Rates, rates
from hydria.cloud.network.resources import BandwidthLimitRule, MinimumBandwidthRule, QosPolicy
from hydria.sriov.inventory import VfSettings


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    found: Kind = request.param
    return found


def limit(max_kbps: int, direction: Any = "egress") -> BandwidthLimitRule:
    return BandwidthLimitRule(id="r", qos_policy_id="p", max_kbps=max_kbps, direction=direction)


def guarantee(min_kbps: int, direction: Any = "egress") -> MinimumBandwidthRule:
    return MinimumBandwidthRule(id="r", qos_policy_id="p", min_kbps=min_kbps, direction=direction)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        pytest.param([], Rates(), id="none"),
        pytest.param([limit(100_000)], Rates(max_tx=100), id="limit"),
        pytest.param([limit(100_001)], Rates(max_tx=101), id="rounded up"),
        pytest.param([limit(1)], Rates(max_tx=1), id="at least 1"),
        pytest.param([limit(0)], Rates(), id="0 is no limit"),
        pytest.param([limit(5000, "ingress")], Rates(), id="to the guest"),
        pytest.param([guarantee(1500)], Rates(min_tx=2), id="guarantee"),
        pytest.param([guarantee(500), limit(9000), limit(1000, "ingress")], Rates(1, 9), id="both"),
    ],
)
def test_rates(rules: list, expected: Rates):
    policy = QosPolicy(id="p", project_id="x", created_at="", updated_at="", name="p", rules=rules)
    assert rates(policy) == expected


def test_rates_without_a_policy():
    assert rates(None) == Rates()


def policy_of(world: World, **kbps: int) -> str:
    policy = world.network.qos_policies.create(CLOUD, {"name": "p", "project_id": PROJECT})
    for kind in RULE_KINDS:
        if kind.value in kbps:
            world.network.qos_policies.create_rule(CLOUD, kind, policy.id, {kind.value: kbps[kind.value]})
    return policy.id


def running(world: World, port_id: str) -> VfSettings:
    """The settings of the only VF, of a server that has just got it."""
    server_id = world.create(world.flavor(), port_id)
    until(lambda: world.status(server_id) == "ACTIVE")
    return now(world)


def now(world: World) -> VfSettings:
    (vf,) = world.claims()
    return world.nics.settings[vf]


def update(world: World, port_id: str, **values: Any) -> None:
    world.network.update(CLOUD, world.network.ports, port_id, values)


def test_a_vf_is_set_up_as_its_port_says(world: World):
    port = world.port("public")
    profile = {"trusted": "true"}
    policy = policy_of(world, max_kbps=1500, min_kbps=1000)
    update(world, port.id, **{"binding:profile": profile, "qos_policy_id": policy, "security_groups": []})
    update(world, port.id, port_security_enabled=False)
    settings = running(world, port.id)
    assert settings.mac == port.mac_address
    assert (settings.trust, settings.spoofchk, settings.vlan, settings.mtu) == (True, False, 0, 1500)
    assert (settings.min_tx_rate, settings.max_tx_rate) == (1, 2)
    (vf,) = world.claims()
    assert world.nics.holders[vf] == f"port {port.id}"
    assert world.network.port(port.id).binding_profile == {
        **profile,
        "physical_network": "public",
        "pci_slot": str(vf),
    }


def test_a_vf_of_a_port_that_says_nothing(world: World):
    settings = running(world, world.port("public").id)
    assert (settings.trust, settings.spoofchk, settings.min_tx_rate, settings.max_tx_rate) == (False, True, 0, 0)


def test_vlan_of_the_network(world: World):
    values = {"provider:physical_network": "public", "provider:network_type": "vlan", "provider:segmentation_id": 42}
    network = world.network.networks.create(CLOUD, {"name": "tagged", "project_id": PROJECT, **values})
    port = world.network.create_port(network_id=network.id, project_id=PROJECT, vnic_type="direct")
    assert running(world, port.id).vlan == 42


def test_a_policy_of_the_network_is_for_ports_that_have_none(world: World):
    network = world.networks["public"]
    world.network.update(CLOUD, world.network.networks, network, {"qos_policy_id": policy_of(world, max_kbps=7000)})
    port = world.port("public")
    assert running(world, port.id).max_tx_rate == 7
    update(world, port.id, qos_policy_id=policy_of(world, max_kbps=3000))
    assert now(world).max_tx_rate == 3
    world.network.update(CLOUD, world.network.networks, network, {"qos_policy_id": None})
    assert now(world).max_tx_rate == 3


def test_changes_reach_a_vf_that_is_handed_over(world: World):
    port = world.port("public")
    policies, policy = world.network.qos_policies, policy_of(world)
    update(world, port.id, qos_policy_id=policy)
    assert running(world, port.id).max_tx_rate == 0
    rule = policies.create_rule(CLOUD, BANDWIDTH_LIMIT, policy, {"max_kbps": 5000})
    world.network.policy_changed(policy)
    assert now(world).max_tx_rate == 5
    policies.update_rule(CLOUD, BANDWIDTH_LIMIT, policy, rule.id, {"max_kbps": 6000})
    policies.create_rule(CLOUD, MINIMUM_BANDWIDTH, policy, {"min_kbps": 2000})
    world.network.policy_changed(policy)
    assert (now(world).min_tx_rate, now(world).max_tx_rate) == (2, 6)
    update(world, port.id, **{"binding:profile": {"trusted": "true"}})
    assert now(world).trust
    update(world, port.id, **{"qos_policy_id": None, "binding:profile": {}})
    assert (now(world).min_tx_rate, now(world).max_tx_rate, now(world).trust) == (0, 0, False)
    world.balanced()


def test_changes_of_a_policy_of_the_network_reach_its_vfs(world: World):
    network, policy = world.networks["public"], policy_of(world, max_kbps=7000)
    assert running(world, world.port("public").id).max_tx_rate == 0
    world.network.update(CLOUD, world.network.networks, network, {"qos_policy_id": policy})
    assert now(world).max_tx_rate == 7
    rule = world.network.qos_policies.get(CLOUD, policy).rules[0]
    world.network.qos_policies.delete_rule(CLOUD, BANDWIDTH_LIMIT, policy, rule.id)
    world.network.policy_changed(policy)
    assert now(world).max_tx_rate == 0


def test_a_vf_that_cannot_have_a_rate_stays_with_its_guest(world: World):
    world.nics.unlimited = True
    port = world.port("public")
    assert running(world, port.id).max_tx_rate == 0
    update(world, port.id, qos_policy_id=policy_of(world, max_kbps=7000))
    assert now(world).max_tx_rate == 0
    world.balanced()
    (server,) = world.compute.servers.all(ADMIN, {})
    assert world.status(server.id) == "ACTIVE"


def test_a_server_whose_vf_cannot_have_a_rate_says_so(world: World):
    world.nics.unlimited = True
    port = world.port("public")
    update(world, port.id, qos_policy_id=policy_of(world, max_kbps=7000))
    server_id = world.create(world.flavor(), port.id)
    until(lambda: world.status(server_id) == "ERROR")
    fault = world.compute.servers.get(ADMIN, server_id).fault
    assert fault is not None
    assert "cannot have a tx rate" in fault.message
    world.balanced()


def test_what_was_given_of_the_profile_outlives_the_server(world: World):
    port = world.port("public")
    update(world, port.id, **{"binding:profile": {"trusted": "true"}})
    running(world, port.id)
    update(world, port.id, **{"binding:profile": {"trusted": "true", "pci_slot": "somewhere else"}})
    (vf,) = world.claims()
    assert world.network.port(port.id).binding_profile["pci_slot"] == str(vf)
    (server,) = world.compute.servers.all(ADMIN, {})
    world.compute.servers.delete(ADMIN, server.id)
    until(lambda: not world.claims())
    assert world.network.port(port.id).binding_profile == {"trusted": "true"}
