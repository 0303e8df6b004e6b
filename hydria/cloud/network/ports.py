"""Ports: addresses, MACs and which device has them. Addresses are given in the transaction that makes the port."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, or_, select

from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.network import tables
from hydria.cloud.network.allocation import Allocation
from hydria.cloud.network.collection import Collection, Values, disallowed
from hydria.cloud.network.errors import (
    AddressPairAndPortSecurityRequired,
    InvalidInput,
    MacAddressInUse,
    PortBound,
    PortNotFound,
    PortSecurityPortHasSecurityGroup,
)
from hydria.cloud.network.networks import Networks, check_policy
from hydria.cloud.network.resources import FixedIp, FixedIpRequest, NetworkRow, Port
from hydria.cloud.network.security_groups import SecurityGroups
from hydria.cloud.resource import changed
from hydria.cloud.web import Query

MAC_PREFIX = "fa:16:3e"
"""Of every OpenStack cloud; the agent may rely on no two NICs of one machine having the same MAC."""

BINDERS = frozenset({"physical_network", "pci_slot"})
"""Keys of a bound port's `binding:profile` that who binds it writes; the others, such as `trusted`, are given."""


class Ports(Collection[Port]):
    name, plural, title, missing = "port", "ports", "Port", PortNotFound
    special_filters: ClassVar[frozenset[str]] = frozenset({"fixed_ips"})

    def __init__(self, database: Database, networks: Networks, security_groups: SecurityGroups) -> None:
        super().__init__(database, tables.ports, Port)
        self._networks = networks
        self._security_groups = security_groups

    def visible(self, context: Context) -> ColumnElement[bool]:
        owned = select(tables.networks.c.id).where(tables.networks.c.project_id == context.project_id)
        return or_(super().visible(context), self.rows.table.c.network_id.in_(owned))

    def conditions(self, query: Query) -> list[ColumnElement[bool]]:
        """`fixed_ips=ip_address=A&fixed_ips=subnet_id=S`: every kind given must match, one of its values."""
        wanted: dict[str, list[str]] = {}
        for text in query.get("fixed_ips", []):
            kind, _, value = text.partition("=")
            if kind not in {"ip_address", "subnet_id", "ip_address_substr"}:
                raise InvalidInput(f"Invalid input for fixed_ips. Reason: '{text}' is no filter.", field="fixed_ips")
            wanted.setdefault(kind, []).append(value)
        allocations = tables.ip_allocations.c
        conditions: list[ColumnElement[bool]] = []
        for kind, values in wanted.items():
            if kind == "ip_address_substr":
                matching = or_(*(allocations.ip_address.contains(value, autoescape=True) for value in values))
            else:
                matching = allocations[kind].in_(values)
            conditions.append(self.rows.table.c.id.in_(select(allocations.port_id).where(matching)))
        return conditions

    def complete(self, connection: Connection, resources: list[Port]) -> list[Port]:
        table = tables.ip_allocations.c
        query = select(table.port_id, table.subnet_id, table.ip_address).order_by(table.position)
        if len(resources) == 1:
            query = query.where(table.port_id == resources[0].id)
        addresses: dict[str, list[FixedIp]] = {}
        for port_id, subnet_id, address in connection.execute(query):
            addresses.setdefault(port_id, []).append(FixedIp(subnet_id, address))
        for port in resources:
            port.fixed_ips = addresses.get(port.id, [])
        return resources

    def create(self, context: Context, document: object) -> Port:
        document, fixed_ips = _without_fixed_ips(document)
        with self.database.begin() as connection:
            port = super().create(context, document)
            network = self._networks.find(connection, context, port.network_id)
            self._authorize_addresses(context, network, fixed_ips)
            Allocation(connection, port).give(fixed_ips)
            return self.complete(connection, [port])[0]

    def insert(self, connection: Connection, context: Context, values: Values) -> Port:
        if not values.get("network_id"):
            raise InvalidInput("Failed to parse request. Required attribute 'network_id' not specified")
        network = self._networks.find(connection, context, values["network_id"])
        if not context.sees(network.project_id) and "mac_address" in values:
            raise disallowed("create_port:mac_address")
        security = values.get("port_security_enabled", network.port_security_enabled)
        groups = values.get("security_groups")
        if groups is None:
            groups = [self._security_groups.ensure_default(connection, values["project_id"])] if security else []
        port = self.new(
            {
                **values,
                "mac_address": values.get("mac_address") or self._new_mac(connection),
                "port_security_enabled": security,
                "security_groups": groups,
                "qos_network_policy_id": network.qos_policy_id,
            }
        )
        self._check(connection, context, port)
        self.rows.insert(connection, _bound(port, network))
        return port

    def update(self, context: Context, id_: str, document: object) -> Port:
        document, fixed_ips = _without_fixed_ips(document)
        with self.database.begin() as connection:
            port = super().update(context, id_, document)
            if fixed_ips is not None:
                network = self._networks.find(connection, context, port.network_id)
                self._authorize_addresses(context, network, fixed_ips)
                Allocation(connection, port).replace(fixed_ips)
            return self.complete(connection, [port])[0]

    def replace(self, connection: Connection, context: Context, current: Port, values: Values) -> Port:
        port = changed(current, values)
        if current.binding_host_id:
            bound = {key: value for key, value in current.binding_profile.items() if key in BINDERS}
            port.binding_profile = {**port.binding_profile, **bound}
        hardware = (port.mac_address, port.binding_vnic_type)
        if current.binding_host_id and hardware != (current.mac_address, current.binding_vnic_type):
            raise PortBound(
                f"Unable to complete operation on port {port.id}, port is already bound, port type:"
                f" {current.binding_vif_type}, old_mac {current.mac_address}, new_mac {port.mac_address}."
            )
        self._check(connection, context, port)
        network = self._networks.rows.get(connection, port.network_id)
        return self.store(connection, port if network is None else _bound(port, network))

    def remove(self, connection: Connection, context: Context, current: Port) -> None:  # noqa: ARG002
        self.rows.delete(connection, current.id)

    def bind(
        self,
        port_id: str,
        *,
        host: str,
        device_id: str,
        device_owner: str,
        profile: Mapping[str, Any],
        is_up: bool = True,
    ) -> Port:
        with self.database.begin() as connection:
            port = self._get(connection, port_id)
            if port.device_id not in {"", device_id} and port.binding_host_id:
                raise PortBound(f"Port {port_id} is bound to device {port.device_id} already, not to {device_id}.")
            port.binding_host_id, port.device_id, port.device_owner = host, device_id, device_owner
            port.binding_profile = {**port.binding_profile, **profile}
            port.status = "ACTIVE" if is_up else "DOWN"
            network = self._networks.rows.get(connection, port.network_id)
            return self.store(connection, port if network is None else _bound(port, network))

    def set_up(self, port_id: str, *, is_up: bool) -> None:
        with self.database.begin() as connection:
            port = self.rows.get(connection, port_id)
            status: Literal["ACTIVE", "DOWN"] = "ACTIVE" if is_up else "DOWN"
            if port is not None and port.binding_host_id and port.status != status:
                port = self._get(connection, port_id)
                port.status = status
                self.store(connection, port)

    def unbind(self, port_id: str) -> None:
        with self.database.begin() as connection:
            if self.rows.get(connection, port_id) is None:
                return
            port = self._get(connection, port_id)
            port.device_id = port.device_owner = port.binding_host_id = ""
            port.binding_profile = {key: value for key, value in port.binding_profile.items() if key not in BINDERS}
            port.binding_vif_type, port.binding_vif_details = "unbound", {}
            port.status = "DOWN"
            self.store(connection, port)

    def _get(self, connection: Connection, port_id: str) -> Port:
        port = self.rows.get(connection, port_id)
        if port is None:
            raise PortNotFound(f"Port {port_id} could not be found.")
        return self.complete(connection, [port])[0]

    def _new_mac(self, connection: Connection) -> str:
        mac = ":".join([MAC_PREFIX, *(f"{octet:02x}" for octet in secrets.token_bytes(3))])
        taken = connection.execute(select(tables.ports.c.id).where(tables.ports.c.mac_address == mac)).first()
        return self._new_mac(connection) if taken else mac

    def _check(self, connection: Connection, context: Context, port: Port) -> None:
        port.mac_address = port.mac_address.lower()
        if not _is_mac(port.mac_address):
            raise InvalidInput(
                f"Invalid input for mac_address. Reason: '{port.mac_address}' is not a valid MAC address."
            )
        table = tables.ports.c
        same = select(table.id).where(
            table.network_id == port.network_id, table.mac_address == port.mac_address, table.id != port.id
        )
        if connection.execute(same).first():
            raise MacAddressInUse(
                f"Unable to complete operation for network {port.network_id}. The mac address {port.mac_address} is"
                " in use."
            )
        if not port.port_security_enabled and port.security_groups:
            raise PortSecurityPortHasSecurityGroup(
                "Port has security group associated. Cannot disable port security or IP address until security group"
                " is removed."
            )
        if not port.port_security_enabled and port.allowed_address_pairs:
            raise AddressPairAndPortSecurityRequired(
                "Port Security must be enabled in order to have allowed address pairs."
            )
        for group_id in port.security_groups:
            self._security_groups.find(connection, context, group_id)
        check_policy(connection, port.qos_policy_id)

    def _authorize_addresses(
        self, context: Context, network: NetworkRow, fixed_ips: Sequence[FixedIpRequest] | None
    ) -> None:
        """On somebody else's network one may choose a subnet, not an address."""
        if not context.sees(network.project_id) and any(request.ip_address for request in fixed_ips or ()):
            raise disallowed("create_port:fixed_ips:ip_address")


def _without_fixed_ips(document: object) -> tuple[object, Sequence[FixedIpRequest] | None]:
    """`fixed_ips` is asked for in another form than it is shown in."""
    if not isinstance(document, dict) or "fixed_ips" not in document:
        return document, None
    rest = {key: value for key, value in document.items() if key != "fixed_ips"}
    try:
        return rest, msgspec.convert(document["fixed_ips"], list[FixedIpRequest])
    except msgspec.ValidationError as error:
        raise InvalidInput(f"Invalid input for fixed_ips. Reason: {error}", field="fixed_ips") from error


def _is_mac(text: str) -> bool:
    octets = text.split(":")
    return len(octets) == 6 and all(len(octet) == 2 and set(octet) <= set("0123456789abcdef") for octet in octets)


def _bound(port: Port, network: NetworkRow) -> Port:
    """What a port with a host shows of how it is plugged there."""
    if not port.binding_host_id:
        port.binding_vif_type, port.binding_vif_details = "unbound", {}
    elif port.binding_vnic_type == "direct":
        vlan = str(network.segmentation_id or 0)
        port.binding_vif_type = "hw_veb"
        port.binding_vif_details = {"port_filter": False, "connectivity": "l2", "vlan": vlan}
    else:
        port.binding_vif_type = "bridge"
        port.binding_vif_details = {"port_filter": False, "connectivity": "l2"}
    return port
