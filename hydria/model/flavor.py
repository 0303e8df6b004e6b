"""Load balancer flavors, their profiles, and what a profile's flavor_data may say."""

from typing import Annotated

from msgspec import Meta, Struct

from hydria.model.field import CREATE, Text, Uuid
from hydria.model.load_balancer import Topology
from hydria.model.offer import Data, Name, Offer, Profile, parse_data


class FlavorProfile(Profile, kw_only=True, frozen=True):
    flavor_data: Data


class Flavor(Offer, kw_only=True, frozen=True):
    name: Name
    description: Text = ""
    enabled: bool = True
    flavor_profile_id: Annotated[Uuid, CREATE]


_Rate = Annotated[int, Meta(ge=0, le=1_000_000)]
"""Mbit/s."""


class FlavorData(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys of flavor_data: name, type, default and meaning, once. The capabilities listing shows these lines."""

    loadbalancer_topology: Annotated[
        Topology | None,
        # Octavia's own words: clients compare them.
        Meta(
            description="The load balancer topology. One of: SINGLE - One amphora per load balancer. "
            "ACTIVE_STANDBY - Two amphora per load balancer."
        ),
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
    """flavor_data as the API takes it. Raises Invalid, Unsupported."""
    return parse_data("flavor_data", text, FlavorData)
