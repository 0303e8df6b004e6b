"""Networks, subnets, ports, security groups and QoS policies as the Networking API v2.0 shows them."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from hydria.cloud.resource import Derived, Given, GivenOnce

Name = Annotated[str, Meta(max_length=255)]
DEFAULT_MTU = 1500

ADMIN_ATTRIBUTES = frozenset(
    {
        "provider:network_type",
        "provider:physical_network",
        "provider:segmentation_id",
        "binding:host_id",
        "binding:profile",
        "binding:vif_type",
        "binding:vif_details",
    }
)
"""Only administrators see or set them."""


class Standard(Struct, kw_only=True):
    """What every resource of the network service has. `tenant_id`, the old name of project_id, is added to answers."""

    id: str
    project_id: GivenOnce[str]
    description: Given[Name] = ""
    created_at: str
    updated_at: str
    revision_number: int = 0
    tags: GivenOnce[list[Annotated[str, Meta(min_length=1, max_length=255)]]] = []


class NetworkRow(
    Standard,
    kw_only=True,
    rename={
        "router_external": "router:external",
        "network_type": "provider:network_type",
        "physical_network": "provider:physical_network",
        "segmentation_id": "provider:segmentation_id",
    },
):
    name: Given[Name] = ""
    admin_state_up: Given[bool] = True
    status: str = "ACTIVE"
    subnets: Derived[list[str]] = []
    shared: Given[bool] = False
    router_external: Given[bool] = False
    is_default: Given[bool] = False
    mtu: Given[Annotated[int, Meta(ge=68, le=65535)]] = DEFAULT_MTU
    port_security_enabled: Given[bool] = True
    network_type: GivenOnce[Literal["flat", "vlan"]] = "flat"
    physical_network: GivenOnce[str | None] = None
    segmentation_id: GivenOnce[Annotated[int, Meta(ge=1, le=4094)] | None] = None
    availability_zone_hints: GivenOnce[list[str]] = []
    availability_zones: list[str] = field(default_factory=lambda: ["nova"])
    qos_policy_id: Given[str | None] = None
    dns_domain: Given[str] = ""
    ipv4_address_scope: str | None = None
    ipv6_address_scope: str | None = None
    l2_adjacency: bool = True


class AllocationPool(Struct, frozen=True):
    start: str
    end: str


class HostRoute(Struct, frozen=True):
    destination: str
    nexthop: str


Ipv6Mode = Literal["slaac", "dhcpv6-stateful", "dhcpv6-stateless"] | None


class Subnet(Standard, kw_only=True):
    name: Given[Name] = ""
    network_id: GivenOnce[str]
    ip_version: GivenOnce[Literal[4, 6]] = 4
    cidr: GivenOnce[str]
    gateway_ip: Given[str | None] = None
    enable_dhcp: Given[bool] = True
    allocation_pools: Given[list[AllocationPool]] = []
    host_routes: Given[list[HostRoute]] = []
    dns_nameservers: Given[list[str]] = []
    ipv6_ra_mode: GivenOnce[Ipv6Mode] = None
    ipv6_address_mode: GivenOnce[Ipv6Mode] = None
    service_types: Given[list[str]] = []
    dns_publish_fixed_ip: Given[bool] = False
    subnetpool_id: str | None = None
    segment_id: str | None = None


class FixedIp(Struct, frozen=True):
    subnet_id: str
    ip_address: str


class FixedIpRequest(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A subnet (any address of it), an address (of whichever subnet has it), or both."""

    subnet_id: str | None = None
    ip_address: str | None = None


class AddressPair(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    ip_address: str
    mac_address: str | None = None


class Port(
    Standard,
    kw_only=True,
    rename={
        "binding_vnic_type": "binding:vnic_type",
        "binding_host_id": "binding:host_id",
        "binding_profile": "binding:profile",
        "binding_vif_type": "binding:vif_type",
        "binding_vif_details": "binding:vif_details",
    },
):
    name: Given[Name] = ""
    network_id: GivenOnce[str]
    mac_address: Given[str]
    admin_state_up: Given[bool] = True
    status: Literal["ACTIVE", "DOWN"] = "DOWN"
    device_id: Given[Name] = ""
    device_owner: Given[Name] = ""
    fixed_ips: Derived[list[FixedIp]] = []
    allowed_address_pairs: Given[list[AddressPair]] = []
    extra_dhcp_opts: Given[list[dict[str, Any]]] = []
    security_groups: Given[list[str]] = []
    port_security_enabled: Given[bool] = True
    qos_policy_id: Given[str | None] = None
    qos_network_policy_id: str | None = None
    dns_name: Given[str] = ""
    ip_allocation: str = "immediate"
    propagate_uplink_status: GivenOnce[bool] = True
    binding_vnic_type: Given[Literal["normal", "direct"]] = "normal"
    binding_host_id: Given[str] = ""
    binding_profile: Given[dict[str, Any]] = {}
    binding_vif_type: str = "unbound"
    binding_vif_details: dict[str, Any] = {}


class SecurityGroupRule(Standard, kw_only=True):
    security_group_id: GivenOnce[str]
    direction: GivenOnce[Literal["ingress", "egress"]]
    ethertype: GivenOnce[Literal["IPv4", "IPv6"]] = "IPv4"
    protocol: GivenOnce[str | None] = None
    port_range_min: GivenOnce[Annotated[int, Meta(ge=0, le=65535)] | None] = None
    port_range_max: GivenOnce[Annotated[int, Meta(ge=0, le=65535)] | None] = None
    remote_ip_prefix: GivenOnce[str | None] = None
    remote_group_id: GivenOnce[str | None] = None
    remote_address_group_id: str | None = None
    normalized_cidr: str | None = None
    belongs_to_default_sg: bool = False


class SecurityGroup(Standard, kw_only=True):
    name: Given[Name]
    stateful: Given[bool] = True
    shared: bool = False
    security_group_rules: Derived[list[SecurityGroupRule]] = []


Kbps = Annotated[int, Meta(ge=0, le=2147483647)]
Direction = Literal["ingress", "egress"]
"""As the guest sees it."""


class BandwidthLimitRule(Struct, kw_only=True, tag_field="type", tag="bandwidth_limit"):
    id: str
    qos_policy_id: str
    max_kbps: Given[Kbps]
    max_burst_kbps: Given[Kbps] = 0
    direction: Given[Direction] = "egress"


class MinimumBandwidthRule(Struct, kw_only=True, tag_field="type", tag="minimum_bandwidth"):
    id: str
    qos_policy_id: str
    min_kbps: Given[Kbps]
    direction: Given[Direction] = "egress"


QosRule = BandwidthLimitRule | MinimumBandwidthRule


class QosPolicy(Standard, kw_only=True):
    name: Given[Name]
    shared: Given[bool] = False
    is_default: Given[bool] = False
    rules: Derived[list[QosRule]] = []
