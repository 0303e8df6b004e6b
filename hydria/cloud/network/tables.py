"""The network service's tables. Each is its resource's struct; addresses stand in one of their own."""

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from hydria.cloud.database import metadata
from hydria.cloud.network.resources import (
    BandwidthLimitRule,
    MinimumBandwidthRule,
    NetworkRow,
    Port,
    QosPolicy,
    SecurityGroup,
    SecurityGroupRule,
    Subnet,
)
from hydria.cloud.resource import table

ON_NETWORK = {"network_id": "networks.id"}

networks = table("networks", NetworkRow, index=("project_id",))
subnets = table("subnets", Subnet, owners=ON_NETWORK, index=("network_id",))
ports = table(
    "ports",
    Port,
    UniqueConstraint("network_id", "mac_address"),
    references=ON_NETWORK,
    index=("device_id", "project_id"),
)
ip_allocations = Table(
    "ip_allocations",
    metadata,
    # The key is what makes a double allocation impossible, whatever the code above it does.
    Column("subnet_id", String, ForeignKey("subnets.id"), primary_key=True),
    Column("ip_address", String, primary_key=True),
    Column("port_id", String, ForeignKey("ports.id", ondelete="CASCADE"), nullable=False, index=True),
    # The place of the address in the port's fixed_ips.
    Column("position", Integer, nullable=False),
)
security_groups = table("security_groups", SecurityGroup, index=("project_id",))
Index(
    "one_default_security_group",
    security_groups.c.project_id,
    unique=True,
    sqlite_where=security_groups.c.name == "default",
)
security_group_rules = table(
    "security_group_rules",
    SecurityGroupRule,
    owners={"security_group_id": "security_groups.id"},
    index=("security_group_id",),
)
qos_policies = table("qos_policies", QosPolicy)
qos_bandwidth_limit_rules = table(
    "qos_bandwidth_limit_rules",
    BandwidthLimitRule,
    UniqueConstraint("qos_policy_id", "direction"),
    owners={"qos_policy_id": "qos_policies.id"},
)
qos_minimum_bandwidth_rules = table(
    "qos_minimum_bandwidth_rules",
    MinimumBandwidthRule,
    UniqueConstraint("qos_policy_id", "direction"),
    owners={"qos_policy_id": "qos_policies.id"},
)
