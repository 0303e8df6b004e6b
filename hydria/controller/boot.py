"""Starts an amphora: row, base port, server, an agent that answers. Each step finds what an interrupted one made."""

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
from hydria.controller.security_groups import ensure_security_groups
from hydria.controller.servers import why_dead
from hydria.controller.vf_settings import with_vf_settings
from hydria.drivers.cloud import FixedIp, Network, Port, PortRequest, Server, ServerRequest
from hydria.model import spec_versions
from hydria.model.amphora import Amphora
from hydria.model.graph import Graph
from hydria.model.spec import VIP_INTERFACE, AgentConfig, Info
from hydria.model.status import AmphoraStatus
from hydria.store import resources
from hydria.store.database import Database

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
    vcpus: int | None = None
    """Of its server; None: not known."""
    member_ports: tuple[Port, ...] = ()
    """Attached or not."""
    nic_names: Mapping[str, str] = field(default_factory=dict)
    """MAC address → interface in the amphora."""
    supersedes: tuple[Amphora, ...] = ()
    """Those that serve until this one does."""
    retry: float | None = None
    """Seconds until another attempt at replacing it; None: it is not to be replaced."""
    stays: str | None = None
    """Why another could not be had when its failover was asked for."""


class Boot:
    def __init__(self, outside: Outside, database: Database, sweeper: Sweeper) -> None:
        self._outside = outside
        self._cloud = outside.cloud
        self._config = outside.config.controller
        self._database = database
        self._sweeper = sweeper

    def dispose(self, row: Amphora) -> None:
        """Remove all of it from the cloud, then its row."""
        self._update(row.id, status=AmphoraStatus.PENDING_DELETE)
        remove_amphora(self._outside, row.id, row.compute_id)
        with self._database.write() as tx:
            resources.delete(tx, Amphora, row.id)
        self._sweeper.amphora_removed(row.id)

    def insert(self, graph: Graph) -> Amphora:
        """The row comes before all that bears its id, so that this is found again whatever happens."""
        validity = dt.timedelta(days=self._outside.config.certificates.amphora_validity_days)
        with self._database.write() as tx:
            row = Amphora(
                id=str(uuid.uuid4()),
                loadbalancer_id=graph.load_balancer.id,
                cert_expiration=resources.now(tx) + validity,
            )
            return resources.insert(tx, row)

    def start(self, graph: Graph, row: Amphora, base: Port | None = None, server: Server | None = None) -> Running:
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
        server = self._await_server_and_groups(graph, base, server)
        address = self._management_address(graph, server, base)
        info = self._await_agent(row.id, server.id, address)
        if base.vnic_type == "direct" and not info.nftables:
            raise Terminal(
                f"The image of amphora {row.id} has no nftables, without which the SR-IOV port of the VIP "
                "would have no firewall. Build the amphora image with nftables."
            )
        spec_versions.agreed(row.id, info.spec_versions)
        values = {"lb_network_ip": address, "cached_zone": server.zone, "status": AmphoraStatus.ALLOCATED}
        self._update(row.id, **values)
        row = msgspec.structs.replace(row, compute_id=server.id, **values)
        return Running(row, server.id, address, info, base, server.vcpus)

    def _create_server(self, graph: Graph, row: Amphora, base: Port | None) -> tuple[Port, Server]:
        """VF ports are in the server's create request: so the scheduler takes a host that has a VF for them."""
        port, (image, management) = both(
            lambda: base or self._cloud.create_port(self._base_port(graph, row.id)),
            lambda: (self._image(graph), self._management(graph)),
            instant=self._cloud.instant,
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
                availability_zone=graph.zone.compute_zone,
                security_groups=self._config.amphora_security_groups,
                metadata={"amphora_id": row.id, "load_balancer_id": graph.load_balancer.id},
                guaranteed_rate=port.qos_policy_id is not None,
            )
        )
        log.info("server created", amphora_id=row.id, server_id=server.id)
        return port, server

    def _base_port(self, graph: Graph, amphora_id: str) -> PortRequest:
        return with_vf_settings(self._cloud, base_port_request(graph, amphora_id), graph.flavor)

    def _management(self, graph: Graph) -> Network:
        return self._outside.lookups.network(graph.zone.management_network or self._config.management_network)

    def _image(self, graph: Graph) -> str:
        return self._outside.lookups.image(graph.flavor.amp_image_tag or self._config.image_tag)

    def _files(self, amphora_id: str, certificate: str) -> dict[str, str]:
        agent = AgentConfig(amphora_id=amphora_id, heartbeat_key=self._outside.authority.heartbeat_key)
        return {
            _AGENT_CONFIG: msgspec.json.encode(agent).decode(),
            agent.certificate: certificate,
            agent.ca_certificate: self._outside.authority.ca_pem,
        }

    def _await_server_and_groups(self, graph: Graph, base: Port, server: Server) -> Server:
        """While it is built, for which nothing of them is needed."""
        up, _ = both(
            lambda: self._await_server(server),
            lambda: ensure_security_groups(self._outside, graph, base),
            instant=self._cloud.instant,
        )
        return up

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
                    if dead := why_dead(self._cloud.server(server_id)):
                        raise DidNotBoot(f"Amphora {amphora_id}: {dead} Its agent never answered.") from error
                self._outside.pause(max(_AGENT_POLL, (now - started) / _PATIENCE))

    def _management_address(self, graph: Graph, server: Server, base: Port) -> str:
        """The VIP may be in the management network too (H-9): what the base port has is not the agent's."""
        network = self._management(graph)
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
