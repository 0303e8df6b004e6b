"""QoS policies and their bandwidth limits, as objects; a VF's rate is set from them by whoever plugs it."""

from sqlalchemy import ColumnElement, Connection, or_, select, true
from sqlalchemy.exc import IntegrityError

from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.network import tables
from hydria.cloud.network.collection import Collection, Values, disallowed
from hydria.cloud.network.errors import (
    InvalidInput,
    QosPolicyInUse,
    QosPolicyNotFound,
    QosRuleNotFound,
    QoSRuleParameterConflict,
)
from hydria.cloud.network.resources import BandwidthLimitRule, QosPolicy
from hydria.cloud.resource import changed, given, new_id
from hydria.cloud.rows import Rows


class QosPolicies(Collection[QosPolicy]):
    name, plural, title, missing = "policy", "policies", "QoS policy", QosPolicyNotFound

    def __init__(self, database: Database) -> None:
        super().__init__(database, tables.qos_policies, QosPolicy)
        self._rules = Rows(tables.qos_bandwidth_limit_rules, BandwidthLimitRule)

    def visible(self, context: Context) -> ColumnElement[bool]:
        return or_(super().visible(context), self.rows.table.c.shared == true())

    def complete(self, connection: Connection, resources: list[QosPolicy]) -> list[QosPolicy]:
        rules = self._rules.select(connection)
        for policy in resources:
            policy.rules = [rule for rule in rules if rule.qos_policy_id == policy.id]
        return resources

    def insert(self, connection: Connection, context: Context, values: Values) -> QosPolicy:
        if not context.is_admin:
            raise disallowed("create_policy")
        if not values.get("name"):
            raise InvalidInput("Failed to parse request. Required attribute 'name' not specified", field="name")
        policy = self.new(values)
        self.rows.insert(connection, policy)
        return policy

    def replace(self, connection: Connection, context: Context, current: QosPolicy, values: Values) -> QosPolicy:
        if not context.is_admin:
            raise disallowed("update_policy")
        return self.store(connection, changed(current, values))

    def remove(self, connection: Connection, context: Context, current: QosPolicy) -> None:
        if not context.is_admin:
            raise disallowed("delete_policy")
        for title, table in (("port", tables.ports), ("network", tables.networks)):
            users = connection.execute(select(table.c.id).where(table.c.qos_policy_id == current.id)).scalars().all()
            if users:
                raise QosPolicyInUse(f"QoS Policy {current.id} is used by {title} {users[0]}.")
        self.rows.delete(connection, current.id)

    def create_rule(self, context: Context, policy_id: str, document: object) -> BandwidthLimitRule:
        values = given(document, BandwidthLimitRule, "create")
        if "max_kbps" not in values:
            raise InvalidInput("Failed to parse request. Required attribute 'max_kbps' not specified", field="max_kbps")
        rule = changed(BandwidthLimitRule(id=new_id(), qos_policy_id=policy_id, max_kbps=0), values)
        with self.database.begin() as connection:
            self._owned(connection, context, policy_id, "create_policy_bandwidth_limit_rule")
            try:
                self._rules.insert(connection, rule)
            except IntegrityError as error:
                raise QoSRuleParameterConflict(
                    f"Unable to add the rule with value {rule.max_kbps} to the policy {policy_id} as the existing rule"
                    f" of type bandwidth_limit has the same direction {rule.direction}."
                ) from error
        return rule

    def rule(self, context: Context, policy_id: str, rule_id: str) -> BandwidthLimitRule:
        for rule in self.get(context, policy_id).rules:
            if rule.id == rule_id:
                return rule
        raise QosRuleNotFound(f"QoS rule bandwidth_limit {rule_id} for policy {policy_id} could not be found.")

    def update_rule(self, context: Context, policy_id: str, rule_id: str, document: object) -> BandwidthLimitRule:
        values = given(document, BandwidthLimitRule, "update")
        with self.database.begin() as connection:
            self._owned(connection, context, policy_id, "update_policy_bandwidth_limit_rule")
            rule = changed(self.rule(context, policy_id, rule_id), values)
            self._rules.replace(connection, rule)
        return rule

    def delete_rule(self, context: Context, policy_id: str, rule_id: str) -> None:
        with self.database.begin() as connection:
            self._owned(connection, context, policy_id, "delete_policy_bandwidth_limit_rule")
            self._rules.delete(connection, self.rule(context, policy_id, rule_id).id)

    def _owned(self, connection: Connection, context: Context, policy_id: str, action: str) -> QosPolicy:
        if not context.is_admin:
            raise disallowed(action)
        return self.find(connection, context, policy_id)
