"""Compute hosts: partitions of this machine's PFs, whether they take servers, and what the scheduler sees of them."""

import socket
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from hydria.base import config
from hydria.base.errors import NotFound
from hydria.cloud.compute import scheduler
from hydria.cloud.compute.aggregates import ZONE
from hydria.cloud.compute.resources import (
    DEFAULT_ZONE,
    DisabledService,
    aggregates,
    disabled_services,
    interfaces,
    servers,
)
from hydria.cloud.compute.scheduler import Capacity
from hydria.cloud.database import Database
from hydria.cloud.resource import now
from hydria.sriov.inventory import Pf, VfId
from hydria.sriov.nics import Nics

Inventory = Mapping[str, Sequence[Pf]]
"""Host → its PFs."""


class Hosts:
    def __init__(self, database: Database, nics: Nics, hosts: tuple[config.Host, ...]) -> None:
        self._database = database
        self._nics = nics
        self._hosts = {host.name: frozenset(host.pfs) for host in hosts}
        """Empty: one host, named as this machine is, has every PF."""

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._hosts) or frozenset((socket.gethostname(),))

    def inventory(self) -> Inventory:
        """Asks the NICs: not to be called inside a transaction. Raises Retryable."""
        pfs = self._nics.scan()
        if not self._hosts:
            return dict.fromkeys(self.names, pfs)
        return {name: [pf for pf in pfs if pf.name in own] for name, own in self._hosts.items()}

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
        self, connection: Connection, inventory: Inventory, group_id: str | None = None
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
            )
            for name in sorted(self.names)
        )


def capacities(pfs: Sequence[Pf], claimed: Collection[VfId]) -> dict[str, Capacity]:
    """Physical network → VFs. Those of a PF without link count as taken."""
    networks = sorted({pf.physical_network for pf in pfs})
    return {
        network: Capacity(
            free=sum(len(pf.free(claimed)) for pf in pfs if pf.physical_network == network and pf.link_up),
            total=sum(pf.numvfs for pf in pfs if pf.physical_network == network),
        )
        for network in networks
    }


def group_hosts(connection: Connection, group_id: str | None) -> list[str]:
    """The host of each placed server of the group."""
    if group_id is None:
        return []
    return [server.host for server in servers.select(connection, {"group_id": [group_id]}) if server.host is not None]
