"""Load balancer flavors, their profiles, and what a profile's flavor_data may say."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from hydria.base.errors import Invalid, Unsupported, invalid_field
from hydria.model.field import CREATE, Text, Uuid
from hydria.model.load_balancer import Topology
from hydria.model.resource import Resource

PROVIDERS = {"amphora": "The Hydria amphora driver.", "octavia": "Alias of the amphora driver."}
"""Names under which clients of Octavia ask for load balancers; both mean ours."""


class FlavorProfile(Resource, kw_only=True, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=255)]
    provider_name: Text
    flavor_data: Annotated[str, Meta(max_length=4096)]


class Flavor(Resource, kw_only=True, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=255)]
    description: Text = ""
    enabled: bool = True
    flavor_profile_id: Annotated[Uuid, CREATE]


_Rate = Annotated[int, Meta(ge=0, le=1_000_000)]
"""Mbit/s."""


class FlavorData(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys of flavor_data: name, type, default and meaning, once. The capabilities listing shows these lines."""

    loadbalancer_topology: Annotated[
        Topology | None, Meta(description="SINGLE: one amphora. ACTIVE_STANDBY: two, sharing the VIP by VRRP.")
    ] = None
    compute_flavor: Annotated[str | None, Meta(description="The compute flavor ID of the amphorae.")] = None
    amp_image_tag: Annotated[str | None, Meta(description="The tag of the amphora image.")] = None
    sriov_vip: Annotated[bool, Meta(description="The VIP port is an SR-IOV virtual function.")] = False
    allow_member_sriov: Annotated[bool, Meta(description="Members may ask for SR-IOV virtual functions.")] = False
    # Beyond Octavia: how every virtual function of the amphora is set, VIP's and members' alike.
    vf_trust: Annotated[
        bool | None, Meta(description="The amphora's virtual functions may change their MAC addresses and filters.")
    ] = None
    vf_spoofchk: Annotated[
        bool | None,
        Meta(description="False: frames may leave the virtual functions from any address. Ports lose port security."),
    ] = None
    vf_min_tx_rate: Annotated[
        _Rate | None, Meta(description="Mbit/s that each virtual function may send whatever others send. 0: none.")
    ] = None
    vf_max_tx_rate: Annotated[
        _Rate | None, Meta(description="Mbit/s that each virtual function may send at most. 0: no limit.")
    ] = None


def parse_flavor_data(text: str) -> FlavorData:
    """flavor_data as the API takes it. Raises Invalid (no JSON object), Unsupported (an unknown key or type)."""
    try:
        value = msgspec.json.decode(text.encode())
    except msgspec.DecodeError as error:
        raise invalid_field("flavor_data", text, f"It must be a JSON object: {error}.") from error
    if not isinstance(value, dict):
        raise invalid_field("flavor_data", text, "It must be a JSON object.")
    try:
        return msgspec.convert(value, FlavorData)
    except msgspec.ValidationError as error:
        raise Unsupported(f"Provider 'amphora' does not support a requested option: flavor_data: {error}") from error


def check_provider(name: str) -> str:
    if name not in PROVIDERS:
        raise Invalid(f"Provider '{name}' is not enabled.", field="provider")
    return name


def capabilities() -> list[dict[Literal["name", "description"], str]]:
    """What `GET /providers/amphora/flavor_capabilities` lists."""
    schema = msgspec.json.schema(FlavorData)["$defs"]["FlavorData"]["properties"]
    return [{"name": name, "description": entry.get("description", "")} for name, entry in schema.items()]
