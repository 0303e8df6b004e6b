"""New rows below one load balancer, checked against each other and against what is there, before one is written.

A plain POST and a full-graph POST take the same way.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from hydria.api.forms import ListenerForm, LoadBalancerForm, PoolForm, Values
from hydria.base import config
from hydria.base.errors import Invalid, RequestError, not_found
from hydria.drivers.cloud import Cloud
from hydria.model import rules
from hydria.model.flavor import FlavorData
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool
from hydria.model.resource import Provisioned
from hydria.model.status import OperatingStatus
from hydria.store import resources
from hydria.store.database import Transaction

R = TypeVar("R", bound=Provisioned)
Address = tuple[str, int]


@dataclass
class Draft:
    api: config.Api
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
    new_members: list[Member] = field(default_factory=list)
    new_health_monitors: list[HealthMonitor] = field(default_factory=list)

    def add_graph(self, form: LoadBalancerForm) -> None:
        named = {item.values["name"]: self.add_pool(item) for item in form.pools}
        for item in form.listeners:
            if isinstance(item.default_pool, PoolForm):
                named[item.default_pool.values["name"]] = self.add_pool(item.default_pool)
        for item in form.listeners:
            pool = item.default_pool
            self.add_listener(item, named[pool if isinstance(pool, str) else pool.values["name"]] if pool else None)

    def add_listener(self, form: ListenerForm, default_pool: Pool | None = None) -> Listener:
        if default_pool is None and isinstance(form.default_pool, PoolForm):
            default_pool = self.add_pool(form.default_pool)
        listener = self._row(Listener, form.values, loadbalancer_id=self.load_balancer.id)
        if default_pool is not None:
            listener = msgspec.structs.replace(listener, default_pool_id=default_pool.id)
        self.check_listener(listener)
        self.new_listeners.append(listener)
        return listener

    def check_listener(self, listener: Listener) -> None:
        rules.check_listener(listener, self.load_balancer, self.families, (*self.there, *self.new_listeners))
        if listener.default_pool_id is not None:
            pool = self.pools.get(listener.default_pool_id)
            if pool is None:
                raise not_found("Pool", listener.default_pool_id)
            rules.check_pairing(listener, pool)

    def add_pool(self, form: PoolForm) -> Pool:
        pool = self._row(Pool, form.values, loadbalancer_id=self.load_balancer.id)
        rules.check_pool(pool)
        self.pools[pool.id] = pool
        self.new_pools.append(pool)
        self.add_members(form.members, pool, set())
        if form.health_monitor is not None:
            self.add_health_monitor(form.health_monitor, pool)
        return pool

    def add_members(self, forms: Iterable[Values], pool: Pool, taken: set[Address]) -> None:
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
            taken.add((member.address, member.protocol_port))
            self.new_members.append(member)

    def add_health_monitor(self, values: Values, pool: Pool) -> HealthMonitor:
        monitor = rules.with_http_defaults(self._row(HealthMonitor, values, pool_id=pool.id))
        rules.check_health_monitor(monitor, pool, allow_ping=self.api.allow_ping_health_monitors)
        self.new_health_monitors.append(monitor)
        return monitor

    def write(self, tx: Transaction, generation: int) -> None:
        """Parents first; the new rows are then those that are stored. `generation`: in which these rows appear."""
        new: tuple[list[Any], ...] = (self.new_pools, self.new_listeners, self.new_members, self.new_health_monitors)
        for rows in new:
            rows[:] = resources.insert_all(tx, [msgspec.structs.replace(row, generation=generation) for row in rows])

    def _row(self, resource: type[R], values: Mapping[str, Any], **ours: Any) -> R:
        """Whatever project the body says: a resource belongs to its load balancer's."""
        return build(resource, {**values, **ours, "project_id": self.load_balancer.project_id})


S = TypeVar("S", bound=msgspec.Struct)


def build(resource: type[S], values: Mapping[str, Any]) -> S:
    """A new row; what is only asked for and never stored is left out."""
    known = {name: value for name, value in values.items() if name in resource.__struct_fields__}
    return resource(**{"id": str(uuid.uuid4()), **known})


def check_subnets(cloud: Cloud, members: Iterable[Values], refusal: type[RequestError] = Invalid) -> None:
    """Members' subnets exist, as their user sees the `cloud`. Asks it: no transaction may be open."""
    for subnet_id in sorted({values["subnet_id"] for values in members if values.get("subnet_id")}):
        if cloud.subnet(subnet_id) is None:
            raise refusal(f"Subnet {subnet_id} not found.")
