"""How compute's resources look in answers, by microversion. Pure, but for the links."""

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from hydria.cloud.compute.capacity import HostCapacity, PfCapacity
from hydria.cloud.compute.hosts import Hosts
from hydria.cloud.compute.resources import DEFAULT_ZONE, Aggregate, Flavor, Server
from hydria.cloud.compute.servers import status
from hydria.cloud.hypervisor.guest import Hypervisor
from hydria.cloud.network.resources import NetworkRow, Port

HOST_IDS = uuid.UUID("5d1c0c1e-2d0f-4b4f-9d3d-8c1a4c5f0a55")
"""Ids of hosts' services and hypervisors are derived from their names."""


def links(base: str, kind: str, id_: str) -> list[dict[str, str]]:
    return [
        {"rel": "self", "href": f"{base}/compute/v2.1/{kind}/{id_}"},
        {"rel": "bookmark", "href": f"{base}/compute/{kind}/{id_}"},
    ]


def brief(base: str, kind: str, resource: Flavor | Server) -> dict[str, Any]:
    return {"id": resource.id, "name": resource.name, "links": links(base, kind, resource.id)}


def flavor(base: str, item: Flavor, version: int) -> dict[str, Any]:
    shown = {
        "id": item.id,
        "name": item.name,
        "ram": item.ram,
        "disk": item.disk,
        "vcpus": item.vcpus,
        "swap": item.swap or ("" if version < 75 else 0),
        "OS-FLV-EXT-DATA:ephemeral": item.ephemeral,
        "OS-FLV-DISABLED:disabled": False,
        "os-flavor-access:is_public": item.is_public,
        "rxtx_factor": item.rxtx_factor,
        "links": links(base, "flavors", item.id),
    }
    if version >= 55:
        shown["description"] = item.description
    if version >= 61:
        shown["extra_specs"] = item.extra_specs
    return shown


def access(item: Flavor) -> list[dict[str, str]]:
    return [{"flavor_id": item.id, "tenant_id": project_id} for project_id in item.access]


def aggregate(item: Aggregate, version: int) -> dict[str, Any]:
    shown = {
        "id": int(item.id),
        "name": item.name,
        "hosts": item.hosts,
        "metadata": item.metadata,
        "availability_zone": item.metadata.get("availability_zone"),
        "created_at": item.created_at.removesuffix("Z"),
        "updated_at": item.updated_at and item.updated_at.removesuffix("Z"),
        "deleted": False,
        "deleted_at": None,
    }
    return {**shown, "uuid": item.uuid} if version >= 41 else shown


def service_id(host: str) -> str:
    return str(uuid.uuid5(HOST_IDS, f"service/{host}"))


def hypervisor_id(host: str) -> str:
    return str(uuid.uuid5(HOST_IDS, f"hypervisor/{host}"))


def services(hosts: Hosts, version: int) -> list[dict[str, Any]]:
    disabled, zones = hosts.disabled(), hosts.zones()
    return [
        {
            "id": service_id(name) if version >= 53 else number,
            "binary": "nova-compute",
            "host": name,
            "zone": zones[name],
            "status": "disabled" if name in disabled else "enabled",
            "state": "up",
            "disabled_reason": disabled[name].reason if name in disabled else None,
            "updated_at": disabled[name].updated_at.removesuffix("Z") if name in disabled else None,
            "forced_down": False,
        }
        for number, name in enumerate(sorted(hosts.names), 1)
    ]


def hypervisor(name: str, hosts: Hosts, version: int) -> dict[str, Any]:
    """The short form, which the list has."""
    number = sorted(hosts.names).index(name) + 1
    return {
        "id": hypervisor_id(name) if version >= 53 else number,
        "hypervisor_hostname": name,
        "state": "up",
        "status": "disabled" if name in hosts.disabled() else "enabled",
    }


def hypervisor_detail(capacity: HostCapacity, hosts: Hosts, version: int, *, made_by: Hypervisor) -> dict[str, Any]:
    name = capacity.name
    disabled = hosts.disabled().get(name)
    shown = {
        **hypervisor(name, hosts, version),
        "hypervisor_type": made_by.kind,
        "hypervisor_version": made_by.version,
        "host_ip": "127.0.0.1",
        "service": {
            "id": service_id(name) if version >= 53 else 1,
            "host": name,
            "disabled_reason": disabled.reason if disabled else None,
        },
        # Ours: Nova keeps what it knows of VFs to itself.
        "hydria:vfs": {network: _vfs(pfs) for network, pfs in capacity.networks().items()},
        "hydria:pfs": [_pf(one) for one in capacity.pfs],
    }
    if version < 88:
        shown |= {"running_vms": len(capacity.servers), "cpu_info": {} if version >= 28 else "", "current_workload": 0}
    else:
        shown["uptime"] = None
    return shown


def _vfs(pfs: Sequence[PfCapacity]) -> dict[str, int]:
    """`free`: what a port could have now; `used`: all others; then how many are in which state, whatever the link."""
    total, free = sum(one.total for one in pfs), sum(one.usable for one in pfs)
    states = {state: sum(one.count(state) for one in pfs) for state in ("claimed", "foreign", "away")}
    return {"total": total, "used": total - free, "free": free, **states}


def _pf(one: PfCapacity) -> dict[str, Any]:
    pf = one.pf
    return {
        "name": pf.name,
        "physical_network": pf.physical_network or None,
        "present": one.is_present,
        "driver": pf.driver or None,
        "pci_address": pf.pci_address,
        "numa_node": pf.numa_node,
        "link_up": pf.link_up,
        "speed_mbps": pf.speed,
        "totalvfs": pf.totalvfs,
        "eswitch_mode": pf.eswitch_mode,
        "vfs": _vfs([one]),
    }


def server(
    base: str, item: Server, version: int, *, nics: Sequence[tuple[Port, NetworkRow]], admin: bool
) -> dict[str, Any]:
    state = status(item)
    shown = {
        **brief(base, "servers", item),
        "status": state,
        "tenant_id": item.project_id,
        "user_id": item.user_id,
        "metadata": item.metadata,
        "hostId": hashlib.sha224(f"{item.project_id}{item.host}".encode()).hexdigest() if item.host else "",
        "image": {"id": item.image_id, "links": links(base, "images", item.image_id)[1:]} if item.image_id else "",
        "flavor": _embedded_flavor(base, item.flavor, version),
        "created": item.created_at,
        "updated": item.updated_at,
        "addresses": _addresses(nics),
        "accessIPv4": "",
        "accessIPv6": "",
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": item.zone or (DEFAULT_ZONE if item.host else ""),
        "OS-EXT-STS:task_state": item.task_state and item.task_state.removesuffix("_hard"),
        "OS-EXT-STS:vm_state": item.vm_state,
        "OS-EXT-STS:power_state": item.power_state,
        "OS-SRV-USG:launched_at": item.launched_at and item.launched_at.removesuffix("Z"),
        "OS-SRV-USG:terminated_at": None,
        "config_drive": "True" if item.config_drive else "",
        "key_name": item.key_name,
        "os-extended-volumes:volumes_attached": [],
        "security_groups": [{"name": "default"}] if nics else [],
    }
    if state in {"ACTIVE", "BUILD"}:
        shown["progress"] = 100 if state == "ACTIVE" else 0
    if item.fault is not None:
        shown["fault"] = {"code": item.fault.code, "message": item.fault.message, "created": item.fault.created}
    return shown | _newer(item, version) | (_for_admins(item, version) if admin else {})


def _embedded_flavor(base: str, item: Flavor, version: int) -> dict[str, Any]:
    if version < 47:
        return {"id": item.id, "links": links(base, "flavors", item.id)[1:]}
    return {
        "original_name": item.name,
        "vcpus": item.vcpus,
        "ram": item.ram,
        "disk": item.disk,
        "ephemeral": item.ephemeral,
        "swap": item.swap,
        "extra_specs": item.extra_specs,
    }


def _addresses(nics: Sequence[tuple[Port, NetworkRow]]) -> dict[str, list[dict[str, Any]]]:
    addresses: dict[str, list[dict[str, Any]]] = {}
    for port, network in nics:
        addresses.setdefault(network.name, []).extend(
            {
                "version": 6 if ":" in ip.ip_address else 4,
                "addr": ip.ip_address,
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": port.mac_address,
            }
            for ip in port.fixed_ips
        )
    return addresses


def _newer(item: Server, version: int) -> dict[str, Any]:
    added: Mapping[int, dict[str, Any]] = {
        9: {"locked": False},
        19: {"description": item.description},
        26: {"tags": item.tags},
        63: {"trusted_image_certificates": None},
        71: {"server_groups": [item.group_id] if item.group_id else []},
        73: {"locked_reason": None},
        96: {"pinned_availability_zone": item.zone},
        100: {"scheduler_hints": item.scheduler_hints},
    }
    return {key: value for since, fields in added.items() if version >= since for key, value in fields.items()}


def _for_admins(item: Server, version: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "OS-EXT-SRV-ATTR:host": item.host,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": item.host,
        "OS-EXT-SRV-ATTR:instance_name": f"instance-{item.id[:8]}",
    }
    if version >= 16:
        shown["host_status"] = "UP" if item.host else ""
    return shown


def interface(port: Port, version: int) -> dict[str, Any]:
    shown = {
        "port_id": port.id,
        "port_state": port.status,
        "net_id": port.network_id,
        "mac_addr": port.mac_address,
        "fixed_ips": [{"subnet_id": ip.subnet_id, "ip_address": ip.ip_address} for ip in port.fixed_ips],
    }
    return {**shown, "tag": None} if version >= 70 else shown
