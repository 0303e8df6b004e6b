"""The books: which host has a server, which ports and VFs it has. Every change of them is one transaction.

Talks to nobody outside the database: what is written here, `lifecycle` then makes true.
"""

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from hydria.base.errors import Conflict
from hydria.cloud.compute import scheduler
from hydria.cloud.compute.hosts import Hosts, Inventory, group_hosts, sibling_interfaces
from hydria.cloud.compute.resources import (
    DEFAULT_ZONE,
    Interface,
    Request,
    Server,
    interfaces,
    server_groups,
    servers,
)
from hydria.cloud.compute.wiring import Nic
from hydria.cloud.database import Database
from hydria.cloud.network.errors import PortNotFound
from hydria.cloud.network.resources import FixedIpRequest, NetworkRow, Port
from hydria.cloud.network.service import Network
from hydria.cloud.resource import now
from hydria.sriov import claims
from hydria.sriov.inventory import VfId, node_of

MANAGEMENT = "mgmt"
"""What the fabric calls the network of ports whose network names no physical one."""


class PortInUse(Conflict):
    pass


@dataclass(frozen=True)
class Placement:
    database: Database
    network: Network
    hosts: Hosts

    def place(self, server: Server, refused: Mapping[str, str]) -> Server:
        """Choose a host, make and bind the ports, claim the VFs. Raises NoValidHost, and then nothing is changed.

        `refused`: hosts on which this server could not be built, and why.
        """
        try:
            return self._place(server, self.hosts.inventory(), refused)
        except scheduler.NoValidHost:
            # A VF may have come home after we looked and before its claim went: look once more.
            return self._place(server, self.hosts.inventory(), refused)

    def _place(self, server: Server, inventory: Inventory, refused: Mapping[str, str]) -> Server:
        with self.database.begin() as connection:
            wanted = self._request(connection, server, refused)
            snapshot = self.hosts.snapshot(connection, inventory, server.group_id, wanted.physical_networks)
            chosen = scheduler.choose(wanted, snapshot)
            self.store(server, host=chosen.name, task_state="spawning")
            for request in server.requests:
                self._add(connection, server, request, inventory, wanted.physical_networks)
        return server

    def store(self, server: Server, **values: object) -> None:
        """Change the row and `server`. What others have changed since `server` was read stays, a wish to delete too."""
        with self.database.begin() as connection:
            current = servers.get(connection, server.id)
            if current is None:
                return
            if current.task_state == "deleting":
                values["task_state"] = "deleting"
            for name, value in {**values, "updated_at": now()}.items():
                setattr(server, name, value)
                setattr(current, name, value)
            servers.replace(connection, current)

    def _request(self, connection: Connection, server: Server, refused: Mapping[str, str]) -> scheduler.Request:
        group = server_groups.get(connection, server.group_id) if server.group_id else None
        direct = (self._direct_network(request) for request in server.requests)
        return scheduler.Request(
            extra_specs=server.flavor.extra_specs,
            physical_networks=tuple(name for name in direct if name is not None),
            zone=server.zone,
            host=server.forced_host,
            group_policy=group.policy if group else None,
            group_hosts=frozenset(group_hosts(connection, server.group_id)),
            refused=refused,
        )

    def _direct_network(self, request: Request) -> str | None:
        """The physical network that a VF is needed on."""
        if request.port is None:
            return None
        port = self.network.port(request.port)
        return physical_network(self.network.network(port.network_id)) if is_direct(port) else None

    def add(self, server: Server, request: Request) -> Interface:
        """One more interface for a placed server. Raises NoFreeVf, PortInUse, and then nothing is changed."""
        try:
            return self._add_one(server, request)
        except claims.NoFreeVf:
            return self._add_one(server, request)

    def _add_one(self, server: Server, request: Request) -> Interface:
        inventory = self.hosts.inventory()
        with self.database.begin() as connection:
            return self._add(connection, server, request, inventory)

    def _add(
        self,
        connection: Connection,
        server: Server,
        request: Request,
        inventory: Inventory,
        together: Collection[str] = (),
    ) -> Interface:
        """`together`: physical networks of all VFs that the server is to get now."""
        port = self._port(server, request, _owner(server))
        vf = None
        if is_direct(port):
            vf = self._choose(connection, server, port, inventory, together=together)
        present = interfaces.select(connection, {"server_id": [server.id]})
        # Only a NIC that the server is made with can be its first, which we configure.
        before_first = -1 if server.vm_state == "building" else 0
        interface = Interface(
            id=port.id,
            server_id=server.id,
            network_id=port.network_id,
            position=max((other.position for other in present), default=before_first) + 1,
            preserve=request.port is not None,
            state="attaching",
            host=server.host or "",
            pf=vf.pf if vf else None,
            vf=vf.index if vf else None,
        )
        interfaces.insert(connection, interface)
        self._bind(server, port, interface, inventory)
        return interface

    def reclaim(self, server: Server, interface: Interface, failed: Mapping[VfId, str]) -> None:
        """Give the port another VF of its host instead of the one that was refused and is as it was before.

        `failed`: what has been tried for this port, and why it was refused. Raises NoFreeVf, and then nothing is
        changed.
        """
        inventory = self.hosts.inventory()
        with self.database.begin() as connection, contextlib.suppress(PortNotFound):
            port = self.network.port(interface.id)
            vf = self._choose(connection, server, port, inventory, failed=failed)
            interface.pf, interface.vf = vf.pf, vf.index
            interfaces.replace(connection, interface)
            self._bind(server, port, interface, inventory)

    def _choose(
        self,
        connection: Connection,
        server: Server,
        port: Port,
        inventory: Inventory,
        *,
        together: Collection[str] = (),
        failed: Mapping[VfId, str] | None = None,
    ) -> VfId:
        pfs = inventory.get(server.host or "", ())
        claimed = self.hosts.claimed(connection)
        own = interfaces.select(connection, {"server_id": [server.id]})
        first = _first_vf(own, but=port.id)
        node = None if first is None else node_of(pfs, first)
        nodes = claims.fitting_nodes(pfs, claimed, together, failed or {}) if first is None else {node} - {None}
        siblings = sibling_interfaces(connection, server)
        preference = claims.Preference(
            sibling_pfs=frozenset(one.pf for one in siblings if one.pf is not None),
            numa_nodes=frozenset(one for one in nodes if one is not None),
        )
        network = physical_network(self.network.network(port.network_id))
        return claims.choose(pfs, claimed, network, preference, failed)

    def _bind(self, server: Server, port: Port, interface: Interface, inventory: Inventory) -> None:
        profile, is_up = dict[str, Any](), True
        if vf := claim_of(interface):
            is_up = self.hosts.has_link(vf.pf)
            found = (one for pf in inventory.get(interface.host, ()) for one in pf.vfs if one.id == vf)
            address = next((one.pci_address for one in found), None)
            network = self.network.network(port.network_id)
            profile = {"physical_network": physical_network(network), "pci_slot": address or str(vf)}
        self.network.bind(
            port.id, host=interface.host, device_id=server.id, device_owner=_owner(server), profile=profile, is_up=is_up
        )

    def show_links(self) -> None:
        """A bound port is as its PF's link was last seen, which every client of the network sees then.

        Whoever binds a port goes by what was seen, too: so it may be called after that has changed, not before.
        """
        with self.database.begin() as connection:
            for interface in interfaces.select(connection, None, interfaces.table.c.pf.is_not(None)):
                self.network.set_up(interface.id, is_up=self.hosts.has_link(interface.pf or ""))

    def numa_node(self, server: Server) -> int | None:
        """That of the server's first VF; None where it has none or nobody knows. Asks the NICs."""
        vf = _first_vf(self.interfaces(server.id))
        return None if vf is None else node_of(self.hosts.inventory().get(server.host or "", ()), vf)

    def _port(self, server: Server, request: Request, owner: str) -> Port:
        if request.port is not None:
            port = self.network.port(request.port)
            if (port.device_id and port.device_id != server.id) or port.binding_host_id:
                raise PortInUse(f"Port {port.id} is still in use.")
            return port
        return self.network.create_port(
            network_id=request.network or "",
            project_id=server.project_id,
            device_id=server.id,
            device_owner=owner,
            fixed_ips=[FixedIpRequest(ip_address=request.fixed_ip)] if request.fixed_ip else None,
        )

    def interfaces(self, server_id: str) -> list[Interface]:
        """In the order in which the guest got them."""
        with self.database.read() as connection:
            found = interfaces.select(connection, {"server_id": [server_id]})
        return sorted(found, key=lambda interface: interface.position)

    def port_ids(self) -> frozenset[str]:
        """Of every server's NICs."""
        with self.database.read() as connection:
            return frozenset(interface.id for interface in interfaces.select(connection))

    def mark(self, interface: Interface, state: Any) -> None:
        with self.database.begin() as connection:
            interface.state = state
            interfaces.replace(connection, interface)

    def release(self, interface: Interface) -> None:
        """Nobody has the port and its VF any more. May run twice. Its NIC must be unplugged before."""
        with self.database.begin() as connection:
            if interfaces.delete(connection, interface.id):
                if interface.preserve:
                    self.network.unbind(interface.id)
                else:
                    self.network.delete_port(interface.id)

    def nic(self, interface: Interface) -> Nic | None:
        """What the guest is to get; None when the port was deleted behind the server's back."""
        try:
            port = self.network.port(interface.id)
            network = self.network.network(port.network_id)
            rates = self.network.rates(port)
        except PortNotFound:
            return None
        return Nic(
            port_id=port.id,
            mac=port.mac_address,
            mtu=network.mtu,
            physical_network=physical_network(network),
            vlan=network.segmentation_id or 0,
            vf=claim_of(interface),
            spoofchk=port.port_security_enabled,
            trust=is_trusted(port),
            min_tx_rate=rates.min_tx,
            max_tx_rate=rates.max_tx,
            addresses=self._addresses(port) if interface.position == 0 else (),
        )

    def _addresses(self, port: Port) -> tuple[str, ...]:
        lengths = {ip.subnet_id: self.network.subnet(ip.subnet_id).cidr.partition("/")[2] for ip in port.fixed_ips}
        return tuple(f"{ip.ip_address}/{lengths[ip.subnet_id]}" for ip in port.fixed_ips)


def _first_vf(own: Collection[Interface], but: str | None = None) -> VfId | None:
    ordered = sorted(own, key=lambda interface: interface.position)
    return next((vf for interface in ordered if interface.id != but and (vf := claim_of(interface))), None)


def _owner(server: Server) -> str:
    return f"compute:{server.zone or DEFAULT_ZONE}"


def claim_of(interface: Interface) -> VfId | None:
    return None if interface.pf is None or interface.vf is None else VfId(interface.pf, interface.vf)


def is_direct(port: Port) -> bool:
    return port.binding_vnic_type == "direct"


def is_trusted(port: Port) -> bool:
    """The key is Nova's, whose clients write "true"."""
    return str(port.binding_profile.get("trusted", "")).lower() in {"true", "1", "yes", "on", "y", "t"}


def physical_network(network: NetworkRow) -> str:
    return network.physical_network or MANAGEMENT
