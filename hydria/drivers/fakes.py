"""A cloud in memory that behaves: IPAM, VFs that run out, servers that take time, and interruptions at any call."""

import collections
import copy
import ipaddress
import itertools
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeVar

import msgspec

from hydria.base.errors import Conflict, Invalid, Retryable, Terminal, not_found
from hydria.drivers.cloud import FixedIp, Network, Port, PortRequest, Server, ServerRequest, Subnet
from hydria.drivers.fake_security_groups import DEFAULT, FakeSecurityGroups
from hydria.drivers.interruptions import Interruptions
from hydria.model.spec import Route

T = TypeVar("T", Network, Subnet, Port)

_NOVA = "compute:nova"
"""Owner of the ports that compute makes and deletes with the server."""


def id_of(kind: str, name: str) -> str:
    """The same in every run, and a UUID as the API demands."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{name}"))


@dataclass
class _Guest:
    server: Server
    host: str | None
    polls_left: int
    request: ServerRequest


@dataclass
class _Host:
    name: str
    vfs: Mapping[str, int]
    """Network id → VFs of its physical network."""
    zone: str
    taken: dict[str, str] = field(default_factory=dict)
    """Port id → network id."""
    cut: set[str] = field(default_factory=set)
    """Networks whose PF has no link."""

    def free(self, network_id: str) -> int:
        return self.vfs.get(network_id, 0) - sum(taken == network_id for taken in self.taken.values())


class FakeCloud(FakeSecurityGroups):
    """drivers.cloud.Cloud in memory. One lock around everything: callers may be many threads."""

    instant = False

    def __init__(self, interruptions: Interruptions | None = None, *, build_polls: int = 1) -> None:
        super().__init__()
        self.interruptions = interruptions or Interruptions()
        self.build_polls = build_polls
        """Times that a new server is seen in BUILD before it is ACTIVE or ERROR."""
        self.networks: dict[str, Network] = {}
        self.subnets: dict[str, Subnet] = {}
        self.ports: dict[str, Port] = {}
        self.guests: dict[str, _Guest] = {}
        self.hosts: dict[str, _Host] = {}
        self.flavors = {"amphora"}
        self.vcpus: dict[str, int | None] = {"amphora": 1}
        """By flavor. None, or left out: a cloud that does not tell."""
        self.images = {"amphora": "image-1"}
        self.existing: set[tuple[str, str]] = set()
        """(kind, id) of QoS policies and security groups."""
        self.heeds_links = True
        """False: as Nova, which does not know of a PF's link."""
        self.rates: dict[str, tuple[int, int]] = {}
        """QoS policy id → Mbit/s, guaranteed and at most."""
        self.hidden: collections.defaultdict[str, set[str]] = collections.defaultdict(set)
        """Token → ids of what its owner may not see."""
        self._unseen: set[str] = set()
        self._lock = threading.RLock()
        self._macs = itertools.count(1)

    # What a test arranges and looks at.

    def add_network(
        self, name: str, *cidrs: str, port_security: bool = True, mtu: int = 1500, routes: Sequence[Route] = ()
    ) -> Network:
        """A network with a subnet per CIDR, the first address of each being its gateway."""
        subnets = []
        for number, cidr in enumerate(cidrs, start=1):
            net = ipaddress.ip_network(cidr)
            subnet = Subnet(
                id=id_of("subnet", cidr),
                network_id=id_of("network", name),
                cidr=cidr,
                ip_version=net.version,
                gateway_ip=str(net.network_address + 1),
                host_routes=tuple(routes) if number == 1 else (),
            )
            self.subnets[subnet.id] = subnet
            subnets.append(subnet.id)
        network = Network(
            id=id_of("network", name), name=name, mtu=mtu, port_security_enabled=port_security, subnets=tuple(subnets)
        )
        self.networks[network.id] = network
        return network

    def add_host(self, name: str, zone: str | None = None, **vfs: int) -> None:
        """`vfs`: network name → VFs. `zone`: availability zone, by default one of its own."""
        self.hosts[name] = _Host(name, {id_of("network", of): number for of, number in vfs.items()}, zone or name)

    def cut_link(self, host: str, network: str) -> None:
        """The PF there loses its link: VFs that are in use lose theirs, and no further one is given away."""
        self.hosts[host].cut.add(id_of("network", network))

    def mend_link(self, host: str, network: str) -> None:
        self.hosts[host].cut.discard(id_of("network", network))

    def has_link(self, port_id: str) -> bool:
        return not any(host.taken.get(port_id) in host.cut for host in self.hosts.values())

    def free_vfs(self, network: str) -> int:
        return sum(host.free(id_of("network", network)) for host in self.hosts.values())

    def kill_server(self, server_id: str, status: str = "SHUTOFF", fault: str | None = None) -> None:
        guest = self.guests[server_id]
        guest.server = msgspec.structs.replace(guest.server, status=status, fault=fault)

    @property
    def servers(self) -> tuple[Server, ...]:
        return tuple(guest.server for guest in self.guests.values())

    def seen_by(self, token: str) -> "FakeCloud":
        view = copy.copy(self)
        view._unseen = self.hidden[token]  # noqa: SLF001 - a copy of ourselves
        return view

    def supposing(self, network_id: str | None, port_id: str | None, fixed_ips: Sequence[FixedIp]) -> "FakeCloud":
        del network_id, port_id, fixed_ips
        return self

    # Networks.

    def network(self, id_or_name: str) -> Network | None:
        with self.interruptions.call("network"), self._lock:
            by_name = (network for network in self.networks.values() if network.name == id_or_name)
            return self._seen(self.networks.get(id_or_name) or next(by_name, None))

    def subnet(self, subnet_id: str) -> Subnet | None:
        with self.interruptions.call("subnet"), self._lock:
            return self._seen(self.subnets.get(subnet_id))

    def free_addresses(self, network_id: str) -> Mapping[str, int]:
        with self.interruptions.call("free_addresses"), self._lock:
            network = self.networks.get(network_id)
            return {id_: self._free(id_) for id_ in network.subnets} if network else {}

    def port(self, port_id: str) -> Port | None:
        with self.interruptions.call("port"), self._lock:
            return self._seen(self.ports.get(port_id))

    def find_ports(self, **filters: str | Sequence[str]) -> tuple[Port, ...]:
        with self.interruptions.call("find_ports"), self._lock:
            wanted = {key: (value,) if isinstance(value, str) else value for key, value in filters.items()}
            return tuple(
                port
                for port in self.ports.values()
                if all(getattr(port, key) in values for key, values in wanted.items())
            )

    def create_port(self, request: PortRequest) -> Port:
        with self.interruptions.call("create_port"), self._lock:
            return self._make_port(request)

    def set_allowed_addresses(self, port_id: str, addresses: Sequence[str]) -> None:
        with self.interruptions.call("set_allowed_addresses"), self._lock:
            if port_id not in self.ports:
                raise not_found("Port", port_id)
            if addresses and not self.ports[port_id].port_security:
                raise Terminal("Port Security must be enabled in order to have allowed address pairs.")
            self._change_port(port_id, allowed_addresses=tuple(addresses))

    def ensure_rate_policy(self, name: str, *, min_mbps: int, max_mbps: int) -> str:
        with self.interruptions.call("ensure_rate_policy"), self._lock:
            id_ = id_of("qos-policy", name)
            self.existing.add(("qos-policies", id_))
            self.rates[id_] = (min_mbps, max_mbps)
            return id_

    def delete_port(self, port_id: str) -> None:
        with self.interruptions.call("delete_port"), self._lock:
            self._release(port_id)
            self.ports.pop(port_id, None)

    # Servers.

    def find_servers(self, name: str) -> tuple[Server, ...]:
        with self.interruptions.call("find_servers"), self._lock:
            return tuple(self._polled(guest) for guest in list(self.guests.values()) if guest.server.name == name)

    def server(self, server_id: str) -> Server | None:
        with self.interruptions.call("server"), self._lock:
            guest = self.guests.get(server_id)
            return self._polled(guest) if guest else None

    def create_server(self, request: ServerRequest) -> Server:
        with self.interruptions.call("create_server"), self._lock:
            if request.flavor not in self.flavors:
                raise Terminal(f"Creating server {request.name}: Flavor {request.flavor} could not be found.")
            for port_id in request.ports:
                if port_id not in self.ports:
                    raise Terminal(f"Creating server {request.name}: Port {port_id} could not be found.")
            server = Server(
                id=str(uuid.uuid4()),
                name=request.name,
                status="BUILD",
                flavor=request.flavor,
                image_id=request.image_id,
            )
            host = self._schedule(request)
            self.guests[server.id] = _Guest(server, host, self.build_polls, request)
            for port_id in request.ports:
                self._bind(port_id, server.id, host)
            if host is not None:
                for network_id in request.networks:
                    owned = PortRequest(network_id=network_id, name="", device_id=server.id, device_owner=_NOVA)
                    self._make_port(owned)
            return server

    def delete_server(self, server_id: str) -> None:
        with self.interruptions.call("delete_server"), self._lock:
            self.guests.pop(server_id, None)
            for port in [port for port in self.ports.values() if port.device_id == server_id]:
                self._release(port.id)
                if port.device_owner == _NOVA:
                    del self.ports[port.id]

    def attach_port(self, server_id: str, port_id: str) -> None:
        with self.interruptions.call("attach_port"), self._lock:
            guest, port = self.guests.get(server_id), self.ports.get(port_id)
            if guest is None or guest.host is None or port is None or guest.server.status != "ACTIVE":
                raise Retryable(f"Attaching port {port_id} to server {server_id}: not possible in its state.")
            if port.device_id == server_id:
                return
            host = self.hosts[guest.host]
            if port.vnic_type == "direct" and not host.free(port.network_id):
                raise Terminal(f"Attaching port {port_id} to server {server_id}: {self._lack(host, port.network_id)}.")
            self._bind(port_id, server_id, guest.host)

    def detach_port(self, server_id: str, port_id: str) -> None:
        with self.interruptions.call("detach_port"), self._lock:
            port = self.ports.get(port_id)
            if port is not None and port.device_id == server_id:
                self._release(port_id)

    # The rest.

    def flavor_exists(self, flavor_id: str) -> bool:
        with self.interruptions.call("flavor_exists"):
            return flavor_id in self.flavors

    def zone_exists(self, name: str) -> bool:
        with self.interruptions.call("zone_exists"), self._lock:
            return any(host.zone == name for host in self.hosts.values())

    def image_by_tag(self, tag: str) -> str | None:
        with self.interruptions.call("image_by_tag"):
            return self.images.get(tag)

    def exists(self, kind: Literal["qos-policies", "security-groups"], id_: str) -> bool:
        with self.interruptions.call("exists"):
            return (kind, id_) in self.existing and id_ not in self._unseen

    # Behind the calls.

    def _seen(self, found: T | None) -> T | None:
        return None if found is None or found.id in self._unseen else found

    def _make_port(self, request: PortRequest) -> Port:
        network = self.networks.get(request.network_id)
        if network is None:
            raise not_found("Network", request.network_id)
        if not request.port_security and (request.allowed_addresses or request.security_groups):
            raise Invalid("Port Security must be enabled in order to have allowed address pairs or security groups.")
        self._check_groups(request.security_groups or ())
        protected = request.port_security and network.port_security_enabled
        groups = (DEFAULT,) if request.security_groups is None and protected else request.security_groups or ()
        asked = request.fixed_ips or tuple(FixedIp(subnet_id=id_) for id_ in network.subnets[:1])
        fixed: list[FixedIp] = []
        for item in asked:
            fixed.append(FixedIp(subnet_id=item.subnet_id, ip_address=self._allocate(network, item, fixed)))
        port = Port(
            id=str(uuid.uuid4()),
            network_id=network.id,
            name=request.name,
            mac_address="fa:16:3e:" + ":".join(f"{byte:02x}" for byte in next(self._macs).to_bytes(3)),
            fixed_ips=tuple(fixed),
            vnic_type=request.vnic_type,
            device_id=request.device_id,
            device_owner=request.device_owner,
            project_id=request.project_id or "service",
            qos_policy_id=request.qos_policy_id,
            allowed_addresses=request.allowed_addresses,
            trusted=request.trusted,
            port_security=protected,
            security_groups=groups,
            created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        )
        self.ports[port.id] = port
        return port

    def _polled(self, guest: _Guest) -> Server:
        if guest.server.status == "BUILD" and guest.polls_left > 0:
            guest.polls_left -= 1
        elif guest.server.status == "BUILD":
            guest.server = self._built(guest)
        return guest.server

    def _built(self, guest: _Guest) -> Server:
        if guest.host is None:
            reasons = "; ".join(f"{host.name}: {self._unfit(host, guest.request)}" for host in self.hosts.values())
            return msgspec.structs.replace(
                guest.server, status="ERROR", fault=f"No valid host was found. {reasons or 'There are no hosts.'}"
            )
        addresses: dict[str, list[str]] = {}
        for port in self.ports.values():
            if port.device_id == guest.server.id:
                found = addresses.setdefault(self.networks[port.network_id].name, [])
                found.extend(ip.ip_address for ip in port.fixed_ips if ip.ip_address)
        return msgspec.structs.replace(
            guest.server,
            status="ACTIVE",
            addresses=addresses,
            zone=self.hosts[guest.host].zone,
            vcpus=self.vcpus.get(guest.request.flavor),
        )

    def _schedule(self, request: ServerRequest) -> str | None:
        return next((host.name for host in self.hosts.values() if not self._unfit(host, request)), None)

    def _unfit(self, host: _Host, request: ServerRequest) -> str | None:
        if request.availability_zone not in (None, host.zone):
            return f"is in availability zone {host.zone}, not {request.availability_zone}"
        wanted = collections.Counter(
            self.ports[id_].network_id
            for id_ in request.ports
            if id_ in self.ports and self.ports[id_].vnic_type == "direct"
        )
        cut = host.cut if self.heeds_links else set()
        lacking = (net for net, number in wanted.items() if host.free(net) < number or net in cut)
        return next((self._lack(host, net) for net in lacking), None)

    def _lack(self, host: _Host, network_id: str) -> str:
        if network_id in host.cut:
            return f"the PF on physical network '{self.networks[network_id].name}' has no link"
        return f"no free VF on physical network '{self.networks[network_id].name}' ({host.vfs.get(network_id, 0)} VFs)"

    def _bind(self, port_id: str, server_id: str, host: str | None) -> None:
        port = self.ports[port_id]
        if host is not None and port.vnic_type == "direct":
            self.hosts[host].taken[port_id] = port.network_id
        self._change_port(port_id, device_id=server_id, status="DOWN" if host is None else "ACTIVE")

    def _release(self, port_id: str) -> None:
        for host in self.hosts.values():
            host.taken.pop(port_id, None)
        if port_id in self.ports:
            self._change_port(port_id, device_id="", status="DOWN")

    def _change_port(self, port_id: str, **values: object) -> None:
        self.ports[port_id] = msgspec.structs.replace(self.ports[port_id], **values)

    def _taken(self, subnet_id: str) -> set[str | None]:
        return {ip.ip_address for port in self.ports.values() for ip in port.fixed_ips if ip.subnet_id == subnet_id}

    def _free(self, subnet_id: str) -> int:
        subnet = self.subnets[subnet_id]
        size = ipaddress.ip_network(subnet.cidr).num_addresses
        return (
            size - (2 if subnet.ip_version == 4 else 1) - (subnet.gateway_ip is not None) - len(self._taken(subnet_id))
        )

    def _allocate(self, network: Network, asked: FixedIp, with_these: Sequence[FixedIp]) -> str:
        if asked.subnet_id not in network.subnets:
            raise Invalid(f"Subnet {asked.subnet_id} is not in network {network.id}.", field="fixed_ips")
        subnet = self.subnets[asked.subnet_id]
        net = ipaddress.ip_network(subnet.cidr)
        taken = self._taken(subnet.id) | {ip.ip_address for ip in with_these}
        if asked.ip_address is None:
            free = (str(ip) for ip in net.hosts() if str(ip) not in taken and str(ip) != subnet.gateway_ip)
            address = next(free, None)
            if address is None:
                raise Terminal(f"No more IP addresses available on network {network.id}.")
            return address
        if ipaddress.ip_address(asked.ip_address) not in net:
            raise Invalid(f"IP address {asked.ip_address} is not in subnet {subnet.id}.", field="fixed_ips")
        if asked.ip_address in taken:
            raise Conflict(f"IP address {asked.ip_address} already allocated in subnet {subnet.id}.")
        return asked.ip_address
