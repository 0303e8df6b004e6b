"""QoS policies, their rules, and the rates of a VF that these mean; whoever plugs the VF sets them."""

from dataclasses import dataclass
from typing import Any

import msgspec
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
from hydria.cloud.network.resources import BandwidthLimitRule, MinimumBandwidthRule, QosPolicy, QosRule
from hydria.cloud.resource import changed, given, new_id
from hydria.cloud.rows import Rows

KBPS_PER_MBPS = 1000


@dataclass(frozen=True)
class RuleKind:
    name: str
    resource: type[Any]
    rows: Rows[Any]
    value: str
    """The attribute that a rule of this kind is about."""


BANDWIDTH_LIMIT = RuleKind(
    "bandwidth_limit", BandwidthLimitRule, Rows(tables.qos_bandwidth_limit_rules, BandwidthLimitRule), "max_kbps"
)
MINIMUM_BANDWIDTH = RuleKind(
    "minimum_bandwidth",
    MinimumBandwidthRule,
    Rows(tables.qos_minimum_bandwidth_rules, MinimumBandwidthRule),
    "min_kbps",
)
RULE_KINDS = (BANDWIDTH_LIMIT, MINIMUM_BANDWIDTH)


class Rates(msgspec.Struct, frozen=True):
    """Of what a guest sends, in Mbit/s as NICs have it; 0: not said."""

    min_tx: int = 0
    max_tx: int = 0


def rates(policy: QosPolicy | None) -> Rates:
    sent = [rule for rule in policy.rules if rule.direction == "egress"] if policy else []
    return Rates(
        min_tx=max((_mbps(rule.min_kbps) for rule in sent if isinstance(rule, MinimumBandwidthRule)), default=0),
        max_tx=max((_mbps(rule.max_kbps) for rule in sent if isinstance(rule, BandwidthLimitRule)), default=0),
    )


def _mbps(kbps: int) -> int:
    """Rounded up: a limit of 100 kbit/s must not become 0, which to a NIC means none."""
    return -(-kbps // KBPS_PER_MBPS)


def _check_order(policy: QosPolicy) -> None:
    """Raises QoSRuleParameterConflict where more is guaranteed than allowed."""
    limits = {rule.direction: rule.max_kbps for rule in policy.rules if isinstance(rule, BandwidthLimitRule)}
    for rule in policy.rules:
        if isinstance(rule, MinimumBandwidthRule) and 0 < limits.get(rule.direction, 0) < rule.min_kbps:
            raise QoSRuleParameterConflict(
                f"Unable to have a minimum bandwidth of {rule.min_kbps} in the policy {policy.id} as its rule of type"
                f" bandwidth_limit restricts the bandwidth to {limits[rule.direction]}."
            )


class QosPolicies(Collection[QosPolicy]):
    name, plural, title, missing = "policy", "policies", "QoS policy", QosPolicyNotFound

    def __init__(self, database: Database) -> None:
        super().__init__(database, tables.qos_policies, QosPolicy)

    def visible(self, context: Context) -> ColumnElement[bool]:
        return or_(super().visible(context), self.rows.table.c.shared == true())

    def complete(self, connection: Connection, resources: list[QosPolicy]) -> list[QosPolicy]:
        rules = [rule for kind in RULE_KINDS for rule in kind.rows.select(connection)]
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

    def create_rule(self, context: Context, kind: RuleKind, policy_id: str, document: object) -> QosRule:
        values = given(document, kind.resource, "create")
        if kind.value not in values:
            raise InvalidInput(
                f"Failed to parse request. Required attribute '{kind.value}' not specified", field=kind.value
            )
        rule: QosRule = msgspec.convert({"id": new_id(), "qos_policy_id": policy_id, **values}, kind.resource)
        with self.database.begin() as connection:
            self._owned(connection, context, policy_id, f"create_policy_{kind.name}_rule")
            try:
                kind.rows.insert(connection, rule)
            except IntegrityError as error:
                raise QoSRuleParameterConflict(
                    f"Unable to add the rule with value {values[kind.value]} to the policy {policy_id} as the existing"
                    f" rule of type {kind.name} has the same direction {rule.direction}."
                ) from error
            _check_order(self.find(connection, context, policy_id))
        return rule

    def rules(self, context: Context, kind: RuleKind, policy_id: str) -> list[QosRule]:
        return [rule for rule in self.get(context, policy_id).rules if isinstance(rule, kind.resource)]

    def rule(self, context: Context, kind: RuleKind, policy_id: str, rule_id: str) -> QosRule:
        for rule in self.rules(context, kind, policy_id):
            if rule.id == rule_id:
                return rule
        raise QosRuleNotFound(f"QoS rule {kind.name} {rule_id} for policy {policy_id} could not be found.")

    def update_rule(self, context: Context, kind: RuleKind, policy_id: str, rule_id: str, document: object) -> QosRule:
        values = given(document, kind.resource, "update")
        with self.database.begin() as connection:
            self._owned(connection, context, policy_id, f"update_policy_{kind.name}_rule")
            rule = changed(self.rule(context, kind, policy_id, rule_id), values)
            kind.rows.replace(connection, rule)
            _check_order(self.find(connection, context, policy_id))
        return rule

    def delete_rule(self, context: Context, kind: RuleKind, policy_id: str, rule_id: str) -> None:
        with self.database.begin() as connection:
            self._owned(connection, context, policy_id, f"delete_policy_{kind.name}_rule")
            kind.rows.delete(connection, self.rule(context, kind, policy_id, rule_id).id)

    def _owned(self, connection: Connection, context: Context, policy_id: str, action: str) -> QosPolicy:
        if not context.is_admin:
            raise disallowed(action)
        return self.find(connection, context, policy_id)
