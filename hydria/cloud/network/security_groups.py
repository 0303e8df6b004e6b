"""Security groups and their rules, as objects: what they say is applied by nobody here, as with SR-IOV ports."""

from ipaddress import ip_network

from sqlalchemy import Connection, String, select

from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.listing import Document
from hydria.cloud.network import tables
from hydria.cloud.network.collection import Collection, Values
from hydria.cloud.network.errors import (
    InvalidInput,
    SecurityGroupCannotRemoveDefault,
    SecurityGroupDefaultAlreadyExists,
    SecurityGroupInUse,
    SecurityGroupInvalidPortRange,
    SecurityGroupNotFound,
    SecurityGroupRuleExists,
    SecurityGroupRuleNotFound,
)
from hydria.cloud.network.resources import Port, SecurityGroup, SecurityGroupRule
from hydria.cloud.resource import changed
from hydria.cloud.rows import Rows
from hydria.cloud.web import Query

DEFAULT = "default"
ETHERTYPES = ("IPv4", "IPv6")


class SecurityGroups(Collection[SecurityGroup]):
    name, plural, title = "security_group", "security_groups", "Security group"
    missing = SecurityGroupNotFound

    def __init__(self, database: Database, rules: "SecurityGroupRules") -> None:
        super().__init__(database, tables.security_groups, SecurityGroup)
        self._rules = rules

    def complete(self, connection: Connection, resources: list[SecurityGroup]) -> list[SecurityGroup]:
        wanted = {"security_group_id": [resources[0].id]} if len(resources) == 1 else None
        rules = self._rules.rows.select(connection, wanted)
        for group in resources:
            group.security_group_rules = [rule for rule in rules if rule.security_group_id == group.id]
        return resources

    def documents(self, context: Context, query: Query) -> tuple[list[Document], bool]:
        """Whoever looks finds at least his project's default group, as in Neutron."""
        if context.project_id is not None:
            with self.database.begin() as connection:
                self.ensure_default(connection, context.project_id)
        return super().documents(context, query)

    def ensure_default(self, connection: Connection, project_id: str) -> str:
        """The id of the project's group `default`, which there is from the first port on."""
        table = self.rows.table.c
        query = select(table.id).where(table.project_id == project_id, table.name == DEFAULT)
        found: str | None = connection.execute(query).scalar_one_or_none()
        if found is not None:
            return found
        group = self.new({"name": DEFAULT, "description": "Default security group", "project_id": project_id})
        self.rows.insert(connection, group)
        self._add_egress_rules(connection, group)
        for ethertype in ETHERTYPES:
            rule = {"direction": "ingress", "ethertype": ethertype, "remote_group_id": group.id}
            self._rules.add(connection, group, rule)
        return group.id

    def insert(self, connection: Connection, context: Context, values: Values) -> SecurityGroup:  # noqa: ARG002
        if not values.get("name"):
            raise InvalidInput("Failed to parse request. Required attribute 'name' not specified", field="name")
        if values["name"] == DEFAULT:
            raise SecurityGroupDefaultAlreadyExists("Default security group already exists.")
        group = self.new(values)
        self.rows.insert(connection, group)
        self._add_egress_rules(connection, group)
        return group

    def _add_egress_rules(self, connection: Connection, group: SecurityGroup) -> None:
        for ethertype in ETHERTYPES:
            self._rules.add(connection, group, {"direction": "egress", "ethertype": ethertype})

    def replace(
        self,
        connection: Connection,
        context: Context,  # noqa: ARG002
        current: SecurityGroup,
        values: Values,
    ) -> SecurityGroup:
        if values.get("name", current.name) != current.name and DEFAULT in {current.name, values["name"]}:
            raise SecurityGroupCannotRemoveDefault("Updating default security group not allowed.")
        return self.store(connection, changed(current, values))

    def remove(self, connection: Connection, context: Context, current: SecurityGroup) -> None:
        if current.name == DEFAULT and not context.is_admin:
            raise SecurityGroupCannotRemoveDefault("Insufficient rights for removing default security group.")
        in_use = tables.ports.c["security_groups"].cast(String).contains(current.id)
        if Rows(tables.ports, Port).select(connection, None, in_use):
            raise SecurityGroupInUse(f"Security Group {current.id} in use.")
        self.rows.delete(connection, current.id)


class SecurityGroupRules(Collection[SecurityGroupRule]):
    name, plural, title = "security_group_rule", "security_group_rules", "Security group rule"
    missing = SecurityGroupRuleNotFound

    def __init__(self, database: Database) -> None:
        super().__init__(database, tables.security_group_rules, SecurityGroupRule)
        self.groups = Rows(tables.security_groups, SecurityGroup)

    def insert(self, connection: Connection, context: Context, values: Values) -> SecurityGroupRule:
        for name in ("security_group_id", "direction"):
            if not values.get(name):
                raise InvalidInput(f"Failed to parse request. Required attribute '{name}' not specified", field=name)
        group = self.groups.get(connection, values["security_group_id"])
        if group is None or not context.sees(group.project_id):
            raise SecurityGroupNotFound(f"Security group {values['security_group_id']} does not exist")
        return self.add(connection, group, values)

    def add(self, connection: Connection, group: SecurityGroup, values: Values) -> SecurityGroupRule:
        rule = self.new({**values, "security_group_id": group.id, "project_id": group.project_id})
        rule.belongs_to_default_sg = group.name == DEFAULT
        _check(rule)
        for other in self.rows.select(connection, {"security_group_id": [group.id]}):
            if _meaning(other) == _meaning(rule):
                raise SecurityGroupRuleExists(f"Security group rule already exists. Rule id is {other.id}.")
        self.rows.insert(connection, rule)
        return rule

    def remove(self, connection: Connection, context: Context, current: SecurityGroupRule) -> None:  # noqa: ARG002
        self.rows.delete(connection, current.id)


def _meaning(rule: SecurityGroupRule) -> tuple[object, ...]:
    ports = (rule.port_range_min, rule.port_range_max)
    return rule.direction, rule.ethertype, rule.protocol, ports, rule.normalized_cidr, rule.remote_group_id


def _check(rule: SecurityGroupRule) -> None:
    if rule.remote_ip_prefix is not None:
        try:
            prefix = ip_network(rule.remote_ip_prefix, strict=False)
        except ValueError as error:
            raise InvalidInput(
                f"Invalid input for remote_ip_prefix. Reason: '{rule.remote_ip_prefix}' is not a valid IP subnet."
            ) from error
        if f"IPv{prefix.version}" != rule.ethertype:
            raise InvalidInput(f"Conflicting value ethertype {rule.ethertype} for CIDR {rule.remote_ip_prefix}")
        rule.normalized_cidr = str(prefix)
    low, high = rule.port_range_min, rule.port_range_max
    if low is not None or high is not None:
        if rule.protocol is None:
            raise SecurityGroupInvalidPortRange("Must also specify protocol if port range is given.")
        if low is not None and high is not None and low > high and not rule.protocol.startswith("icmp"):
            raise SecurityGroupInvalidPortRange("For TCP/UDP protocols, port_range_min must be <= port_range_max")
