"""Who may reach an amphora: the facts of which its own firewall and its port's security group are both made. Pure.

Besides, both let in echo requests, and VRRP and HAProxy's peers protocol from the load balancer's other amphora.
"""

import ipaddress
from collections.abc import Sequence
from typing import Literal, Protocol

from hydria.model.listener import ListenerProtocol, layer4

VRRP = 112
"""IP protocol number (RFC 9568)."""
Version = Literal[4, 6]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Service(Protocol):
    """A listener of the API, or of a spec."""

    @property
    def protocol(self) -> ListenerProtocol: ...
    @property
    def protocol_port(self) -> int: ...
    @property
    def allowed_cidrs(self) -> Sequence[str] | None: ...


def transport(service: Service) -> str:
    return layer4(service.protocol).lower()


def sources(service: Service, version: Version) -> list[Network] | None:
    """Allowed networks of one family, without overlaps, which an nft set would refuse; None: anybody."""
    if not service.allowed_cidrs:
        return None
    networks = [ipaddress.ip_network(cidr, strict=False) for cidr in service.allowed_cidrs]
    merged: list[Network] = []
    # Each family by itself: 0.0.0.0/0 says nothing about IPv6 (H-7).
    if version == 4:
        merged += ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv4Network))
    else:
        merged += ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv6Network))
    return None if any(network.prefixlen == 0 for network in merged) else merged
