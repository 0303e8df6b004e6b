"""What a flavor says of virtual functions reaches every VF port of the amphora, and no other."""

import pytest
from controller_world import World

from hydria.drivers.cloud import Port
from hydria.model.flavor import FlavorData


def served(world: World, data: FlavorData, **values: object) -> dict[str, Port]:
    """The amphora's ports by network, of a load balancer with a VF for the VIP, one member VF and one normal port."""
    lb = world.load_balancer(flavor_id=world.flavor(data), vip_vnic_type="direct", **values)
    pool = world.pool(lb)
    world.member(pool, "192.0.2.10", vnic_type="direct")
    world.member(pool, "198.51.100.10", "other")
    world.run()
    assert set(world.statuses(lb.id).values()) == {"ACTIVE"}
    names = {network.id: network.name for network in world.cloud.networks.values()}
    ours = [port for port in world.cloud.ports.values() if "vrrp" in port.name or "member" in port.name]
    return {names[port.network_id]: port for port in ours}


@pytest.mark.parametrize(
    ("data", "trusted", "secured", "rates"),
    [
        (FlavorData(), False, True, None),
        (FlavorData(vf_trust=False, vf_spoofchk=True, vf_max_tx_rate=0), False, True, None),
        (FlavorData(vf_trust=True), True, True, None),
        (FlavorData(vf_spoofchk=False), False, False, None),
        (FlavorData(vf_max_tx_rate=1000), False, True, (0, 1000)),
        (FlavorData(vf_trust=True, vf_spoofchk=False, vf_min_tx_rate=50, vf_max_tx_rate=100), True, False, (50, 100)),
    ],
    ids=["nothing", "as without", "trust", "no spoof check", "limit", "all"],
)
def test_every_vf_and_nothing_else(
    world: World, data: FlavorData, trusted: bool, secured: bool, rates: tuple[int, int] | None
) -> None:
    ports = served(world, data)
    assert set(ports) == {"public", "members", "other"}
    for network in ("public", "members"):
        port = ports[network]
        assert (port.trusted, port.port_security) == (trusted, secured)
        assert (world.cloud.rates[port.qos_policy_id] if port.qos_policy_id else None) == rates
    other = ports["other"]
    assert (other.vnic_type, other.trusted, other.port_security, other.qos_policy_id) == ("normal", False, True, None)
    assert bool(ports["public"].allowed_addresses) is secured
    assert len(world.cloud.rates) == (rates is not None)


def test_the_users_own_policy_wins_on_the_vip(world: World) -> None:
    ports = served(world, FlavorData(vf_max_tx_rate=1000), vip_qos_policy_id="policy-of-the-user")
    assert ports["public"].qos_policy_id == "policy-of-the-user"
    assert world.cloud.rates[ports["members"].qos_policy_id or ""] == (0, 1000)


def test_without_a_spoof_check_nothing_is_allowed_later_either(world: World) -> None:
    served(world, FlavorData(vf_spoofchk=False))
    world.loop.resync(0)
    world.run()
    (port,) = (port for port in world.cloud.ports.values() if "vrrp" in port.name)
    assert port.allowed_addresses == ()
