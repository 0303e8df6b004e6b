"""The test networks of the software fabric: what the cloud seeds its subnets from and test hosts get addresses of.

Of each network the cloud hands out the pool; the rest is for test hosts, from the top.
"""

from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_interface

from msgspec import Struct

from hydria.base.errors import Conflict, invalid_field

Network = IPv4Network | IPv6Network
Interface = IPv4Interface | IPv6Interface
Address = IPv4Address | IPv6Address


class TestSubnet(Struct, frozen=True):
    """One subnet of a physical network."""

    __test__ = False  # not a test case, whatever its name begins with

    name: str
    physical_network: str
    cidr: str

    @property
    def network(self) -> Network:
        return ip_interface(self.cidr).network

    @property
    def pool(self) -> tuple[str, str]:
        """First and last address that the cloud gives to ports."""
        return str(self.host(100).ip), str(self.host(199).ip)

    def host(self, number: int) -> Interface:
        """The same digits in both families: 203.0.113.254 and 2001:db8:0:cb::254 are the same host."""
        digits = number if self.network.version == 4 else int(str(number), 16)
        return ip_interface(f"{self.network[digits]}/{self.network.prefixlen}")


SUBNETS = (
    TestSubnet("public-subnet", "public", "203.0.113.0/24"),
    TestSubnet("public-subnet6", "public", "2001:db8:0:cb::/64"),
    TestSubnet("members-subnet", "members", "192.0.2.0/24"),
    TestSubnet("members-subnet6", "members", "2001:db8:0:c0::/64"),
)
"""RFC 5737 and RFC 3849: addresses that nobody has."""


def subnets(physical_network: str) -> tuple[TestSubnet, ...]:
    return tuple(subnet for subnet in SUBNETS if subnet.physical_network == physical_network)


def pick(physical_network: str, taken: Collection[Address]) -> tuple[Interface, ...]:
    """One address of each family for a test host: the highest number that is free in both."""
    nets = subnets(physical_network)
    if not nets:
        raise invalid_field(
            "address", None, f"Physical network '{physical_network}' has no test subnet: give an address."
        )
    for number in range(254, 199, -1):
        candidate = tuple(subnet.host(number) for subnet in nets)
        if not any(interface.ip in taken for interface in candidate):
            return candidate
    raise Conflict(f"Every address for test hosts on physical network '{physical_network}' is taken.")


def parse(addresses: Sequence[str]) -> tuple[Interface, ...]:
    """As people type them: without a prefix length it is that of the test subnets, /24 or /64."""
    return tuple(_parse(text) for text in addresses)


def _parse(text: str) -> Interface:
    try:
        interface = ip_interface(text)
        if "/" in text:
            return interface
        return ip_interface(f"{text}/{24 if interface.version == 4 else 64}")
    except ValueError as error:
        raise invalid_field("address", text, "It is not an IP address.") from error
