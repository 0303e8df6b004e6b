"""The port that holds a load balancer's addresses: unbound, in the user's project, normally made by the API."""

import msgspec

from hydria.base.errors import Retryable
from hydria.controller import names
from hydria.controller.outside import Outside
from hydria.drivers.cloud import FixedIp, Port, PortRequest
from hydria.model.graph import Graph
from hydria.model.load_balancer import LoadBalancer
from hydria.store import resources
from hydria.store.database import Database


def ensure_vip_port(outside: Outside, database: Database, graph: Graph) -> Graph:
    """The graph with the VIP's port and address. What the user brought is the user's: it is never made anew."""
    lb = graph.load_balancer
    # Of a load balancer without amphorae the API has made the port a moment ago.
    fresh = not graph.amphorae or not lb.vip_port_owned
    if lb.vip_port_id is not None and (fresh or outside.cloud.port(lb.vip_port_id) is not None):
        return graph
    found = outside.cloud.find_ports(name=names.vip_port(lb.id))
    port = found[0] if found else outside.cloud.create_port(_request(lb))
    values = {"vip_port_id": port.id, "vip_address": _address(lb, port)}
    with database.write() as tx:
        resources.update(tx, LoadBalancer, lb.id, **values)
    return msgspec.structs.replace(graph, load_balancer=msgspec.structs.replace(lb, **values))


def _address(lb: LoadBalancer, port: Port) -> str:
    addresses = [ip.ip_address for ip in port.fixed_ips if ip.subnet_id == lb.vip_subnet_id or not lb.vip_subnet_id]
    if not addresses or addresses[0] is None:
        raise Retryable(f"VIP port {port.id} has no address in subnet {lb.vip_subnet_id}.")
    return addresses[0]


def _request(lb: LoadBalancer) -> PortRequest:
    wanted = [(lb.vip_subnet_id, lb.vip_address), *((vip.subnet_id, vip.ip_address) for vip in lb.additional_vips)]
    return PortRequest(
        network_id=lb.vip_network_id or "",
        name=names.vip_port(lb.id),
        fixed_ips=tuple(FixedIp(subnet_id=subnet, ip_address=address) for subnet, address in wanted if subnet),
        project_id=lb.project_id,
        admin_state_up=False,
        device_id=names.vip_device(lb.id),
        security_groups=tuple(lb.vip_sg_ids) or None,
    )
