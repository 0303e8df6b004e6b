"""What the config drive's network_data.json means for the management NIC. Pure.

The first link is the management NIC: servers are created with the management network first. The other links are
ports of the load balancer, and stay as they are until a spec names them, even if the document gives them addresses.
"""

import ipaddress
from collections.abc import Callable
from typing import TypeVar

import msgspec
from msgspec import Struct

from hydria.base.errors import Terminal

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Host = ipaddress.IPv4Address | ipaddress.IPv6Address
T = TypeVar("T")

_MODES = {
    "ipv4_dhcp": "DHCP=ipv4",
    "ipv6_dhcp": "DHCP=ipv6",
    "ipv6_slaac": "IPv6AcceptRA=yes",
    # Router advertisements say whether DHCPv6 is to be asked for addresses, or for the rest only.
    "ipv6_dhcpv6-stateful": "IPv6AcceptRA=yes",
    "ipv6_dhcpv6-stateless": "IPv6AcceptRA=yes",
}
"""Types of networks whose addresses others say, as a line of systemd.network(5)."""
_STATIC = ("ipv4", "ipv6")
_MIN_MTU, _MAX_MTU = 68, 65535


class BadNetworkData(Terminal):
    """The text names the field."""


class Route(Struct, frozen=True):
    destination: Network
    gateway: Host


class Nic(Struct, frozen=True):
    """How the management NIC is to be."""

    mac: str | None = None
    """None: the first NIC there is."""
    mtu: int | None = None
    addresses: tuple[Address, ...] = ()
    routes: tuple[Route, ...] = ()
    modes: tuple[str, ...] = ()
    """Lines for systemd-networkd, in order; without any the addresses are all."""


FIRST_NIC = Nic(modes=("DHCP=yes",))
"""When nobody says anything."""


class _RouteData(Struct):
    network: str
    netmask: str
    gateway: str


class _NetworkData(Struct):
    type: str
    link: str
    ip_address: str = ""
    netmask: str = ""
    routes: list[_RouteData] = msgspec.field(default_factory=list)


class _Link(Struct):
    id: str
    ethernet_mac_address: str
    mtu: int | None = None


class _Document(Struct):
    links: list[_Link] = msgspec.field(default_factory=list)
    networks: list[_NetworkData] = msgspec.field(default_factory=list)


def management_nic(document: bytes) -> Nic:
    """Raises BadNetworkData."""
    try:
        data = msgspec.json.decode(document, type=_Document)
    except msgspec.MsgspecError as error:
        raise BadNetworkData(f"Reading network_data.json: {error}") from error
    if not data.links:
        return FIRST_NIC
    link = data.links[0]
    if link.mtu is not None and not _MIN_MTU <= link.mtu <= _MAX_MTU:
        raise BadNetworkData(f"Reading network_data.json: mtu {link.mtu} of link {link.id} is out of range")
    networks = [network for network in data.networks if network.link == link.id]
    static = [network for network in networks if network.type in _STATIC]
    for network in networks:
        if network.type not in (*_STATIC, *_MODES):
            raise BadNetworkData(f"Reading network_data.json: type {network.type} of link {link.id} is not known")
    return Nic(
        mac=link.ethernet_mac_address.lower(),
        mtu=link.mtu,
        addresses=tuple(_address(network) for network in static),
        routes=tuple(_route(route) for network in static for route in network.routes),
        # Two networks of one link may ask for the same.
        modes=tuple(dict.fromkeys(_MODES[network.type] for network in networks if network.type in _MODES)),
    )


def _address(network: _NetworkData) -> Address:
    """With the prefix length in `netmask`, or, as the format's documentation has it for IPv6, in `ip_address`."""
    text = network.ip_address
    return _parsed(ipaddress.ip_interface, text if "/" in text else f"{text}/{_length(network.netmask)}", "ip_address")


def _route(route: _RouteData) -> Route:
    destination = f"{route.network}/{_length(route.netmask)}"
    gateway = _parsed(ipaddress.ip_address, route.gateway, "gateway")
    return Route(_parsed(ipaddress.ip_network, destination, "routes"), gateway)


def _length(netmask: str) -> int:
    """IPv6's too are written as an address."""
    mask = _parsed(ipaddress.ip_address, netmask, "netmask")
    bits = f"{int(mask):0{mask.max_prefixlen}b}"
    if "01" in bits:
        raise BadNetworkData(f"Reading network_data.json: netmask {netmask} has a gap")
    return bits.count("1")


def _parsed(parse: Callable[[str], T], text: str, field: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise BadNetworkData(f"Reading network_data.json: {field}: {error}") from error


def networkd_file(nic: Nic) -> str:
    """For a NIC with modes: all of it is left to systemd-networkd, which would take away what others set."""
    lines = ["[Match]", f"MACAddress={nic.mac}", "[Link]", *([] if nic.mtu is None else [f"MTUBytes={nic.mtu}"])]
    lines += ["[Network]", *nic.modes, *(f"Address={address}" for address in nic.addresses)]
    for route in nic.routes:
        lines += ["[Route]", f"Destination={route.destination}", f"Gateway={route.gateway}", "GatewayOnLink=yes"]
    return "\n".join(lines) + "\n"
