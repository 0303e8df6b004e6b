"""What a pretended cloud says of networks, subnets and ports that it never heard of, so that it fits together."""

import ipaddress
from dataclasses import dataclass

from hydria.drivers import noop_ids as ids
from hydria.drivers.cloud import FixedIp, Network, Port, Subnet


@dataclass(frozen=True)
class Supposition:
    """What a request says of its VIPs: that is how it is."""

    network_id: str | None = None
    port_id: str | None = None
    fixed_ips: tuple[FixedIp, ...] = ()
    """The subnet's id is empty where the request names none."""

    def network(self, id_: str, name: str) -> Network:
        return Network(id=id_, name=name, subnets=(ids.subnet_of(id_, 4), ids.subnet_of(id_, 6)))

    def subnet(self, id_: str) -> Subnet:
        address = next((ip.ip_address for ip in self.fixed_ips if self._subnet_of(ip) == id_), None)
        cidr = ids.cidr_of(id_) if address is None else ids.around(address)
        network = ipaddress.ip_network(cidr)
        return Subnet(
            id=id_,
            network_id=self._network_of(id_),
            cidr=cidr,
            ip_version=network.version,
            gateway_ip=str(network[1]),
        )

    def port(self, id_: str, name: str = "") -> Port:
        """One that nobody uses; who it belongs to is not said."""
        network_id = self._network if id_ == self.port_id else ids.id_of("network", id_)
        wanted = self.fixed_ips if id_ == self.port_id else ()
        return Port(
            id=id_,
            network_id=network_id,
            name=name,
            mac_address=ids.mac_of(id_),
            fixed_ips=tuple(
                self.addressed(FixedIp(subnet_id=self._subnet_of(ip, network_id), ip_address=ip.ip_address), id_)
                for ip in wanted or (FixedIp(subnet_id=""),)
            ),
            project_id=None,
        )

    def addressed(self, fixed: FixedIp, port_id: str) -> FixedIp:
        if fixed.ip_address is not None:
            return fixed
        address = ids.address_in(self.subnet(fixed.subnet_id).cidr, port_id)
        return FixedIp(subnet_id=fixed.subnet_id, ip_address=address)

    @property
    def _network(self) -> str:
        """All VIPs are in one."""
        named = (self.network_id, self.port_id, *(ip.subnet_id for ip in self.fixed_ips))
        first = next(filter(None, named), "")
        return self.network_id or ids.id_of("network", first)

    def _network_of(self, subnet_id: str) -> str:
        supposed = {
            *map(self._subnet_of, self.fixed_ips),
            ids.subnet_of(self._network, 4),
            ids.subnet_of(self._network, 6),
        }
        return self._network if subnet_id in supposed else ids.id_of("network", subnet_id)

    def _subnet_of(self, fixed: FixedIp, network_id: str | None = None) -> str:
        if fixed.subnet_id:
            return fixed.subnet_id
        version = 4 if fixed.ip_address is None else ipaddress.ip_address(fixed.ip_address).version
        return ids.subnet_of(network_id or self._network, version)
