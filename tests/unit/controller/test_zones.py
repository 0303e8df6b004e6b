"""Where the amphorae of a load balancer in an availability zone are."""

from typing import Any

import msgspec
import pytest
from controller_world import World

from hydria.drivers.fakes import id_of
from hydria.model.availability_zone import AvailabilityZone, AvailabilityZoneData, AvailabilityZoneProfile
from hydria.model.load_balancer import LoadBalancer
from hydria.store import resources

OTHER = id_of("network", "other")


def in_zone(world: World, **data: Any) -> LoadBalancer:
    text = msgspec.json.encode(AvailabilityZoneData(**data)).decode()
    profile = AvailabilityZoneProfile(id=world.new_id(), name="p", provider_name="amphora", availability_zone_data=text)
    with world.database.write() as tx:
        resources.insert(tx, profile)
        resources.insert(tx, AvailabilityZone(name="zone", availability_zone_profile_id=profile.id))
    return world.load_balancer(availability_zone="zone")


@pytest.mark.parametrize("zone", ["az1", "az2"])
def test_the_server_is_in_the_compute_zone(world: World, zone: str) -> None:
    world.cloud.add_host("host2", zone="az1")
    world.cloud.add_host("host3", zone="az2")
    lb = in_zone(world, compute_zone=zone)
    world.run()
    assert world.status(lb.id) == "ACTIVE"
    (row,) = world.graph(lb.id).amphorae
    assert row.cached_zone == zone


def test_so_is_the_one_that_replaces_it(world: World) -> None:
    world.cloud.add_host("host2", zone="az1")
    lb = in_zone(world, compute_zone="az1")
    world.run()
    (before,) = world.graph(lb.id).amphorae
    world.fail_over(lb.id)
    world.run()
    (after,) = world.graph(lb.id).amphorae
    assert after.id != before.id
    assert after.cached_zone == "az1"


def test_a_compute_zone_that_is_gone_is_an_error_with_the_reason(world: World) -> None:
    lb = in_zone(world, compute_zone="az1")
    world.run()
    assert world.status(lb.id) == "ERROR"
    assert any("is in availability zone host1, not az1" in reason for reason in world.reasons(lb.id))


@pytest.mark.parametrize(
    ("data", "network", "prefix"),
    [
        pytest.param({}, "lb-mgmt-net", "198.18.", id="the configuration's"),
        pytest.param({"management_network": OTHER}, "other", "198.51.100.", id="the zone's"),
    ],
)
def test_the_management_network(world: World, data: dict[str, Any], network: str, prefix: str) -> None:
    lb = in_zone(world, **data)
    world.run()
    assert world.status(lb.id) == "ACTIVE"
    (row,) = world.graph(lb.id).amphorae
    assert str(row.lb_network_ip).startswith(prefix)
    (server,) = world.cloud.servers
    assert set(server.addresses) == {network, "public"}


def test_without_a_zone_of_its_own_all_is_as_the_configuration_says(world: World) -> None:
    in_zone(world, compute_zone="az1", management_network=OTHER)
    lb = world.load_balancer()
    world.run()
    (row,) = world.graph(lb.id).amphorae
    assert row.cached_zone == "host1"
    assert str(row.lb_network_ip).startswith("198.18.")
