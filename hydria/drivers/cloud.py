"""What Hydria needs of a cloud, and the shapes it comes in. Implementations: openstack.py, and fakes.py for unit tests.

Every call may raise Retryable (no answer, 5xx, 429) besides what is said at it.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from msgspec import Struct, field

from hydria.model.load_balancer import VnicType
from hydria.model.spec import Route


class Network(Struct, kw_only=True, frozen=True):
    id: str
    name: str = ""
    mtu: int = 1500
    port_security_enabled: bool = True
    subnets: tuple[str, ...] = ()


class Subnet(Struct, kw_only=True, frozen=True):
    id: str
    network_id: str
    cidr: str
    ip_version: Literal[4, 6] = 4
    gateway_ip: str | None = None
    host_routes: tuple[Route, ...] = ()


class FixedIp(Struct, kw_only=True, frozen=True):
    subnet_id: str
    ip_address: str | None = None
    """None in a request: the cloud chooses."""


class Port(Struct, kw_only=True, frozen=True):
    id: str
    network_id: str
    name: str = ""
    mac_address: str = ""
    fixed_ips: tuple[FixedIp, ...] = ()
    vnic_type: VnicType = "normal"
    device_id: str = ""
    device_owner: str = ""
    status: str = "DOWN"
    project_id: str | None = ""
    """None: the cloud does not tell."""
    qos_policy_id: str | None = None
    allowed_addresses: tuple[str, ...] = ()
    trusted: bool = False
    port_security: bool = True
    security_groups: tuple[str, ...] = ()
    created_at: str = ""
    """ISO time: a sweeper leaves young ports alone."""


class PortRequest(Struct, kw_only=True, frozen=True):
    network_id: str
    name: str
    """Derived from ids, so that a repeated step finds the port of the interrupted one."""
    fixed_ips: tuple[FixedIp, ...] = ()
    vnic_type: VnicType = "normal"
    project_id: str | None = None
    """None: the service's own."""
    admin_state_up: bool = True
    device_id: str = ""
    device_owner: str = "Octavia"
    allowed_addresses: tuple[str, ...] = ()
    """allowed_address_pairs: the VIPs, on a port that carries them."""
    qos_policy_id: str | None = None
    security_groups: tuple[str, ...] | None = None
    """None: the cloud's default."""
    trusted: bool = False
    """Of a VF: its guest may change MAC addresses and filters."""
    port_security: bool = True
    """False: any address may be sent from it. Such a port has neither allowed addresses nor security groups."""


Ethertype = Literal["IPv4", "IPv6"]


class SecurityGroupRule(Struct, kw_only=True, frozen=True, order=True):
    """In Neutron's words. What is not said is anything."""

    direction: Literal["ingress", "egress"] = "ingress"
    ethertype: Ethertype
    protocol: str | None = None
    """tcp, udp, sctp, icmp, ipv6-icmp, or a number as text."""
    port_range_min: int | None = None
    """Of icmp and ipv6-icmp: the type."""
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: str | None = None


class SecurityGroup(Struct, kw_only=True, frozen=True):
    id: str
    rules: Mapping[str, SecurityGroupRule] = field(default_factory=dict)
    """By their ids."""


class Server(Struct, kw_only=True, frozen=True):
    id: str
    name: str
    status: str
    """Nova's: BUILD, ACTIVE, ERROR, SHUTOFF, DELETED, ..."""
    fault: str | None = None
    """Why, when status is ERROR; holds every host's reason when none was valid."""
    addresses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By network name."""
    flavor: str | None = None
    vcpus: int | None = None
    """Of the flavor as it was when the server was made; None: not known, as in create_server's answer."""
    image_id: str | None = None
    zone: str | None = None


class ServerRequest(Struct, kw_only=True, frozen=True):
    name: str
    flavor: str
    image_id: str
    networks: tuple[str, ...] = ()
    """Network ids the cloud makes ports on; before `ports`."""
    ports: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    """Path under /etc/hydria → text, by user data on a config drive. Holds secrets: never log it."""
    availability_zone: str | None = None
    server_group_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    security_groups: tuple[str, ...] = ()
    """Of the ports that the cloud makes; empty: its default."""
    guaranteed_rate: bool = False
    """One of `ports` has a QoS policy, which may ask for a minimum bandwidth."""


class Cloud(Protocol):
    """Networks and servers. `find_` returns what there is; `get`-like calls return None for what there is not."""

    instant: bool
    """Its calls take no time: nothing is gained by making several at once."""

    def seen_by(self, token: str) -> "Cloud":
        """The same, but `network`, `subnet`, `port` and `exists` find only what that token's owner may see."""

    def supposing(self, network_id: str | None, port_id: str | None, fixed_ips: Sequence[FixedIp]) -> "Cloud":
        """What a request says of its VIPs ("": a subnet that it does not name). Only a pretended cloud makes it so."""

    def network(self, id_or_name: str) -> Network | None: ...

    def subnet(self, subnet_id: str) -> Subnet | None: ...

    def free_addresses(self, network_id: str) -> Mapping[str, int]:
        """Subnet id → number of free addresses."""

    def port(self, port_id: str) -> Port | None: ...

    def find_ports(self, **filters: str | Sequence[str]) -> tuple[Port, ...]:
        """By Neutron's filters: name, device_id, device_owner, network_id; a sequence means any of."""

    def create_port(self, request: PortRequest) -> Port:
        """Raises Conflict (address in use), Invalid (address not in the subnet), Terminal (none left)."""

    def set_allowed_addresses(self, port_id: str, addresses: Sequence[str]) -> None: ...

    def set_security_groups(self, port_id: str, group_ids: Sequence[str]) -> None:
        """Raises NotFound when one of them is gone."""

    def find_security_groups(self, name: str) -> tuple[SecurityGroup, ...]:
        """Those of that name in our own project, the eldest first."""

    def create_security_group(self, name: str) -> SecurityGroup:
        """With the rules that the cloud gives to each new one. Raises Terminal (quota)."""

    def add_security_group_rules(self, group_id: str, rules: Sequence[SecurityGroupRule]) -> None:
        """All or none. Raises Retryable when one is there already, Terminal (quota)."""

    def remove_security_group_rule(self, rule_id: str) -> None:
        """A rule that is gone already is fine."""

    def delete_security_group(self, group_id: str) -> None:
        """A group that is gone already is fine. Raises Retryable while a port has it."""

    def ensure_rate_policy(self, name: str, *, min_mbps: int, max_mbps: int) -> str:
        """Id of our QoS policy of that name, made if it is not there, with these rates of sending; 0: none.

        Raises Terminal when we may not.
        """

    def delete_port(self, port_id: str) -> None:
        """A port that is gone already is fine."""

    def find_servers(self, name: str) -> tuple[Server, ...]:
        """Those named exactly so."""

    def server(self, server_id: str) -> Server | None: ...

    def create_server(self, request: ServerRequest) -> Server:
        """Returns at once, in BUILD. Raises Terminal when refused (flavor not accessible, quota)."""

    def delete_server(self, server_id: str) -> None: ...

    def attach_port(self, server_id: str, port_id: str) -> None:
        """Raises Terminal with the reason when the server's host has no VF for it."""

    def detach_port(self, server_id: str, port_id: str) -> None:
        """What is not attached is fine."""

    def flavor_exists(self, flavor_id: str) -> bool: ...

    def zone_exists(self, name: str) -> bool:
        """A compute availability zone."""

    def image_by_tag(self, tag: str) -> str | None:
        """Id of the newest active image with that tag."""

    def exists(self, kind: Literal["qos-policies", "security-groups"], id_: str) -> bool: ...
