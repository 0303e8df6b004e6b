"""What is said of an id in a cloud that is only pretended: always the same, in every process and after every start."""

import hashlib
import ipaddress
import uuid

_SPACE = uuid.UUID("0b6f5f3e-7f0a-5c11-9f53-2c2f2a5d9e01")
_IPV6_MARK = "6"
"""Version digit of the ids that we give to IPv6 subnets; a subnet that somebody else thought of is one of IPv4."""
IPV4 = "10.0.0.0/8"
_PREFIXES = {4: 24, 6: 64}


def id_of(kind: str, *names: str) -> str:
    return str(uuid.uuid5(_SPACE, "/".join((kind, *names))))


def is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def subnet_of(network_id: str, version: int) -> str:
    """Each network has one subnet of each family."""
    made = id_of("subnet", network_id, str(version))
    return made if version == 4 else f"{made[:14]}{_IPV6_MARK}{made[15:]}"


def cidr_of(subnet_id: str) -> str:
    """Wide enough that two ports seldom get the same address."""
    if subnet_id[14:15] != _IPV6_MARK:
        return IPV4
    first, second = _digest(subnet_id)[:1].hex(), _digest(subnet_id)[1:3].hex()
    return str(ipaddress.ip_network(f"fd{first}:{second}::/64"))


def around(address: str) -> str:
    """A subnet that holds it."""
    version = ipaddress.ip_address(address).version
    return str(ipaddress.ip_network(f"{address}/{_PREFIXES[version]}", strict=False))


def address_in(cidr: str, owner: str) -> str:
    """Never the network's, the gateway's or the broadcast address."""
    network = ipaddress.ip_network(cidr)
    number = int.from_bytes(_digest(owner)[:8], "big")
    return str(network[2 + number % (network.num_addresses - 3)])


def mac_of(port_id: str) -> str:
    """A local one, as Neutron's."""
    return "fa:16:3e:" + _digest(port_id)[:3].hex(":")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
