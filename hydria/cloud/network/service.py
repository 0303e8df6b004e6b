"""The network service as other services of this process use it: networks, ports and who has them."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydria.cloud.database import Database
from hydria.cloud.network.resources import FixedIpRequest, NetworkRow, Port, Subnet


class Network:
    def __init__(self, database: Database) -> None:
        self.database = database

    def port(self, port_id: str) -> Port:
        """Raises PortNotFound."""
        raise NotImplementedError

    def ports_of_device(self, device_id: str) -> list[Port]:
        """In the order in which they were bound to the device."""
        raise NotImplementedError

    def network(self, network_id: str) -> NetworkRow:
        """Raises NetworkNotFound."""
        raise NotImplementedError

    def subnet(self, subnet_id: str) -> Subnet:
        """Raises SubnetNotFound."""
        raise NotImplementedError

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
        raise NotImplementedError

    def delete_port(self, port_id: str) -> None:
        """Its addresses are free again. A port that is gone already is none to complain about."""
        raise NotImplementedError

    def bind(self, port_id: str, *, host: str, device_id: str, device_owner: str, profile: Mapping[str, Any]) -> Port:
        """The port is a device's NIC on `host` now: ACTIVE, with a vif_type. May run twice.

        Raises PortBound where another device has it.
        """
        raise NotImplementedError

    def unbind(self, port_id: str) -> None:
        """No device has it: DOWN, no host, empty profile. May run twice; a port that is gone is fine."""
        raise NotImplementedError
