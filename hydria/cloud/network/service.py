"""The network service as other services of this process use it: networks, ports and who has them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from hydria.base.config import Config
from hydria.cloud.context import CLOUD, Context
from hydria.cloud.database import Database
from hydria.cloud.network.collection import Collection
from hydria.cloud.network.networks import Networks
from hydria.cloud.network.ports import Ports
from hydria.cloud.network.qos import QosPolicies, Rates, rates
from hydria.cloud.network.resources import FixedIpRequest, NetworkRow, Port, Standard, Subnet
from hydria.cloud.network.security_groups import SecurityGroupRules, SecurityGroups
from hydria.cloud.network.subnets import Subnets

R = TypeVar("R", bound=Standard)

MANAGEMENT = "mgmt"
"""The physical network between this machine and the amphorae."""


def physical_networks(config: Config) -> frozenset[str]:
    of_hosts = {name for host in config.cloud.hosts for name in host.pfs.values()}
    software = config.fabric.kind == "software" or config.drivers.kind == "noop"
    return frozenset({MANAGEMENT, *of_hosts, *(config.fabric.physical_networks if software else ())})


class Network:
    def __init__(self, config: Config, database: Database) -> None:
        self.config = config
        self.database = database
        self.networks = Networks(database, physical_networks(config))
        self.subnets = Subnets(database, self.networks)
        self.security_group_rules = SecurityGroupRules(database)
        self.security_groups = SecurityGroups(database, self.security_group_rules)
        self.ports = Ports(database, self.networks, self.security_groups)
        self.qos_policies = QosPolicies(database)
        self._on_port_deleted: list[Callable[[Port], None]] = []
        self._on_port_changed: list[Callable[[Port], None]] = []

    def port(self, port_id: str) -> Port:
        """Raises PortNotFound."""
        return self.ports.get(CLOUD, port_id)

    def ports_of_device(self, device_id: str) -> list[Port]:
        """In the order in which they were made."""
        with self.database.read() as connection:
            return self.ports.complete(connection, self.ports.rows.select(connection, {"device_id": [device_id]}))

    def network(self, network_id: str) -> NetworkRow:
        """Raises NetworkNotFound."""
        return self.networks.get(CLOUD, network_id)

    def subnet(self, subnet_id: str) -> Subnet:
        """Raises SubnetNotFound."""
        return self.subnets.get(CLOUD, subnet_id)

    def rates(self, port: Port) -> Rates:
        """Of its own QoS policy, else of its network's."""
        with self.database.read() as connection:
            policy_id = port.qos_policy_id
            if policy_id is None:
                network = self.networks.rows.get(connection, port.network_id)
                policy_id = network.qos_policy_id if network else None
            return rates(self.qos_policies.find(connection, CLOUD, policy_id) if policy_id else None)

    def create_port(
        self,
        *,
        network_id: str,
        project_id: str,
        name: str = "",
        device_id: str = "",
        device_owner: str = "",
        vnic_type: str = "normal",
        fixed_ips: Sequence[FixedIpRequest] | None = None,
    ) -> Port:
        """As POST /ports does; `fixed_ips` None gives an address of one subnet per IP version."""
        values: dict[str, Any] = {
            "network_id": network_id,
            "project_id": project_id,
            "name": name,
            "device_id": device_id,
            "device_owner": device_owner,
            "binding:vnic_type": vnic_type,
        }
        if fixed_ips is not None:
            values["fixed_ips"] = msgspec.to_builtins(fixed_ips)
        return self.ports.create(CLOUD, values)

    def delete_port(self, port_id: str) -> None:
        """Its addresses are free again. A port that is gone already is none to complain about."""
        with self.database.begin() as connection:
            self.ports.rows.delete(connection, port_id)

    def on_port_deleted(self, callback: Callable[[Port], None]) -> None:
        """`callback` is told of every bound port that the API deletes, after it is gone: its device has to lose a NIC.

        It runs in the thread of the request, outside any transaction.
        """
        self._on_port_deleted.append(callback)

    def delete_port_of(self, context: Context, port_id: str) -> None:
        """DELETE /ports/{id}."""
        with self.database.begin():
            port = self.ports.get(context, port_id)
            self.ports.delete(context, port_id)
        if port.device_id:
            for callback in self._on_port_deleted:
                callback(port)

    def on_port_changed(self, callback: Callable[[Port], None]) -> None:
        """`callback` is told of every port of a device whose NIC has to be set anew: its rates, trust, spoof check.

        It runs in the thread of the request, outside any transaction.
        """
        self._on_port_changed.append(callback)

    def update(self, context: Context, collection: Collection[R], id_: str, document: object) -> R:
        """PUT of any resource."""
        with self.database.begin():
            before = collection.get(context, id_)
            after = collection.update(context, id_, document)
        if isinstance(before, Port) and isinstance(after, Port) and _of_nic(before) != _of_nic(after):
            self._tell([after])
        if isinstance(before, NetworkRow) and isinstance(after, NetworkRow):
            self._tell(self._ports_of(after) if before.qos_policy_id != after.qos_policy_id else [])
        return after

    def policy_changed(self, policy_id: str) -> None:
        """One of its rules: for every port that has the policy."""
        with self.database.read() as connection:
            own = self.ports.rows.select(connection, {"qos_policy_id": [policy_id]})
            networks = self.networks.rows.select(connection, {"qos_policy_id": [policy_id]})
        self._tell(own + [port for network in networks for port in self._ports_of(network)])

    def _ports_of(self, network: NetworkRow) -> list[Port]:
        """Those that have no policy of their own."""
        with self.database.read() as connection:
            ports = self.ports.rows.select(connection, {"network_id": [network.id]})
        return [port for port in ports if port.qos_policy_id is None]

    def _tell(self, ports: Sequence[Port]) -> None:
        for port in ports:
            for callback in self._on_port_changed if port.device_id else ():
                callback(port)

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
        """The port is a device's NIC on `host` now: with a vif_type, ACTIVE where there is a link. May run twice.

        Raises PortBound where another device has it.
        """
        return self.ports.bind(
            port_id, host=host, device_id=device_id, device_owner=device_owner, profile=profile, is_up=is_up
        )

    def set_up(self, port_id: str, *, is_up: bool) -> None:
        """The link of a bound port's NIC has come or gone. A port that is gone or not bound is fine."""
        self.ports.set_up(port_id, is_up=is_up)

    def unbind(self, port_id: str) -> None:
        """No device has it: DOWN, no host, the profile as it was given. May run twice; a port that is gone is fine."""
        self.ports.unbind(port_id)


def _of_nic(port: Port) -> tuple[object, ...]:
    """What of a port a VF is set to."""
    return port.qos_policy_id, port.port_security_enabled, port.binding_profile
