"""Subnets: their prefixes, gateways and pools."""

from ipaddress import ip_network

from sqlalchemy import ColumnElement, Connection, or_, select

from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.network import tables
from hydria.cloud.network.addresses import (
    Cidr,
    check_pools,
    default_pools,
    first_address,
    parse_address,
    parse_cidr,
    usable,
)
from hydria.cloud.network.collection import Collection, Values
from hydria.cloud.network.errors import InvalidInput, SubnetInUse, SubnetNotFound
from hydria.cloud.network.networks import Networks
from hydria.cloud.network.resources import Subnet
from hydria.cloud.resource import changed


class Subnets(Collection[Subnet]):
    name, plural, title, missing = "subnet", "subnets", "Subnet", SubnetNotFound

    def __init__(self, database: Database, networks: Networks) -> None:
        super().__init__(database, tables.subnets, Subnet)
        self._networks = networks

    def visible(self, context: Context) -> ColumnElement[bool]:
        networks = select(tables.networks.c.id).where(self._networks.visible(context))
        return or_(super().visible(context), self.rows.table.c.network_id.in_(networks))

    def insert(self, connection: Connection, context: Context, values: Values) -> Subnet:
        for name in ("network_id", "cidr"):
            if not values.get(name):
                raise InvalidInput(f"Failed to parse request. Required attribute '{name}' not specified", field=name)
        network = self._networks.find_own(connection, context, values["network_id"], "create_subnet")
        version = values.get("ip_version", 4)
        cidr = parse_cidr(values["cidr"], version)
        self._check_overlap(connection, network.id, cidr)
        gateway = values.get("gateway_ip", first_address(cidr))
        checked = {"cidr": str(cidr), "gateway_ip": gateway, "project_id": network.project_id}
        subnet = self.new({**values, **checked})
        if version == 4 and (subnet.ipv6_address_mode or subnet.ipv6_ra_mode):
            raise InvalidInput("Invalid input for operation: ipv6_address_mode is not valid when ip_version is 4.")
        subnet = _checked(subnet, cidr, pools_given="allocation_pools" in values)
        self.rows.insert(connection, subnet)
        return subnet

    def _check_overlap(self, connection: Connection, network_id: str, cidr: Cidr) -> None:
        table = self.rows.table.c
        query = select(table.cidr).where(table.network_id == network_id, table.ip_version == cidr.version)
        for other in connection.execute(query).scalars():
            if ip_network(other).overlaps(cidr):
                raise InvalidInput(
                    f"Invalid input for operation: Requested subnet with cidr: {cidr} for network: {network_id}"
                    " overlaps with another subnet."
                )

    def replace(self, connection: Connection, context: Context, current: Subnet, values: Values) -> Subnet:  # noqa: ARG002
        subnet = _checked(changed(current, values), ip_network(current.cidr), pools_given=True)
        return self.store(connection, subnet)

    def remove(self, connection: Connection, context: Context, current: Subnet) -> None:  # noqa: ARG002
        allocations = tables.ip_allocations.c
        if connection.execute(select(allocations.port_id).where(allocations.subnet_id == current.id)).first():
            raise SubnetInUse(
                f"Unable to complete operation on subnet {current.id}: One or more ports have an IP allocation from"
                " this subnet."
            )
        self.rows.delete(connection, current.id)


def _checked(subnet: Subnet, cidr: Cidr, *, pools_given: bool) -> Subnet:
    """`subnet` with everything in normal spelling. Raises the error that Neutron has for what is wrong."""
    if subnet.gateway_ip is not None:
        subnet.gateway_ip = parse_address(subnet.gateway_ip, "gateway_ip")
        # An IPv6 router may well be reached by its link-local address.
        if not usable(cidr, subnet.gateway_ip) and not subnet.gateway_ip.startswith("fe80:"):
            raise InvalidInput(
                f"Invalid input for operation: Gateway is not valid on subnet: {subnet.gateway_ip} not in {cidr}.",
                field="gateway_ip",
            )
    if pools_given:
        subnet.allocation_pools = check_pools(cidr, subnet.gateway_ip, subnet.allocation_pools)
    else:
        subnet.allocation_pools = default_pools(cidr, subnet.gateway_ip)
    subnet.dns_nameservers = [parse_address(server, "dns_nameservers") for server in subnet.dns_nameservers]
    for route in subnet.host_routes:
        parse_address(route.nexthop, "host_routes")
        try:
            ip_network(route.destination)
        except ValueError as error:
            raise InvalidInput(
                f"Invalid input for host_routes. Reason: '{route.destination}' is not a valid IP subnet.",
                field="host_routes",
            ) from error
    return subnet
