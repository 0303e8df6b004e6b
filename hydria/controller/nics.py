"""Plugs an amphora into its members' networks and out of those that it no longer needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import msgspec

from hydria.base.errors import RequestError, Terminal
from hydria.base.log import Logger
from hydria.controller import desired, member_networks, names
from hydria.controller.boot import Running
from hydria.controller.member_networks import Nic, Situation
from hydria.controller.outside import Outside
from hydria.controller.parallel import together
from hydria.controller.vf_settings import with_vf_settings
from hydria.drivers.cloud import FixedIp, Port, PortRequest
from hydria.model.flavor import FlavorData
from hydria.model.graph import Graph

_NO_FIREWALL = (
    "The image of amphora {} has no nftables, without which an SR-IOV port would have no firewall. "
    "Build the amphora image with nftables."
)

log = Logger(__name__)


@dataclass(frozen=True)
class Plugged:
    used: tuple[Port, ...]
    unneeded: tuple[Port, ...]
    """To be removed once no spec uses them."""
    served: Mapping[str, tuple[str, ...]]
    """Network id → members reached through it."""
    faults: Mapping[str, str]
    """Member id → why it cannot be served."""


def plug(outside: Outside, graph: Graph, running: Running) -> Plugged:
    """Attach what is missing. What cannot be had leaves its members out, and nothing behind."""
    members = desired.members(graph)
    lb = graph.load_balancer
    subnets = outside.lookups.subnets(member.subnet_id for member in members if member.subnet_id is not None)
    attached = {_nic(port): port for port in running.member_ports if port.device_id == running.server_id}
    loose = {_nic(port): port for port in running.member_ports if port.device_id != running.server_id}
    refused: dict[Nic, str] = {}
    while True:
        situation = Situation((lb.vip_network_id or "", lb.vip_vnic_type), subnets, frozenset(attached), refused)
        plan = member_networks.plan(members, situation)
        missing = sorted(plan.nics - attached.keys())
        if not missing:
            break
        # Each round attaches or finds refused what it tried, so it ends.
        for nic, port in zip(
            missing,
            together(
                [partial(_attach, outside, graph.flavor, running, nic, loose.get(nic)) for nic in missing],
                instant=outside.cloud.instant,
            ),
            strict=True,
        ):
            loose.pop(nic, None)
            if isinstance(port, Port):
                attached[nic] = port
            else:
                refused[nic] = port
    used = tuple(attached[nic] for nic in sorted(plan.nics))
    in_use = {port.id for port in used}
    everything = {port.id: port for port in (*running.member_ports, *attached.values())}
    gone = {port.id for port in running.member_ports if _nic(port) in refused and port.device_id != running.server_id}
    unneeded = tuple(port for id_, port in everything.items() if id_ not in in_use | gone)
    return Plugged(used, unneeded, plan.served, plan.faults)


def unplug(outside: Outside, running: Running, ports: tuple[Port, ...]) -> None:
    together([partial(_detach, outside, running, port) for port in ports], instant=outside.cloud.instant)


def _nic(port: Port) -> Nic:
    return (port.network_id, port.vnic_type)


def _attach(outside: Outside, flavor: FlavorData, running: Running, nic: Nic, port: Port | None) -> Port | str:
    """The attached port, or why there is none: it is then deleted again."""
    network_id, vnic_type = nic
    if vnic_type == "direct" and not running.info.nftables:
        return _NO_FIREWALL.format(running.row.id)
    try:
        if port is None:
            request = PortRequest(
                network_id=network_id,
                name=names.member_port(running.row.id),
                # An address in each subnet: members of a further one then need no other port.
                fixed_ips=tuple(FixedIp(subnet_id=id_) for id_ in outside.lookups.network(network_id).subnets),
                vnic_type=vnic_type,
            )
            port = outside.cloud.create_port(with_vf_settings(outside.cloud, request, flavor))
        outside.cloud.attach_port(running.server_id, port.id)
    except (Terminal, RequestError) as error:
        log.warning("member network refused", network_id=network_id, vnic_type=vnic_type, reason=error)
        if port is not None:
            outside.cloud.delete_port(port.id)
        return error.message
    return msgspec.structs.replace(port, device_id=running.server_id)


def _detach(outside: Outside, running: Running, port: Port) -> None:
    if port.device_id == running.server_id:
        outside.cloud.detach_port(running.server_id, port.id)
    outside.cloud.delete_port(port.id)
