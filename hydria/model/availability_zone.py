"""Availability zones, their profiles, and what a profile's availability_zone_data may say."""

from typing import Annotated, ClassVar

from msgspec import Meta, Struct

from hydria.model.field import CREATE, Text, Uuid
from hydria.model.offer import Data, Name, Profile, parse_data


class AvailabilityZoneProfile(Profile, kw_only=True, frozen=True):
    availability_zone_data: Data


class AvailabilityZone(Struct, kw_only=True, frozen=True):
    """Users know it by its name alone."""

    KEY: ClassVar[str] = "name"

    name: Annotated[Name, CREATE]
    description: Text = ""
    enabled: bool = True
    availability_zone_profile_id: Annotated[Uuid, CREATE]


class AvailabilityZoneData(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys of availability_zone_data: name, type and meaning, once. The capabilities listing shows these lines."""

    compute_zone: Annotated[str | None, Meta(description="The compute availability zone.")] = None
    volume_zone: Annotated[
        str | None, Meta(description="The volume availability zone. Of no effect: amphorae have no volumes.")
    ] = None
    management_network: Annotated[
        str | None, Meta(description="The ID of the network between the amphorae and their controllers.")
    ] = None
    valid_vip_networks: Annotated[
        tuple[str, ...] | None, Meta(description="The IDs of the networks that VIPs may be in; none: all.")
    ] = None


def parse_availability_zone_data(text: str) -> AvailabilityZoneData:
    """availability_zone_data as the API takes it. Raises Invalid, Unsupported."""
    return parse_data("availability_zone_data", text, AvailabilityZoneData)
