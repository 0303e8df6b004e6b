"""Networks, and how full their subnets are."""

from collections.abc import Collection as AnyCollection
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select, true

from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.listing import Document
from hydria.cloud.network import tables
from hydria.cloud.network.addresses import pool_size
from hydria.cloud.network.collection import Collection, Values
from hydria.cloud.network.errors import (
    FlatNetworkInUse,
    InvalidInput,
    NetworkInUse,
    NetworkNotFound,
    NoNetworkAvailable,
    QosPolicyNotFound,
    VlanIdInUse,
)
from hydria.cloud.network.resources import NetworkRow, Subnet
from hydria.cloud.resource import changed
from hydria.cloud.rows import Rows

VLANS = range(1, 4095)


class Networks(Collection[NetworkRow]):
    name, plural, title, missing = "network", "networks", "Network", NetworkNotFound

    def __init__(self, database: Database, physical_networks: AnyCollection[str], tenants: str | None = None) -> None:
        """`tenants`: the physical network of networks that nobody says a physical network of."""
        super().__init__(database, tables.networks, NetworkRow)
        self._physical_networks = physical_networks
        self._tenants = tenants

    def visible(self, context: Context) -> ColumnElement[bool]:
        table = self.rows.table.c
        return or_(super().visible(context), table.shared == true(), table["router:external"] == true())

    def complete(self, connection: Connection, resources: list[NetworkRow]) -> list[NetworkRow]:
        table = tables.subnets.c
        query = select(table.network_id, table.id)
        if len(resources) == 1:
            query = query.where(table.network_id == resources[0].id)
        subnets: dict[str, list[str]] = {}
        for network_id, subnet_id in connection.execute(query):
            subnets.setdefault(network_id, []).append(subnet_id)
        for network in resources:
            network.subnets = subnets.get(network.id, [])
        return resources

    def insert(self, connection: Connection, context: Context, values: Values) -> NetworkRow:  # noqa: ARG002
        network = self.new(values)
        check_policy(connection, network.qos_policy_id)
        kind, physical_network = network.network_type, network.physical_network
        if physical_network is None:
            if "provider:network_type" in values:
                raise InvalidInput(
                    f"Invalid input for operation: physical_network required for {kind} provider network."
                )
            self._place_tenant(connection, network)
        elif physical_network not in self._physical_networks:
            raise InvalidInput(
                f"Invalid input for operation: physical_network '{physical_network}' unknown for {kind} provider"
                " network."
            )
        elif kind == "flat":
            self._check_flat(connection, network)
        else:
            network.segmentation_id = self._vlan(connection, network)
        self.rows.insert(connection, network)
        return network

    def _place_tenant(self, connection: Connection, network: NetworkRow) -> None:
        """The highest VLAN that is free: operators number theirs from below."""
        network.network_type, network.physical_network = "vlan", self._tenants
        taken = self._segments(connection, network)
        free = next((vlan for vlan in reversed(VLANS) if vlan not in taken), None)
        if self._tenants is None or free is None:
            raise NoNetworkAvailable("Unable to create the network. No tenant network is available for allocation.")
        network.segmentation_id = free

    def _check_flat(self, connection: Connection, network: NetworkRow) -> None:
        if network.segmentation_id is not None:
            raise InvalidInput("Invalid input for operation: segmentation_id prohibited for flat provider network.")
        if self._segments(connection, network):
            raise FlatNetworkInUse(
                f"Unable to create the flat network. Physical network {network.physical_network} is in use."
            )

    def _vlan(self, connection: Connection, network: NetworkRow) -> int:
        taken = self._segments(connection, network)
        if network.segmentation_id is None:
            for vlan in VLANS:
                if vlan not in taken:
                    return vlan
        if network.segmentation_id is None or network.segmentation_id in taken:
            raise VlanIdInUse(
                f"Unable to create the network. The VLAN {network.segmentation_id} on physical network"
                f" {network.physical_network} is in use."
            )
        return network.segmentation_id

    def _segments(self, connection: Connection, network: NetworkRow) -> set[int | None]:
        """VLANs of the networks on the same physical network; None stands for the flat one."""
        table = self.rows.table.c
        query = select(table["provider:segmentation_id"]).where(
            table["provider:physical_network"] == network.physical_network,
            table["provider:network_type"] == network.network_type,
        )
        return set(connection.execute(query).scalars())

    def replace(self, connection: Connection, context: Context, current: NetworkRow, values: Values) -> NetworkRow:  # noqa: ARG002
        network = changed(current, values)
        check_policy(connection, network.qos_policy_id)
        return self.store(connection, network)

    def remove(self, connection: Connection, context: Context, current: NetworkRow) -> None:  # noqa: ARG002
        ports = tables.ports.c
        users = connection.execute(select(ports.id).where(ports.network_id == current.id)).scalars().all()
        if users:
            raise NetworkInUse(
                f"Unable to complete operation on network {current.id}. There are one or more ports still in use on"
                f" the network, id for these ports is {','.join(users[:10])}."
            )
        self.rows.delete(connection, current.id)

    def availabilities(self, context: Context) -> list[Document]:
        """GET /network-ip-availabilities."""
        allocations = tables.ip_allocations.c
        counted = select(allocations.subnet_id, func.count()).group_by(allocations.subnet_id)
        with self.database.read() as connection:
            used: dict[str, int] = {row[0]: row[1] for row in connection.execute(counted)}
            subnets = Rows(tables.subnets, Subnet).select(connection)
            where = [] if context.is_admin else [self.visible(context)]
            networks = self.rows.select(connection, None, *where)
        return [
            _availability(network, [subnet for subnet in subnets if subnet.network_id == network.id], used)
            for network in networks
        ]


def check_policy(connection: Connection, policy_id: str | None) -> None:
    """Raises QosPolicyNotFound."""
    table = tables.qos_policies.c
    if policy_id is not None and connection.execute(select(table.id).where(table.id == policy_id)).first() is None:
        raise QosPolicyNotFound(f"QoS policy {policy_id} could not be found.")


def _availability(network: NetworkRow, subnets: list[Subnet], used: dict[str, int]) -> dict[str, Any]:
    of_subnets = [
        {
            "subnet_id": subnet.id,
            "subnet_name": subnet.name,
            "cidr": subnet.cidr,
            "ip_version": subnet.ip_version,
            "total_ips": pool_size(subnet),
            "used_ips": used.get(subnet.id, 0),
        }
        for subnet in subnets
    ]
    return {
        "network_id": network.id,
        "network_name": network.name,
        "project_id": network.project_id,
        "tenant_id": network.project_id,
        "total_ips": sum(pool_size(subnet) for subnet in subnets),
        "used_ips": sum(used.get(subnet.id, 0) for subnet in subnets),
        "subnet_ip_availability": of_subnets,
    }
