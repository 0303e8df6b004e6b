"""The Compute API v2.1: discovery, what is nearly constant, and the router of all routes.

Handlers ask for `compute`, which the app provides, `context` (who calls) and `version` (the N of microversion 2.N).
"""

from typing import Any

from litestar import Router, get
from litestar.di import Provide

from hydria.cloud.compute import api_flavors, api_hosts, api_servers
from hydria.cloud.compute.handler import Caller, Id, Service
from hydria.cloud.microversion import Microversions
from hydria.cloud.web import AnyRequest, own_url

UNLIMITED = -1
QUOTAS = (
    *("cores", "instances", "key_pairs", "metadata_items", "ram", "server_groups", "server_group_members"),
    *("fixed_ips", "floating_ips", "injected_file_content_bytes", "injected_file_path_bytes", "injected_files"),
    *("security_group_rules", "security_groups"),
)

VERSIONS = Microversions("compute", 2, 1, 100, legacy_header="X-OpenStack-Nova-API-Version")


def _version(request: AnyRequest) -> dict[str, Any]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": VERSIONS.text(VERSIONS.maximum),
        "min_version": VERSIONS.text(VERSIONS.minimum),
        "updated": "2013-07-23T11:33:21Z",
        "links": [{"rel": "self", "href": own_url(request, "/compute/v2.1/")}],
    }


@get("/", sync_to_thread=False)
def versions(request: AnyRequest) -> dict[str, Any]:
    return {"versions": [_version(request)]}


@get("/v2.1", sync_to_thread=False)
def version_document(request: AnyRequest) -> dict[str, Any]:
    return {"version": _version(request)}


@get("/limits", sync_to_thread=True)
def limits(context: Caller, compute: Service) -> dict[str, Any]:
    own = compute.servers.all(context, {})
    absolute = {
        "maxTotalInstances": UNLIMITED,
        "maxTotalCores": UNLIMITED,
        "maxTotalRAMSize": UNLIMITED,
        "maxTotalKeypairs": UNLIMITED,
        "maxServerMeta": UNLIMITED,
        "maxServerGroups": UNLIMITED,
        "maxServerGroupMembers": UNLIMITED,
        "totalInstancesUsed": len(own),
        "totalCoresUsed": sum(server.flavor.vcpus for server in own),
        "totalRAMUsed": sum(server.flavor.ram for server in own),
        "totalServerGroupsUsed": len(compute.groups.all(context)),
    }
    return {"limits": {"absolute": absolute, "rate": []}}


@get("/os-keypairs", sync_to_thread=False)
def keypairs(context: Caller) -> dict[str, Any]:  # noqa: ARG001 - asking for it demands a token
    """Nobody logs in to a server of this cloud."""
    return {"keypairs": []}


@get(["/os-quota-sets/{project_id:str}", "/os-quota-sets/{project_id:str}/defaults"], sync_to_thread=False)
def quotas(context: Caller, project_id: Id) -> dict[str, Any]:  # noqa: ARG001 - demands a token
    return {"quota_set": {"id": project_id, **dict.fromkeys(QUOTAS, UNLIMITED)}}


router = Router(
    path="/compute",
    route_handlers=[
        versions,
        version_document,
        Router(
            path="/v2.1",
            route_handlers=[
                limits,
                keypairs,
                quotas,
                *api_flavors.handlers,
                *api_hosts.handlers,
                *api_servers.handlers,
            ],
        ),
    ],
    dependencies={"version": Provide(VERSIONS.provide, sync_to_thread=False)},
    middleware=[VERSIONS.echo],
)
