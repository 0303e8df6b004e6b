"""The status tree: a load balancer and everything below it, with nothing but names and statuses."""

from typing import TypedDict

from hydria.model.graph import Graph, PoolNode
from hydria.model.load_balancer import LoadBalancer
from hydria.model.resource import Provisioned
from hydria.model.status import OperatingStatus, ProvisioningStatus


class Statuses(TypedDict):
    id: str
    name: str
    operating_status: OperatingStatus
    provisioning_status: ProvisioningStatus


class MemberStatuses(Statuses):
    address: str
    protocol_port: int


class MonitorStatuses(Statuses):
    type: str


class PoolStatuses(Statuses):
    health_monitor: MonitorStatuses | None
    members: list[MemberStatuses]


class ListenerStatuses(Statuses):
    pools: list[PoolStatuses]


class LoadBalancerStatuses(Statuses):
    listeners: list[ListenerStatuses]


class Tree(TypedDict):
    loadbalancer: LoadBalancerStatuses


class StatusTree(TypedDict):
    statuses: Tree


def status_tree(whole: Graph) -> StatusTree:
    nodes = {node.pool.id: node for node in whole.pools}
    listeners: list[ListenerStatuses] = [
        {**_statuses(listener), "pools": [_pool(nodes[id_]) for id_ in whole.reachable_pools(listener)]}
        for listener in whole.listeners
    ]
    load_balancer: LoadBalancer = whole.load_balancer
    return {"statuses": {"loadbalancer": {**_statuses(load_balancer), "listeners": listeners}}}


def _pool(node: PoolNode) -> PoolStatuses:
    monitor = node.health_monitor
    members: list[MemberStatuses] = [
        {**_statuses(member), "address": member.address, "protocol_port": member.protocol_port}
        for member in node.members
    ]
    return {
        **_statuses(node.pool),
        "health_monitor": {**_statuses(monitor), "type": monitor.type} if monitor else None,
        "members": members,
    }


def _statuses(row: Provisioned) -> Statuses:
    return {
        "id": row.id,
        "name": row.name,
        "operating_status": row.operating_status,
        "provisioning_status": row.provisioning_status,
    }
