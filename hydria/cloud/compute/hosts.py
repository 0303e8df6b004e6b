"""Compute hosts: partitions of this machine's PFs, whether they take servers, and what the scheduler sees of them."""

import socket
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from hydria.base import config
from hydria.base.errors import NotFound, Retryable
from hydria.cloud.compute import capacity, scheduler
from hydria.cloud.compute.aggregates import ZONE
from hydria.cloud.compute.resources import (
    DEFAULT_ZONE,
    DisabledService,
    Interface,
    Server,
    aggregates,
    disabled_services,
    interfaces,
    servers,
)
from hydria.cloud.compute.scheduler import Capacity
from hydria.cloud.database import Database
from hydria.cloud.resource import now
from hydria.sriov import claims
from hydria.sriov.inventory import Pf, VfCounters, VfId
from hydria.sriov.nics import Nics

Inventory = Mapping[str, Sequence[Pf]]
"""Host → its PFs."""


class Hosts:
    def __init__(self, database: Database, nics: Nics, hosts: tuple[config.Host, ...]) -> None:
        self._database = database
        self._nics = nics
        self._hosts = {host.name: frozenset(host.pfs) for host in hosts}
        """Empty: one host, named as this machine is, has every PF."""
        self.physical_networks = {pf: network for host in hosts for pf, network in host.pfs.items()}
        """As configured, of PFs that need not be there."""
        self._seen: Sequence[Pf] | None = None
        """What the NICs said last of their PFs; their VFs may have changed since."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._hosts) or frozenset((socket.gethostname(),))

    def inventory(self) -> Inventory:
        """Asks the NICs: not to be called inside a transaction. Raises Retryable."""
        return self._by_host(self._nics.scan())

    def _by_host(self, pfs: Sequence[Pf]) -> Inventory:
        if not self._hosts:
            return dict.fromkeys(self.names, pfs)
        return {name: [pf for pf in pfs if pf.name in own] for name, own in self._hosts.items()}

    def saw(self, pfs: Sequence[Pf]) -> None:
        self._seen = pfs

    def has_link(self, pf: str) -> bool:
        """As last seen; before the first look everything counts as well."""
        return self._seen is None or any(one.name == pf and one.link_up for one in self._seen)

    def counters(self) -> Mapping[VfId, VfCounters]:
        """Asks the NICs, as `inventory` does."""
        return self._nics.counters()

    def capacity(self) -> tuple[capacity.HostCapacity, ...]:
        """What there is and who has it, now; of NICs that cannot be read just now, as they were seen last."""
        try:
            inventory = self.inventory()
        except Retryable:
            if self._seen is None:
                raise
            inventory = self._by_host(self._seen)
        with self._database.read() as connection:
            return capacity.snapshot(
                inventory, interfaces.select(connection), servers.select(connection), self.physical_networks
            )

    def require(self, name: str) -> str:
        if name not in self.names:
            raise NotFound(f"Compute host {name} could not be found.")
        return name

    def disabled(self) -> Mapping[str, DisabledService]:
        with self._database.read() as connection:
            return {service.id: service for service in disabled_services.select(connection)}

    def set_enabled(self, name: str, enabled: bool, reason: str | None = None) -> None:
        """May run twice."""
        with self._database.begin() as connection:
            disabled_services.delete(connection, self.require(name))
            if not enabled:
                disabled_services.insert(connection, DisabledService(id=name, reason=reason, updated_at=now()))

    def zones(self) -> dict[str, str]:
        """Host → its availability zone."""
        with self._database.read() as connection:
            metadata = [(aggregate.hosts, aggregate.metadata) for aggregate in aggregates.select(connection)]
        return {
            name: next((zone for own, data in metadata if name in own and (zone := data.get(ZONE))), DEFAULT_ZONE)
            for name in sorted(self.names)
        }

    def claimed(self, connection: Connection) -> frozenset[VfId]:
        return frozenset(
            VfId(interface.pf, interface.vf)
            for interface in interfaces.select(connection, None, interfaces.table.c.pf.is_not(None))
            if interface.pf is not None and interface.vf is not None
        )

    def snapshot(
        self,
        connection: Connection,
        inventory: Inventory,
        group_id: str | None = None,
        physical_networks: Collection[str] = (),
    ) -> tuple[scheduler.Host, ...]:
        """What a scheduling decision rests on, as of this transaction."""
        disabled = {service.id for service in disabled_services.select(connection)}
        all_aggregates = aggregates.select(connection)
        claimed = self.claimed(connection)
        placed = servers.table.c.host.is_not(None)
        rows = connection.execute(servers.table.select().with_only_columns(servers.table.c.host).where(placed))
        counts = Counter(rows.scalars())
        members = Counter(group_hosts(connection, group_id))
        return tuple(
            scheduler.Host(
                name=name,
                enabled=name not in disabled,
                aggregates=tuple(
                    scheduler.Aggregate(aggregate.name, aggregate.metadata)
                    for aggregate in all_aggregates
                    if name in aggregate.hosts
                ),
                vfs=capacities(inventory[name], claimed),
                servers=counts[name],
                group_members=members[name],
                is_near=_is_near(inventory[name], claimed, physical_networks),
            )
            for name in sorted(self.names)
        )


def capacities(pfs: Sequence[Pf], claimed: Collection[VfId]) -> dict[str, Capacity]:
    """Physical network → VFs. Those of a PF without link count as taken."""
    by_network: dict[str, list[capacity.PfCapacity]] = {}
    for pf in sorted(pfs, key=lambda pf: (pf.physical_network, pf.name)):
        by_network.setdefault(pf.physical_network, []).append(capacity.of_pf(pf, claimed))
    return {
        network: Capacity(
            free=sum(one.usable for one in own),
            total=sum(one.total for one in own),
            hindrances=capacity.hindrances(own),
        )
        for network, own in by_network.items()
    }


def _is_near(pfs: Sequence[Pf], claimed: Collection[VfId], physical_networks: Collection[str]) -> bool:
    """Of a host that says nothing of nodes, or has but one, everything is near."""
    if len({pf.numa_node for pf in pfs}) < 2:
        return True
    return bool(claims.fitting_nodes(pfs, claimed, physical_networks))


def group_hosts(connection: Connection, group_id: str | None) -> list[str]:
    """The host of each placed server of the group."""
    if group_id is None:
        return []
    return [server.host for server in servers.select(connection, {"group_id": [group_id]}) if server.host is not None]


def sibling_interfaces(connection: Connection, server: Server) -> list[Interface]:
    """NICs of the other servers of its group."""
    if server.group_id is None:
        return []
    siblings = [one.id for one in servers.select(connection, {"group_id": [server.group_id]}) if one.id != server.id]
    return interfaces.select(connection, {"server_id": siblings})
