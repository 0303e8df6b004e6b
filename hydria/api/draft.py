"""New rows below one load balancer, checked against each other and against what is there, before one is written.

A plain POST and a full-graph POST take the same way.
"""

import itertools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from hydria.api.forms import ListenerForm, LoadBalancerForm, PolicyForm, PoolForm, PoolWish, Values
from hydria.base import config
from hydria.base.errors import Invalid, RequestError, invalid_field, not_found
from hydria.drivers.cloud import Cloud
from hydria.model import l7_rules, rules, tls_rules
from hydria.model.flavor import FlavorData
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Endpoint, HealthMonitor, Member, Pool
from hydria.model.resource import Provisioned
from hydria.model.served import Served, check_supported
from hydria.model.status import OperatingStatus
from hydria.store import quotas, resources
from hydria.store.database import Transaction

R = TypeVar("R", bound=Provisioned)


@dataclass
class Draft:
    api: config.Api
    served: Served
    quotas: config.Quotas
    load_balancer: LoadBalancer
    flavor: FlavorData
    families: frozenset[int]
    """Of the VIPs."""
    there: Sequence[Listener] = ()
    """Listeners that the load balancer has already."""
    pools: dict[str, Pool] = field(default_factory=dict)
    """New ones, and those there that new listeners may name."""
    new_pools: list[Pool] = field(default_factory=list)
    new_listeners: list[Listener] = field(default_factory=list)
    new_policies: list[L7Policy] = field(default_factory=list)
    new_rules: list[L7Rule] = field(default_factory=list)
    new_members: list[Member] = field(default_factory=list)
    new_health_monitors: list[HealthMonitor] = field(default_factory=list)

    def add_graph(self, form: LoadBalancerForm) -> None:
        for pool in form.pools:
            self.add_pool(pool)
        for item in form.listeners:
            self.add_listener(item)

    def add_listener(self, form: ListenerForm) -> Listener:
        """The pools that it brings along, or names, are there."""
        listener = self._row(Listener, form.values, loadbalancer_id=self.load_balancer.id)
        if form.default_pool is not None:
            pool_id = self._wished("default_pool", form.default_pool)
            listener = msgspec.structs.replace(listener, default_pool_id=pool_id)
        listener = tls_rules.listener_with_defaults(listener, self.api)
        self.check_listener(listener)
        self.new_listeners.append(listener)
        order: Sequence[L7Policy] = ()
        for policy in form.policies:
            order = l7_rules.placed(order, self.add_policy(policy, listener))
        places = {policy.id: policy for policy in order}
        self.new_policies = [places.get(policy.id, policy) for policy in self.new_policies]
        return listener

    def check_listener(self, listener: Listener, old: Listener | None = None) -> None:
        """`old`: what a PUT changes."""
        tls_rules.check(listener, self.api, old)
        rules.check_listener(listener, self.load_balancer, self.families, (*self.there, *self.new_listeners))
        if listener.default_pool_id is not None:
            rules.check_pairing(listener, self._pool(listener.default_pool_id))

    def add_policy(self, form: PolicyForm, listener: Listener) -> L7Policy:
        """Its position is the one asked for: what is already there makes room when it is written."""
        policy = self._row(L7Policy, form.values, listener_id=listener.id)
        if form.redirect_pool is not None:
            pool_id = self._wished("redirect_pool", form.redirect_pool)
            policy = msgspec.structs.replace(policy, redirect_pool_id=pool_id)
        policy = self.checked_policy(policy, listener)
        self.new_policies.append(policy)
        self.add_rules(form.rules, policy)
        return policy

    def checked_policy(self, policy: L7Policy, listener: Listener) -> L7Policy:
        """As its action has it."""
        l7_rules.check_listener(listener)
        policy = l7_rules.for_action(policy)
        if policy.redirect_pool_id is not None:
            rules.check_pairing(listener, self._pool(policy.redirect_pool_id))
        return policy

    def add_rules(self, forms: Sequence[Values], policy: L7Policy, there: int = 0) -> None:
        """`there`: how many it has."""
        for values in forms:
            rule = self._row(L7Rule, values, l7policy_id=policy.id)
            l7_rules.check_rule(rule)
            self.new_rules.append(rule)
        l7_rules.check_number(policy, there + len(forms))

    def add_pool(self, form: PoolForm) -> Pool:
        pool = self._row(Pool, form.values, id=form.id, loadbalancer_id=self.load_balancer.id)
        pool = tls_rules.pool_with_defaults(pool, self.api)
        tls_rules.check(pool, self.api)
        rules.check_pool(pool)
        self.pools[pool.id] = pool
        self.new_pools.append(pool)
        self.add_members(form.members, pool, set())
        if form.health_monitor is not None:
            self.add_health_monitor(form.health_monitor, pool)
        return pool

    def add_members(self, forms: Iterable[Values], pool: Pool, taken: set[Endpoint]) -> None:
        """`taken` by the pool's members so far; the new ones are added to it."""
        for values in forms:
            member = self._row(
                Member,
                values,
                pool_id=pool.id,
                operating_status=OperatingStatus.NO_MONITOR,
                vnic_type=rules.member_vnic_type(self.flavor, request_sriov=values.get("request_sriov", False)),
            )
            rules.check_member(member, taken, self.api.reserved_ips)
            taken.add(member.endpoint)
            self.new_members.append(member)

    def add_health_monitor(self, values: Values, pool: Pool) -> HealthMonitor:
        monitor = rules.with_http_defaults(self._row(HealthMonitor, values, pool_id=pool.id))
        rules.check_health_monitor(monitor, pool, allow_ping=self.api.allow_ping_health_monitors)
        self.new_health_monitors.append(monitor)
        return monitor

    def write(
        self, tx: Transaction, accept: Callable[[], int], gone: Mapping[type[Provisioned], int] | None = None
    ) -> int:
        """Parents first; the new rows are then those that are stored. Raises Forbidden (a quota), Unsupported.

        `accept`: has the load balancer take the write, and says in which generation; a quota that is met speaks
        before its refusal. `gone`: how many of a kind go in the same request.
        """
        new: dict[type[Provisioned], list[Any]] = {
            Pool: self.new_pools,
            Listener: self.new_listeners,
            L7Policy: self.new_policies,
            L7Rule: self.new_rules,
            Member: self.new_members,
            HealthMonitor: self.new_health_monitors,
        }
        growth = {resource: len(rows) - (gone or {}).get(resource, 0) for resource, rows in new.items()}
        quotas.reserve(tx, self.load_balancer.project_id, growth, self.quotas)
        generation = accept()
        for row in itertools.chain(*new.values()):
            check_supported(row, self.served)
        for rows in new.values():
            rows[:] = resources.insert_all(tx, [msgspec.structs.replace(row, generation=generation) for row in rows])
        return generation

    def _pool(self, id_: str) -> Pool:
        if id_ not in self.pools:
            raise not_found("Pool", id_)
        return self.pools[id_]

    def _wished(self, name: str, wish: PoolWish) -> str:
        """The id of a pool of this request."""
        if isinstance(wish, PoolForm):
            return wish.id
        found = [pool.id for pool in self.new_pools if pool.name == wish]
        if len(found) != 1:
            raise invalid_field(name, wish, "No pool of this request has that name, or more than one has.")
        return found[0]

    def _row(self, resource: type[R], values: Mapping[str, Any], **ours: Any) -> R:
        """Whatever project the body says: a resource belongs to its load balancer's."""
        return build(resource, {**values, **ours, "project_id": self.load_balancer.project_id})


S = TypeVar("S", bound=msgspec.Struct)


def build(resource: type[S], values: Mapping[str, Any]) -> S:
    """A new row; what is only asked for and never stored is left out."""
    known = {name: value for name, value in values.items() if name in resource.__struct_fields__}
    own = {"id": str(uuid.uuid4())} if "id" in resource.__struct_fields__ else {}
    return resource(**{**own, **known})


def check_subnets(cloud: Cloud, members: Iterable[Values], refusal: type[RequestError] = Invalid) -> None:
    """Members' subnets exist, as their user sees the `cloud`. Asks it: no transaction may be open."""
    for subnet_id in sorted({values["subnet_id"] for values in members if values.get("subnet_id")}):
        if cloud.subnet(subnet_id) is None:
            raise refusal(f"Subnet {subnet_id} not found.")
