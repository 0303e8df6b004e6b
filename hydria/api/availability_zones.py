"""Availability zones and their profiles: where load balancers can be."""

from collections.abc import Mapping
from typing import Any

from hydria.api.call import Call
from hydria.api.offers import Offers, Profiles, check_profile
from hydria.base.errors import Conflict, Invalid
from hydria.drivers.cloud import Cloud
from hydria.model.availability_zone import (
    AvailabilityZone,
    AvailabilityZoneData,
    AvailabilityZoneProfile,
    parse_availability_zone_data,
)
from hydria.store import resources
from hydria.store.database import Transaction

NOBODYS = "00000000-0000-0000-0000-000000000000"
"""What Octavia's database says instead of a zone that was deleted: to clients there is none of that name."""


class AvailabilityZones(Offers[AvailabilityZone]):
    resource = AvailabilityZone
    singular, plural, links = "availability_zone", "availability_zones", "availability_zones_links"
    title, rule, since = "Availability Zone", "availability-zone", "v2.14"

    def check(self, call: Call, values: Mapping[str, Any]) -> None:
        if values.get("name") == NOBODYS:
            raise Conflict(f"An availability zone of {NOBODYS} already exists.")
        check_profile(call, AvailabilityZoneProfile, values.get("availability_zone_profile_id"))


class AvailabilityZoneProfiles(Profiles[AvailabilityZoneProfile]):
    resource = AvailabilityZoneProfile
    singular, plural = "availability_zone_profile", "availability_zone_profiles"
    links = "availability_zone_profile_links"
    title, rule, since = "Availability Zone Profile", "availability-zone-profile", "v2.14"
    data, user = "availability_zone_data", (AvailabilityZone, "availability_zone_profile_id")

    def check_data(self, call: Call, text: str) -> None:
        data = parse_availability_zone_data(text)
        cloud = call.services.cloud
        if data.compute_zone is not None and not cloud.zone_exists(data.compute_zone):
            raise Invalid(f"Compute availability zone {data.compute_zone} not found.", field="compute_zone")
        if data.management_network is not None:
            _check_network(cloud, "management_network", data.management_network)
        for network_id in data.valid_vip_networks or ():
            _check_network(cloud, "valid_vip_networks", network_id)


def zone_data(tx: Transaction, name: str | None) -> AvailabilityZoneData:
    """What the zone that a new load balancer asks for says. Raises Invalid."""
    if name is None:
        return AvailabilityZoneData()
    zone = resources.get(tx, AvailabilityZone, name)
    profile = resources.get(tx, AvailabilityZoneProfile, zone.availability_zone_profile_id) if zone else None
    if zone is None or profile is None:
        raise Invalid(f"Availability zone {name} not found.", field="availability_zone")
    if not zone.enabled:
        raise Invalid(
            f"The selected availability zone is not allowed in this deployment: {name}", field="availability_zone"
        )
    return parse_availability_zone_data(profile.availability_zone_data)


def check_vip_network(data: AvailabilityZoneData, network_id: str) -> None:
    """Raises Invalid."""
    if data.valid_vip_networks and network_id not in data.valid_vip_networks:
        raise Invalid(
            f"VIPs of this availability zone cannot be in network {network_id}, but in: "
            f"{', '.join(data.valid_vip_networks)}.",
            field="vip_network_id",
        )


def _check_network(cloud: Cloud, field: str, id_: str) -> None:
    network = cloud.network(id_)
    if network is None or network.id != id_:  # the driver finds networks by name as well
        raise Invalid(f"Network {id_} not found.", field=field)
