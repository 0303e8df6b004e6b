"""Where a load balancer's VIPs are: chosen and checked before anything is written. Asks the cloud."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydria.base.errors import Invalid, invalid_field
from hydria.drivers.cloud import Cloud, FixedIp, Network, Port, PortRequest, Subnet
from hydria.model.load_balancer import AdditionalVip, LoadBalancer, Topology

_ADDRESSES = {"SINGLE": 2, "ACTIVE_STANDBY": 3}
"""The VIP's own and one for each amphora."""


@dataclass(frozen=True)
class Plan:
    network_id: str
    fixed_ips: tuple[FixedIp, ...]
    """The VIP's, then those of the additional VIPs in their order; without address where the cloud chooses."""
    families: frozenset[int]
    port: Port | None = None
    """The user's, when he brought one."""


def plan(
    cloud: Cloud, seen: Cloud, values: dict[str, Any], *, topology: Topology, projects: Sequence[str | None]
) -> Plan:
    """`values`: the vip_ fields of a create. `projects`: whose ports may be taken. Raises Invalid.

    What the user names is looked up in `seen`, the cloud as he sees it; what only follows from that (the subnet of his
    port, which an operator may have put where he sees nothing else) in `cloud`.
    """
    additional: list[AdditionalVip] = values.get("additional_vips") or []
    if any(vip.port_id for vip in additional):
        raise Invalid("Unknown attribute for argument additional_vips: port_id", field="additional_vips")
    cloud, seen = _supposing(cloud, values, additional), _supposing(seen, values, additional)
    port = None
    if values.get("vip_port_id"):
        port = _free_port(seen, values["vip_port_id"], projects)
        primary = _subnet(cloud, _of_port(port, values).subnet_id)
        address = _of_port(port, values).ip_address
    elif values.get("vip_subnet_id"):
        primary = _subnet(seen, values["vip_subnet_id"])
        address = values.get("vip_address")
    elif values.get("vip_network_id"):
        primary = _choose_subnet(seen, values, _ADDRESSES[topology])
        address = values.get("vip_address")
    else:
        raise Invalid("VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.", field="vip_subnet_id")
    _check_network(cloud, primary, values.get("vip_network_id"))
    subnets = [primary, *(_subnet(seen, vip.subnet_id) for vip in additional)]
    _check_together(subnets)
    wanted = [address, *(vip.ip_address for vip in additional)]
    for subnet, text in zip(subnets, wanted, strict=True):
        _check_in_subnet(subnet, text)
    fixed_ips = tuple(FixedIp(subnet_id=s.id, ip_address=text) for s, text in zip(subnets, wanted, strict=True))
    if port is not None:
        fixed_ips = tuple(_on_port(port, fixed) for fixed in fixed_ips)
    return Plan(primary.network_id, fixed_ips, frozenset(subnet.ip_version for subnet in subnets), port)


def _supposing(cloud: Cloud, values: dict[str, Any], additional: Sequence[AdditionalVip]) -> Cloud:
    primary = FixedIp(subnet_id=values.get("vip_subnet_id") or "", ip_address=values.get("vip_address"))
    others = (FixedIp(subnet_id=vip.subnet_id, ip_address=vip.ip_address) for vip in additional)
    return cloud.supposing(values.get("vip_network_id"), values.get("vip_port_id"), (primary, *others))


def port_request(load_balancer: LoadBalancer, chosen: Plan) -> PortRequest:
    """The port that holds the addresses; it is never plugged, so the amphorae's own ports may carry them."""
    return PortRequest(
        network_id=chosen.network_id,
        name=f"octavia-lb-{load_balancer.id}",
        fixed_ips=chosen.fixed_ips,
        project_id=load_balancer.project_id,
        admin_state_up=False,
        device_id=f"lb-{load_balancer.id}",
        device_owner="Octavia",
        security_groups=tuple(load_balancer.vip_sg_ids) or None,
    )


def of_port(port: Port, chosen: Plan) -> dict[str, Any]:
    """What the load balancer's row says of its VIPs, now that the port is known."""
    addresses = {fixed.subnet_id: fixed.ip_address for fixed in port.fixed_ips}
    if chosen.port is not None:
        addresses = {fixed.subnet_id: fixed.ip_address for fixed in chosen.fixed_ips}
    primary, *additional = chosen.fixed_ips
    return {
        "vip_address": addresses[primary.subnet_id],
        "vip_subnet_id": primary.subnet_id,
        "vip_network_id": port.network_id,
        "vip_port_id": port.id,
        "additional_vips": [
            AdditionalVip(subnet_id=fixed.subnet_id, ip_address=addresses[fixed.subnet_id], port_id=port.id)
            for fixed in additional
        ],
    }


def _subnet(cloud: Cloud, subnet_id: str) -> Subnet:
    subnet = cloud.subnet(subnet_id)
    if subnet is None:
        raise Invalid(f"Subnet {subnet_id} not found.", field="vip_subnet_id")
    return subnet


def _network(cloud: Cloud, network_id: str) -> Network:
    network = cloud.network(network_id)
    if network is None or network.id != network_id:  # the driver finds networks by name as well
        raise Invalid(f"Network {network_id} not found.", field="vip_network_id")
    return network


def _free_port(cloud: Cloud, port_id: str, projects: Sequence[str | None]) -> Port:
    port = cloud.port(port_id)
    if port is None or port.project_id not in (None, *projects):
        raise Invalid(f"Port {port_id} not found.", field="vip_port_id")
    if port.device_id:
        raise invalid_field("vip_port_id", port_id, f"Port {port_id} is already used by {port.device_id}.")
    return port


def _of_port(port: Port, values: dict[str, Any]) -> FixedIp:
    """The one of the port's fixed IPs that becomes the VIP."""
    fitting = [
        fixed
        for fixed in port.fixed_ips
        if values.get("vip_subnet_id") in (None, fixed.subnet_id)
        and values.get("vip_address") in (None, fixed.ip_address)
    ]
    if len(fitting) != 1:
        raise Invalid(
            f"VIP port {port.id} has {len(fitting)} fixed IPs to choose from: say which by vip_subnet_id, vip_address.",
            field="vip_port_id",
        )
    return fitting[0]


def _on_port(port: Port, wanted: FixedIp) -> FixedIp:
    for fixed in port.fixed_ips:
        if fixed.subnet_id == wanted.subnet_id and wanted.ip_address in (None, fixed.ip_address):
            return fixed
    raise invalid_field("additional_vips", wanted.subnet_id, f"Port {port.id} has no such fixed IP.")


def _choose_subnet(cloud: Cloud, values: dict[str, Any], needed: int) -> Subnet:
    network = _network(cloud, values["vip_network_id"])
    free = cloud.free_addresses(network.id)
    found = filter(None, map(cloud.subnet, network.subnets))
    subnets = sorted(found, key=lambda subnet: subnet.ip_version)
    address = values.get("vip_address")
    for subnet in subnets:
        if address is not None and not _holds(subnet, address):
            continue
        if free.get(subnet.id, 0) >= needed:
            return subnet
    if address is not None:
        raise invalid_field(
            "vip_address", address, f"No subnet of network {network.id} holds it and has free addresses."
        )
    raise Invalid(
        f"Network {network.id} has no subnet with {needed} free addresses for a load balancer.", field="vip_network_id"
    )


def _check_network(cloud: Cloud, subnet: Subnet, network_id: str | None) -> None:
    network = _network(cloud, subnet.network_id)
    if network_id not in (None, network.id):
        raise invalid_field("vip_network_id", network_id, f"The VIP's subnet is in network {network.id}.")
    if not network.port_security_enabled:
        raise Invalid(f"Port security must be enabled on the VIP network {network.id}.", field="vip_network_id")


def _check_together(subnets: Sequence[Subnet]) -> None:
    if len({subnet.network_id for subnet in subnets}) > 1:
        raise Invalid("All VIP subnets must belong to the same network.", field="additional_vips")
    if len({subnet.id for subnet in subnets}) < len(subnets):
        raise Invalid("A subnet can be specified only once for VIPs.", field="additional_vips")


def _check_in_subnet(subnet: Subnet, address: str | None) -> None:
    if address is not None and not _holds(subnet, address):
        raise invalid_field("vip_address", address, f"It is not in subnet {subnet.id} ({subnet.cidr}).")


def _holds(subnet: Subnet, address: str) -> bool:
    return ipaddress.ip_address(address) in ipaddress.ip_network(subnet.cidr)
