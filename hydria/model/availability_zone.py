"""Availability zones of load balancers, their profiles, and what a profile's availability_zone_data may say."""

from typing import Annotated

from msgspec import Meta, Struct

from hydria.model.field import CREATE, Text, Uuid
from hydria.model.resource import Resource


class AvailabilityZoneProfile(Resource, kw_only=True, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=255)]
    provider_name: Text
    availability_zone_data: Annotated[str, Meta(max_length=4096)]


class AvailabilityZone(Resource, kw_only=True, frozen=True):
    """Clients know it by its name; the id is ours and not shown."""

    name: Annotated[str, Meta(min_length=1, max_length=255)]
    description: Text = ""
    enabled: bool = True
    availability_zone_profile_id: Annotated[Uuid, CREATE]


class AvailabilityZoneData(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys of availability_zone_data: name, type, default and meaning, once."""

    compute_zone: Annotated[str | None, Meta(description="The compute availability zone.")] = None
    volume_zone: Annotated[str | None, Meta(description="The volume availability zone.")] = None
    management_network: Annotated[str | None, Meta(description="The management network ID for the amphora.")] = None
    valid_vip_networks: Annotated[
        list[str] | None, Meta(description="List of network IDs that are allowed for VIP use.")
    ] = None
