"""Which addresses a subnet may give. Pure arithmetic: what is taken is the caller's to know."""

import itertools
from collections.abc import Collection, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from hydria.cloud.network.errors import (
    GatewayConflictWithAllocationPools,
    InvalidAllocationPool,
    InvalidInput,
    OutOfBoundsAllocationPool,
    OverlappingAllocationPools,
)
from hydria.cloud.network.resources import AllocationPool, Subnet

Cidr = IPv4Network | IPv6Network

AUTOMATIC = frozenset({"slaac", "dhcpv6-stateless"})
"""Modes in which a port makes its IPv6 address out of its MAC."""


def parse_cidr(text: str, version: int) -> Cidr:
    try:
        cidr = ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidInput(
            f"Invalid input for cidr. Reason: '{text}' is not a valid IP subnet.", field="cidr"
        ) from error
    if cidr.version != version:
        raise InvalidInput(
            f"Invalid input for operation: cidr '{text}' does not match the ip_version '{version}'.", field="cidr"
        )
    return cidr


def parse_address(text: str, field: str) -> str:
    """In the one spelling that the books use."""
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise InvalidInput(
            f"Invalid input for {field}. Reason: '{text}' is not a valid IP address.", field=field
        ) from error


def first_address(cidr: Cidr) -> str:
    """The gateway of a subnet that names none."""
    return str(cidr.network_address + (1 if cidr.num_addresses > 1 else 0))


def usable(cidr: Cidr, address: str) -> bool:
    """Is `address` one that a port on `cidr` may have?"""
    parsed = ip_address(address)
    if parsed.version != cidr.version or parsed not in cidr:
        return False
    low, high = _bounds(cidr)
    return low <= int(parsed) <= high


def _bounds(cidr: Cidr) -> tuple[int, int]:
    """First and last address for ports: not the network's own (in IPv6: the routers' anycast), not the broadcast."""
    low, high = int(cidr.network_address), int(cidr.broadcast_address)
    if cidr.num_addresses <= 2:
        return low, high
    return low + 1, high - 1 if cidr.version == 4 else high


def default_pools(cidr: Cidr, gateway: str | None) -> list[AllocationPool]:
    low, high = _bounds(cidr)
    gaps = [(low, high)]
    if gateway is not None and usable(cidr, gateway):
        hole = int(ip_address(gateway))
        gaps = [(low, hole - 1), (hole + 1, high)]
    kind = type(cidr.network_address)
    return [AllocationPool(str(kind(start)), str(kind(end))) for start, end in gaps if start <= end]


def check_pools(cidr: Cidr, gateway: str | None, pools: Sequence[AllocationPool]) -> list[AllocationPool]:
    """The pools in normal spelling. Raises the error that Neutron has for what is wrong."""
    ranges = []
    for pool in pools:
        start, end = (ip_address(parse_address(text, "allocation_pools")) for text in (pool.start, pool.end))
        if start.version != end.version or int(start) > int(end):
            raise InvalidAllocationPool(f"The allocation pool {start}-{end} is not valid.", field="allocation_pools")
        if not (usable(cidr, str(start)) and usable(cidr, str(end))):
            raise OutOfBoundsAllocationPool(
                f"The allocation pool {start}-{end} spans beyond the subnet cidr {cidr}.", field="allocation_pools"
            )
        if gateway is not None and int(start) <= int(ip_address(gateway)) <= int(end):
            raise GatewayConflictWithAllocationPools(
                f"Gateway ip {gateway} conflicts with allocation pool {start}-{end}."
            )
        ranges.append((int(start), int(end), AllocationPool(str(start), str(end))))
    ranges.sort(key=lambda entry: entry[0])
    for (_, last, pool), (first, _, other) in itertools.pairwise(ranges):
        if first <= last:
            raise OverlappingAllocationPools(
                f"Found overlapping allocation pools: {pool.start}-{pool.end} and {other.start}-{other.end}"
                f" for subnet {cidr}."
            )
    return [pool for _, _, pool in ranges]


def free_address(subnet: Subnet, taken: Collection[str]) -> str | None:
    """The lowest one of the pools: people can foretell it."""
    kind = type(ip_address(subnet.cidr.partition("/")[0]))
    for pool in subnet.allocation_pools:
        for number in range(int(ip_address(pool.start)), int(ip_address(pool.end)) + 1):
            if (address := str(kind(number))) not in taken:
                return address
    return None


def pool_size(subnet: Subnet) -> int:
    return sum(int(ip_address(pool.end)) - int(ip_address(pool.start)) + 1 for pool in subnet.allocation_pools)


def is_automatic(subnet: Subnet) -> bool:
    return subnet.ipv6_address_mode in AUTOMATIC


def eui64(cidr: str, mac_address: str) -> str:
    """The modified EUI-64 address of RFC 4291, appendix A."""
    octets = bytearray.fromhex(mac_address.replace(":", ""))
    octets[0] ^= 0x02
    interface = bytes(octets[:3]) + b"\xff\xfe" + bytes(octets[3:])
    return str(IPv6Address(int(ip_network(cidr).network_address) | int.from_bytes(interface)))
