"""The immutable snapshot of one load balancer with everything below it, read in one transaction."""

from collections.abc import Iterator

from msgspec import Struct

from hydria.model.amphora import Amphora
from hydria.model.availability_zone import AvailabilityZoneData
from hydria.model.flavor import FlavorData
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool
from hydria.model.resource import Provisioned
from hydria.model.status import ProvisioningStatus


class PoolNode(Struct, kw_only=True, frozen=True):
    pool: Pool
    members: tuple[Member, ...] = ()
    """By created_at, then id: who was there first keeps what two cannot have."""
    health_monitor: HealthMonitor | None = None


class PolicyNode(Struct, kw_only=True, frozen=True):
    policy: L7Policy
    rules: tuple[L7Rule, ...] = ()

    @property
    def applies(self) -> bool:
        """Some request may match it: one without rules matches none."""
        return self.policy.admin_state_up and any(rule.admin_state_up for rule in self.rules)


class Graph(Struct, kw_only=True, frozen=True):
    load_balancer: LoadBalancer
    generation: int
    """The load balancer's generation at the time of reading."""
    flavor: FlavorData = FlavorData()
    zone: AvailabilityZoneData = AvailabilityZoneData()
    listeners: tuple[Listener, ...] = ()
    policies: tuple[PolicyNode, ...] = ()
    """By listener, then position."""
    pools: tuple[PoolNode, ...] = ()
    amphorae: tuple[Amphora, ...] = ()
    """Those that are not DELETED."""

    def resources(self) -> Iterator[Provisioned]:
        """The load balancer and all below it that has statuses, parents first."""
        yield self.load_balancer
        yield from self.listeners
        for policy in self.policies:
            yield policy.policy
            yield from policy.rules
        for node in self.pools:
            yield node.pool
            yield from node.members
            if node.health_monitor is not None:
                yield node.health_monitor

    def reachable_pools(self, listener: Listener) -> tuple[str, ...]:
        """Ids of its default pool and of the pools that its policies lead to, each once."""
        redirects = (
            node.policy.redirect_pool_id
            for node in self.policies
            if node.policy.listener_id == listener.id and node.applies
        )
        return tuple(dict.fromkeys(id_ for id_ in (listener.default_pool_id, *redirects) if id_ is not None))

    @property
    def deleting(self) -> bool:
        return self.load_balancer.provisioning_status is ProvisioningStatus.PENDING_DELETE


def without_deleted(graph: Graph) -> Graph:
    """What the amphora shall serve: everything that is not being deleted."""

    def stays(resource: Provisioned) -> bool:
        return resource.provisioning_status is not ProvisioningStatus.PENDING_DELETE

    return Graph(
        load_balancer=graph.load_balancer,
        generation=graph.generation,
        flavor=graph.flavor,
        zone=graph.zone,
        amphorae=graph.amphorae,
        listeners=tuple(filter(stays, graph.listeners)),
        policies=tuple(
            PolicyNode(policy=node.policy, rules=tuple(filter(stays, node.rules)))
            for node in graph.policies
            if stays(node.policy)
        ),
        pools=tuple(
            PoolNode(
                pool=node.pool,
                members=tuple(filter(stays, node.members)),
                health_monitor=node.health_monitor
                if node.health_monitor is not None and stays(node.health_monitor)
                else None,
            )
            for node in graph.pools
            if stays(node.pool)
        ),
    )
