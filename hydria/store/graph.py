"""Reads one load balancer with everything below it, as one snapshot when `tx` is a read."""

import functools
from collections import defaultdict
from typing import Any, TypeVar

import sqlalchemy as sa
from msgspec import Struct

from hydria.model.amphora import Amphora
from hydria.model.availability_zone import (
    AvailabilityZone,
    AvailabilityZoneData,
    AvailabilityZoneProfile,
    parse_availability_zone_data,
)
from hydria.model.flavor import Flavor, FlavorData, FlavorProfile, parse_flavor_data
from hydria.model.graph import Graph, PolicyNode, PoolNode
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool
from hydria.model.status import AmphoraStatus, ProvisioningStatus
from hydria.store.database import Transaction
from hydria.store.resources import from_rows, select
from hydria.store.tables import below, table

R = TypeVar("R", bound=Struct)

_LB, _FLAVOR, _PROFILE = table(LoadBalancer), table(Flavor), table(FlavorProfile)
_ZONE, _ZONE_PROFILE = table(AvailabilityZone), table(AvailabilityZoneProfile)
_LOAD_BALANCER = (
    select(LoadBalancer)
    .add_columns(_PROFILE.c.flavor_data, _ZONE_PROFILE.c.availability_zone_data)
    .select_from(_LB)
    .outerjoin(_FLAVOR, _FLAVOR.c.id == _LB.c.flavor_id)
    .outerjoin(_PROFILE, _PROFILE.c.id == _FLAVOR.c.flavor_profile_id)
    .outerjoin(_ZONE, _ZONE.c.name == _LB.c.availability_zone)
    .outerjoin(_ZONE_PROFILE, _ZONE_PROFILE.c.id == _ZONE.c.availability_zone_profile_id)
    .where(below(LoadBalancer))
)


def load_graph(tx: Transaction, lb_id: str) -> Graph | None:
    row = tx.execute(_LOAD_BALANCER, {"lb_id": lb_id}).first()
    if row is None:
        return None
    (load_balancer,) = from_rows(LoadBalancer, [row])
    flavor_data, zone_data = list(row)[-2:]
    members: defaultdict[str, list[Member]] = defaultdict(list)
    for member in _of(tx, Member, lb_id):
        members[member.pool_id].append(member)
    monitors: dict[str, HealthMonitor] = {}
    for monitor in _of(tx, HealthMonitor, lb_id):
        # Beside one that is being deleted there may be its successor, which counts.
        if monitor.pool_id not in monitors or monitor.provisioning_status is not ProvisioningStatus.PENDING_DELETE:
            monitors[monitor.pool_id] = monitor
    l7rules: defaultdict[str, list[L7Rule]] = defaultdict(list)
    for rule in _of(tx, L7Rule, lb_id):
        l7rules[rule.l7policy_id].append(rule)
    policies = sorted(_of(tx, L7Policy, lb_id), key=lambda policy: (policy.listener_id, policy.position))
    amphorae = tuple(a for a in _of(tx, Amphora, lb_id) if a.status is not AmphoraStatus.DELETED)
    return Graph(
        load_balancer=load_balancer,
        generation=load_balancer.generation,
        flavor=FlavorData() if flavor_data is None else parse_flavor_data(flavor_data),
        zone=AvailabilityZoneData() if zone_data is None else parse_availability_zone_data(zone_data),
        listeners=tuple(_of(tx, Listener, lb_id)),
        policies=tuple(PolicyNode(policy=policy, rules=tuple(l7rules[policy.id])) for policy in policies),
        pools=tuple(
            PoolNode(pool=pool, members=tuple(members[pool.id]), health_monitor=monitors.get(pool.id))
            for pool in _of(tx, Pool, lb_id)
        ),
        amphorae=amphorae,
    )


def _of(tx: Transaction, resource: type[R], lb_id: str) -> list[R]:
    return from_rows(resource, tx.execute(_statement(resource), {"lb_id": lb_id}).all())


@functools.cache
def _statement(resource: type[Struct]) -> sa.Select[Any]:
    columns = table(resource).c
    return select(resource).where(below(resource)).order_by(columns.created_at, columns.id)
