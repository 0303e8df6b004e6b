"""The load balancer and its VIPs."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from hydria.model.field import CREATE, INTERNAL, READ, Ip, Text, Uuid
from hydria.model.resource import Provisioned

VnicType = Literal["normal", "direct"]
Topology = Literal["SINGLE", "ACTIVE_STANDBY"]


class AdditionalVip(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    subnet_id: Uuid
    ip_address: Ip | None = None
    port_id: Uuid | None = None


class LoadBalancer(Provisioned, kw_only=True, frozen=True):
    description: Text = ""
    vip_address: Annotated[Ip | None, CREATE] = None
    vip_subnet_id: Annotated[Uuid | None, CREATE] = None
    vip_network_id: Annotated[Uuid | None, CREATE] = None
    vip_port_id: Annotated[Uuid | None, CREATE] = None
    additional_vips: Annotated[list[AdditionalVip], CREATE] = []  # noqa: RUF012 - msgspec copies it
    vip_qos_policy_id: Uuid | None = None
    vip_sg_ids: list[Uuid] = []  # noqa: RUF012 - msgspec copies it
    vip_vnic_type: Annotated[VnicType, READ] = "normal"
    provider: Annotated[Annotated[str, Meta(max_length=64)] | None, CREATE] = None
    flavor_id: Annotated[Uuid | None, CREATE] = None
    availability_zone: Annotated[Text | None, CREATE] = None
    topology: Annotated[Topology, INTERNAL] = "SINGLE"
    vip_port_owned: Annotated[bool, INTERNAL] = True
    """False: the user brought the VIP port, so it is not deleted with the load balancer."""
