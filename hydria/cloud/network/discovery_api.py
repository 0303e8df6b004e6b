"""What the network service says of itself: versions, extensions, agents, quotas, and that it has no subnet pools."""

import uuid
from collections.abc import Mapping
from typing import Any

from litestar import get
from sqlalchemy import func, select

from hydria.base.errors import NotFound
from hydria.cloud.context import Context
from hydria.cloud.needs import Caller, NetworkService, PathText
from hydria.cloud.network import tables
from hydria.cloud.network.collection import disallowed
from hydria.cloud.network.service import Network
from hydria.cloud.resource import now
from hydria.cloud.web import AnyRequest, own_url, query

EXTENSIONS = {
    "agent": "agent",
    "allowed-address-pairs": "Allowed Address Pairs",
    "availability_zone": "Availability Zone",
    "binding": "Port Binding",
    "binding-extended": "Port Bindings Extended",
    "external-net": "Neutron external network",
    "extra_dhcp_opt": "Neutron Extra DHCP options",
    "filter-validation": "Filter parameters validation",
    "ip-substring-filtering": "IP address substring filtering",
    "net-mtu": "Network MTU",
    "net-mtu-writable": "Network MTU (writable)",
    "network-ip-availability": "Network IP Availability",
    "pagination": "Pagination support",
    "port-security": "Port Security",
    "project-id": "project_id field enabled",
    "provider": "Provider Network",
    "qos": "Quality of Service",
    "qos-bw-limit-direction": "Direction for QoS bandwidth limit rule",
    "quotas": "Quota management support",
    "security-group": "security-group",
    "sorting": "Sorting support",
    "standard-attr-description": "standard-attr-description",
    "standard-attr-revisions": "Resource revision numbers",
    "standard-attr-tag": "Tag support for resources with standard attribute: port, subnet, network, policy",
    "standard-attr-timestamp": "Resource timestamps",
    "subnet-service-types": "Subnet service types",
}
"""Alias → name of what is served here."""

QUOTAS = ("network", "subnet", "port", "security_group", "security_group_rule", "router", "floatingip", "subnetpool")
UNLIMITED = -1
AGENTS = uuid.UUID("9d4cbd5c-0c52-5f6e-8a25-6f1e0b0f7a3d")
"""Name space of the agents' ids."""


def _version(request: AnyRequest) -> dict[str, Any]:
    links = [{"rel": "self", "href": own_url(request, "/networking/v2.0/")}]
    return {"id": "v2.0", "status": "CURRENT", "links": links}


@get("/", sync_to_thread=False)
def versions(request: AnyRequest) -> dict[str, Any]:
    return {"versions": [_version(request)]}


@get("/v2.0", sync_to_thread=False)
def version(request: AnyRequest) -> dict[str, Any]:
    names = ("network", "subnet", "port", "security-group", "security-group-rule")
    resources = [
        {
            "name": name,
            "collection": f"{name}s",
            "links": [{"rel": "self", "href": own_url(request, f"/networking/v2.0/{name}s")}],
        }
        for name in names
    ]
    return {"resources": resources}


def _extension(alias: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": EXTENSIONS[alias],
        "description": EXTENSIONS[alias],
        "updated": "2020-01-01T00:00:00-00:00",
        "links": [],
    }


@get("/v2.0/extensions", sync_to_thread=False)
def list_extensions() -> dict[str, Any]:
    return {"extensions": [_extension(alias) for alias in EXTENSIONS]}


@get("/v2.0/extensions/{alias:str}", sync_to_thread=False)
def show_extension(alias: PathText) -> dict[str, Any]:
    if alias not in EXTENSIONS:
        raise NotFound(f"Extension with alias {alias} does not exist")
    return {"extension": _extension(alias)}


def _quotas(context: Context, project_id: str) -> dict[str, int]:
    if not context.sees(project_id):
        raise disallowed("get_quota")
    return dict.fromkeys(QUOTAS, UNLIMITED)


@get(["/v2.0/quotas/{project_id:str}", "/v2.0/quotas/{project_id:str}/default"], sync_to_thread=False)
def show_quotas(context: Caller, project_id: PathText) -> dict[str, Any]:
    return {"quota": _quotas(context, project_id)}


@get(["/v2.0/quotas/{project_id:str}/details", "/v2.0/quotas/{project_id:str}/details.json"], sync_to_thread=True)
def show_quota_details(context: Caller, network: NetworkService, project_id: PathText) -> dict[str, Any]:
    counted = {
        "network": tables.networks,
        "subnet": tables.subnets,
        "port": tables.ports,
        "security_group": tables.security_groups,
        "security_group_rule": tables.security_group_rules,
    }
    details = {name: {"limit": limit, "used": 0, "reserved": 0} for name, limit in _quotas(context, project_id).items()}
    with network.database.read() as connection:
        for name, table in counted.items():
            counting = select(func.count()).select_from(table).where(table.c.project_id == project_id)
            details[name]["used"] = connection.execute(counting).scalar_one()
    return {"quota": details}


def _agents(network: Network) -> list[dict[str, Any]]:
    """What plugs VFs on each host; it is this process, so it is alive whenever somebody asks."""
    moment = now()
    return [
        {
            "id": str(uuid.uuid5(AGENTS, host.name)),
            "agent_type": "NIC Switch agent",
            "binary": "neutron-sriov-nic-agent",
            "topic": "N/A",
            "host": host.name,
            "admin_state_up": True,
            "alive": True,
            "availability_zone": None,
            "description": None,
            "resources_synced": None,
            "created_at": moment,
            "started_at": moment,
            "heartbeat_timestamp": moment,
            "configurations": {"device_mappings": _device_mappings(host.pfs)},
        }
        for host in network.config.cloud.hosts
    ]


def _device_mappings(pfs: Mapping[str, str]) -> dict[str, list[str]]:
    mappings: dict[str, list[str]] = {}
    for pf, physical_network in pfs.items():
        mappings.setdefault(physical_network, []).append(pf)
    return mappings


@get("/v2.0/agents", sync_to_thread=False)
def list_agents(request: AnyRequest, context: Caller, network: NetworkService) -> dict[str, Any]:
    asked = query(request)
    agents = _agents(network) if context.is_admin else []
    filters = ("host", "agent_type", "binary")
    return {"agents": [one for one in agents if all(one[name] in asked.get(name, [one[name]]) for name in filters)]}


@get("/v2.0/agents/{agent_id:str}", sync_to_thread=False)
def show_agent(context: Caller, network: NetworkService, agent_id: PathText) -> dict[str, Any]:
    for agent in _agents(network) if context.is_admin else []:
        if agent["id"] == agent_id:
            return {"agent": agent}
    raise NotFound(f"Agent {agent_id} could not be found")


@get("/v2.0/subnetpools", sync_to_thread=False)
def list_subnet_pools() -> dict[str, Any]:
    """Clients look for a default one before they choose a prefix themselves."""
    return {"subnetpools": []}


handlers = [
    versions,
    version,
    list_extensions,
    show_extension,
    show_quotas,
    show_quota_details,
    list_agents,
    show_agent,
    list_subnet_pools,
]
