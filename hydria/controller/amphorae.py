"""Makes sure that a load balancer has its amphora: row, base port, server, and an agent that answers."""

import datetime as dt
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from hydria.base.errors import RequestError, Retryable, Terminal
from hydria.base.log import Logger
from hydria.controller import desired, names
from hydria.controller.leftovers import Sweeper, remove_amphora
from hydria.controller.outside import Outside
from hydria.controller.parallel import both
from hydria.controller.vf_settings import with_vf_settings
from hydria.drivers.cloud import FixedIp, Port, PortRequest, Server, ServerRequest
from hydria.model.amphora import Amphora
from hydria.model.graph import Graph
from hydria.model.spec import VIP_INTERFACE, AgentConfig, Info
from hydria.model.status import AmphoraStatus
from hydria.store import events, resources
from hydria.store.database import Database

_ALIVE = frozenset({"BUILD", "ACTIVE", "REBOOT", "HARD_REBOOT", "MIGRATING", "PAUSED", "SUSPENDED"})
"""Nova's statuses of a server that may answer yet. One of any other status is replaced."""
_SERVER_POLL = 0.03
_AGENT_POLL = 0.015
_PATIENCE = 20
"""What has taken t seconds is asked after every t / 20: a container is not kept waiting, nor a slow cloud pestered."""
_SERVER_CHECK = 1.0
"""While its agent is waited for, a server is looked at that often."""
_AGENT_CONFIG = "/etc/hydria/agent.json"

log = Logger(__name__)


class DidNotBoot(Retryable):
    """The amphora came to nothing; another one may fare better."""


@dataclass(frozen=True)
class Running:
    """An amphora whose agent answers."""

    row: Amphora
    server_id: str
    address: str
    info: Info
    base_port: Port
    member_ports: tuple[Port, ...] = ()
    """Attached or not."""
    nic_names: Mapping[str, str] = field(default_factory=dict)
    """MAC address → interface in the amphora."""


class Amphorae:
    def __init__(self, outside: Outside, database: Database, sweeper: Sweeper) -> None:
        self._outside = outside
        self._cloud = outside.cloud
        self._config = outside.config.controller
        self._database = database
        self._sweeper = sweeper

    def ensure(self, graph: Graph) -> Running:
        """The one amphora of a SINGLE load balancer; a lost one is replaced. Raises Terminal when none can be had."""
        usable = [
            row for row in graph.amphorae if row.status not in (AmphoraStatus.PENDING_DELETE, AmphoraStatus.ERROR)
        ]
        usable.sort(key=lambda row: row.status is not AmphoraStatus.ALLOCATED)
        for row in graph.amphorae:
            if row not in usable[:1]:
                self.dispose(row)
        running = self._existing(graph, usable[0]) if usable else None
        return running or self._start(graph, self._insert(graph))

    def dispose(self, row: Amphora) -> None:
        """Remove all of it from the cloud, then its row."""
        self._update(row.id, status=AmphoraStatus.PENDING_DELETE)
        remove_amphora(self._outside, row.id, row.compute_id)
        with self._database.write() as tx:
            resources.delete(tx, Amphora, row.id)
        self._sweeper.amphora_removed(row.id)

    # An amphora that has been there before.

    def _existing(self, graph: Graph, row: Amphora) -> Running | None:
        """None: it was lost, and is disposed of."""
        server, ports = both(
            lambda: self._server_of(row), lambda: self._cloud.find_ports(name=names.amphora_ports(row.id))
        )
        base = next((port for port in ports if port.name == names.base_port(row.id)), None)
        if row.status is not AmphoraStatus.ALLOCATED:
            return self._start(graph, row, base, server)
        running, lost = self._asked(row, server, base, ports)
        if running is not None:
            self._ensure_allowed_addresses(graph, running.base_port)
            return running
        log.warning("amphora replaced", amphora_id=row.id, reason=lost)
        with self._database.write() as tx:
            reason = f"Amphora {row.id} is replaced: {lost}"
            events.record(tx, graph.load_balancer.id, Amphora, row.id, level="WARNING", reason=reason)
        self.dispose(row)
        return None

    def _asked(
        self, row: Amphora, server: Server | None, base: Port | None, ports: tuple[Port, ...]
    ) -> tuple[Running | None, str]:
        """The amphora, or why it is lost. Raises Retryable while that is uncertain."""
        if server is None or row.lb_network_ip is None:
            return None, "its server is gone."
        if server.status not in _ALIVE:
            return None, f"its server is {server.status}. {server.fault or ''}".rstrip()
        if base is None:
            return None, "its base port is gone."
        try:
            info = self._outside.client.info(row.id, row.lb_network_ip)
            observed = self._outside.client.observed(row.id, row.lb_network_ip)
        except Retryable as error:
            if not self._outside.vitals.lost(row.id):
                raise
            if wait := self._outside.breaker.wait_time():
                raise Retryable(f"{error.message} Others are being replaced.", after=wait) from error
            return None, f"{error.message} It has been silent for {self._outside.vitals.silence(row.id):.0f} s."
        members = tuple(port for port in ports if port.name == names.member_port(row.id))
        nics = {nic.mac_address: nic.name for nic in observed.interfaces}
        return Running(row, server.id, row.lb_network_ip, info, base, members, nics), ""

    def _server_of(self, row: Amphora) -> Server | None:
        if row.compute_id is not None:
            return self._cloud.server(row.compute_id)
        return next(iter(self._cloud.find_servers(names.server(row.id))), None)

    def _ensure_allowed_addresses(self, graph: Graph, base: Port) -> None:
        if not base.port_security:
            return
        wanted = desired.vip_addresses(graph)
        if set(base.allowed_addresses) != set(wanted):
            self._cloud.set_allowed_addresses(base.id, wanted)

    # A new one, or one whose start was interrupted.

    def _insert(self, graph: Graph) -> Amphora:
        """The row comes before all that bears its id, so that this is found again whatever happens."""
        validity = dt.timedelta(days=self._outside.config.certificates.amphora_validity_days)
        with self._database.write() as tx:
            row = Amphora(
                id=str(uuid.uuid4()),
                loadbalancer_id=graph.load_balancer.id,
                cert_expiration=resources.now(tx) + validity,
            )
            return resources.insert(tx, row)

    def _start(self, graph: Graph, row: Amphora, base: Port | None = None, server: Server | None = None) -> Running:
        try:
            return self._started(graph, row, base, server)
        except (DidNotBoot, Terminal, RequestError) as error:
            log.warning("amphora did not start", amphora_id=row.id, reason=error)
            self.dispose(row)
            raise

    def _started(self, graph: Graph, row: Amphora, base: Port | None, server: Server | None) -> Running:
        if server is None:
            base, server = self._create_server(graph, row, base)
        elif base is None:
            raise DidNotBoot(f"The base port of amphora {row.id} disappeared.")
        self._update(row.id, status=AmphoraStatus.BOOTING, **_facts(graph, base, server))
        server = self._await_server(server)
        address = self._management_address(server, base)
        info = self._await_agent(row.id, server.id, address)
        if base.vnic_type == "direct" and not info.nftables:
            raise Terminal(
                f"The image of amphora {row.id} has no nftables, without which the SR-IOV port of the VIP "
                "would have no firewall. Build the amphora image with nftables."
            )
        values = {"lb_network_ip": address, "cached_zone": server.zone, "status": AmphoraStatus.ALLOCATED}
        self._update(row.id, **values)
        return Running(msgspec.structs.replace(row, compute_id=server.id, **values), server.id, address, info, base)

    def _create_server(self, graph: Graph, row: Amphora, base: Port | None) -> tuple[Port, Server]:
        """VF ports are in the server's create request: so the scheduler takes a host that has a VF for them."""
        port, (image, management) = both(
            lambda: base or self._cloud.create_port(self._base_port(graph, row.id)),
            lambda: (self._outside.lookups.image(self._tag(graph)), self._outside.lookups.network(self._management)),
        )
        issued = self._outside.authority.issue(row.id, self._outside.config.certificates.amphora_validity_days)
        server = self._cloud.create_server(
            ServerRequest(
                name=names.server(row.id),
                flavor=graph.flavor.compute_flavor or self._config.compute_flavor,
                image_id=image,
                networks=(management.id,),
                ports=(port.id,),
                files=self._files(row.id, issued.pem),
                metadata={"amphora_id": row.id, "load_balancer_id": graph.load_balancer.id},
                guaranteed_rate=port.vnic_type == "direct" and bool(graph.flavor.vf_min_tx_rate),
            )
        )
        log.info("server created", amphora_id=row.id, server_id=server.id)
        return port, server

    def _base_port(self, graph: Graph, amphora_id: str) -> PortRequest:
        return with_vf_settings(self._cloud, base_port_request(graph, amphora_id), graph.flavor)

    @property
    def _management(self) -> str:
        return self._config.management_network

    def _tag(self, graph: Graph) -> str:
        return graph.flavor.amp_image_tag or self._config.image_tag

    def _files(self, amphora_id: str, certificate: str) -> dict[str, str]:
        agent = AgentConfig(amphora_id=amphora_id, heartbeat_key=self._outside.authority.heartbeat_key)
        return {
            _AGENT_CONFIG: msgspec.json.encode(agent).decode(),
            agent.certificate: certificate,
            agent.ca_certificate: self._outside.authority.ca_pem,
        }

    def _await_server(self, server: Server) -> Server:
        """Until it is ACTIVE. Before that its agent is not even asked: an ARP request that nobody answers costs 1 s."""
        started = time.monotonic()
        while server.status == "BUILD":
            took = time.monotonic() - started
            if took > self._config.boot_timeout:
                raise DidNotBoot(f"Server {server.id} is still in BUILD after {took:.0f} s.")
            self._outside.pause(max(_SERVER_POLL, took / _PATIENCE))
            seen = self._cloud.server(server.id)
            if seen is None:
                raise DidNotBoot(f"Server {server.id} disappeared while it was built.")
            server = seen
        if server.status == "ERROR":
            raise Terminal(f"No amphora could be started: {server.fault or f'server {server.id} is in ERROR.'}")
        if server.status != "ACTIVE":
            raise DidNotBoot(f"Server {server.id} is {server.status} instead of ACTIVE.")
        return server

    def _await_agent(self, amphora_id: str, server_id: str, address: str) -> Info:
        started = looked = time.monotonic()
        while True:
            try:
                return self._outside.client.info(amphora_id, address)
            except Retryable as error:
                now = time.monotonic()
                if now - started > self._config.boot_timeout:
                    raise DidNotBoot(
                        f"{error.message} Its boot took over {self._config.boot_timeout:.0f} s."
                    ) from error
                if now - looked > _SERVER_CHECK:
                    looked = now
                    server = self._cloud.server(server_id)
                    if server is None or server.status not in _ALIVE:
                        state = server.status if server else "gone"
                        raise DidNotBoot(f"Server {server_id} is {state} before its agent answered.") from error
                self._outside.pause(max(_AGENT_POLL, (now - started) / _PATIENCE))

    def _management_address(self, server: Server, base: Port) -> str:
        """The VIP may be in the management network too (H-9): what the base port has is not the agent's."""
        network = self._outside.lookups.network(self._management)
        other = {ip.ip_address for ip in base.fixed_ips}
        for address in server.addresses.get(network.name, ()):
            if address not in other:
                return address
        raise Retryable(f"Server {server.id} has no address in network {network.name} yet.", after=_SERVER_POLL)

    def _update(self, amphora_id: str, **values: Any) -> None:
        with self._database.write() as tx:
            resources.update(tx, Amphora, amphora_id, **values)


def _facts(graph: Graph, base: Port, server: Server) -> dict[str, Any]:
    """What its row says of an amphora. Written in each round: the one that made the server may not have come so far."""
    return {
        "compute_id": server.id,
        "compute_flavor": server.flavor,
        "image_id": server.image_id,
        "vrrp_port_id": base.id,
        "vrrp_ip": base.fixed_ips[0].ip_address if base.fixed_ips else None,
        "vrrp_interface": VIP_INTERFACE,
        "vrrp_id": 1,
        "ha_ip": graph.load_balancer.vip_address,
        "ha_port_id": graph.load_balancer.vip_port_id,
    }


def base_port_request(graph: Graph, amphora_id: str) -> PortRequest:
    """It carries the VIPs, and has an address of its own in each of their subnets to route by."""
    lb = graph.load_balancer
    subnets = dict.fromkeys([lb.vip_subnet_id, *(vip.subnet_id for vip in lb.additional_vips)])
    return PortRequest(
        network_id=lb.vip_network_id or "",
        name=names.base_port(amphora_id),
        fixed_ips=tuple(FixedIp(subnet_id=subnet) for subnet in subnets if subnet is not None),
        vnic_type=lb.vip_vnic_type,
        allowed_addresses=desired.vip_addresses(graph),
        qos_policy_id=lb.vip_qos_policy_id,
        security_groups=tuple(lb.vip_sg_ids) or None,
    )
