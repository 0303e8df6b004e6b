"""Gives addresses to one port, within the transaction of its caller. Knows no rule about ports."""

from collections.abc import Sequence
from ipaddress import ip_network

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from hydria.cloud.network import tables
from hydria.cloud.network.addresses import eui64, free_address, is_automatic, parse_address, usable
from hydria.cloud.network.errors import (
    InvalidInput,
    InvalidIpForNetwork,
    InvalidIpForSubnet,
    IpAddressAlreadyAllocated,
    IpAddressGenerationFailure,
    SubnetNotFound,
)
from hydria.cloud.network.resources import FixedIp, FixedIpRequest, Port, Subnet
from hydria.cloud.rows import Rows

_subnets = Rows(tables.subnets, Subnet)


class Allocation:
    def __init__(self, connection: Connection, port: Port) -> None:
        self._connection = connection
        self._port = port
        self._subnets = _subnets.select(connection, {"network_id": [port.network_id]})

    def give(self, requests: Sequence[FixedIpRequest] | None) -> None:
        """None: one address per IP version, as far as the network has subnets; an empty list: no address."""
        chosen = self._any() if requests is None else [self._requested(request) for request in requests]
        self._insert(chosen)

    def replace(self, requests: Sequence[FixedIpRequest]) -> None:
        """An address that stays is not given away in between: it is all one transaction."""
        table = tables.ip_allocations
        self._connection.execute(table.delete().where(table.c.port_id == self._port.id))
        kept = {fixed_ip.subnet_id: fixed_ip for fixed_ip in self._port.fixed_ips}
        self._insert([self._kept(request, kept) or self._requested(request) for request in requests])

    @staticmethod
    def _kept(request: FixedIpRequest, kept: dict[str, FixedIp]) -> FixedIp | None:
        """Whoever names a subnet only, and has an address of it, keeps that one."""
        return kept.pop(request.subnet_id or "", None) if request.ip_address is None else None

    def _insert(self, chosen: Sequence[FixedIp]) -> None:
        for position, fixed_ip in enumerate(chosen):
            values = {"subnet_id": fixed_ip.subnet_id, "ip_address": fixed_ip.ip_address, "port_id": self._port.id}
            try:
                self._connection.execute(tables.ip_allocations.insert().values(**values, position=position))
            except IntegrityError as error:
                raise IpAddressAlreadyAllocated(
                    f"IP address {fixed_ip.ip_address} already allocated in subnet {fixed_ip.subnet_id}"
                ) from error

    def _any(self) -> list[FixedIp]:
        chosen = []
        for version in (4, 6):
            candidates = [
                subnet for subnet in self._subnets if subnet.ip_version == version and not is_automatic(subnet)
            ]
            if not candidates:
                continue
            found = next((fixed_ip for subnet in candidates if (fixed_ip := self._free(subnet))), None)
            if found is None:
                raise IpAddressGenerationFailure(f"No more IP addresses available on network {self._port.network_id}.")
            chosen.append(found)
        return chosen + [self._automatic(subnet) for subnet in self._subnets if is_automatic(subnet)]

    def _requested(self, request: FixedIpRequest) -> FixedIp:
        subnet = None if request.subnet_id is None else self._subnet(request.subnet_id)
        if request.ip_address is not None:
            return self._at(parse_address(request.ip_address, "fixed_ips"), subnet)
        if subnet is None:
            raise InvalidInput("Invalid input for operation: IP allocation requires subnet_id or ip_address.")
        if is_automatic(subnet):
            return self._automatic(subnet)
        found = self._free(subnet)
        if found is None:
            raise IpAddressGenerationFailure(f"No more IP addresses available on network {self._port.network_id}.")
        return found

    def _subnet(self, subnet_id: str) -> Subnet:
        for subnet in self._subnets:
            if subnet.id == subnet_id:
                return subnet
        if _subnets.get(self._connection, subnet_id) is None:
            raise SubnetNotFound(f"Subnet {subnet_id} could not be found.")
        raise InvalidInput(
            f"Invalid input for operation: Failed to create port on network {self._port.network_id}, because fixed_ips"
            f" included invalid subnet {subnet_id}."
        )

    def _at(self, address: str, subnet: Subnet | None) -> FixedIp:
        """A given address need not be in a pool."""
        if subnet is not None and not usable(ip_network(subnet.cidr), address):
            raise InvalidIpForSubnet(f"IP address {address} is not a valid IP for the specified subnet.")
        for candidate in self._subnets if subnet is None else [subnet]:
            if usable(ip_network(candidate.cidr), address):
                return FixedIp(candidate.id, address)
        raise InvalidIpForNetwork(
            f"IP address {address} is not a valid IP for any of the subnets on the specified network."
        )

    def _free(self, subnet: Subnet) -> FixedIp | None:
        table = tables.ip_allocations.c
        taken = self._connection.execute(select(table.ip_address).where(table.subnet_id == subnet.id)).scalars()
        address = free_address(subnet, set(taken))
        return None if address is None else FixedIp(subnet.id, address)

    def _automatic(self, subnet: Subnet) -> FixedIp:
        return FixedIp(subnet.id, eui64(subnet.cidr, self._port.mac_address))
