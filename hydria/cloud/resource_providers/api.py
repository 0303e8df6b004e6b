"""The Placement API, for reading: what there is of each resource on each host and who uses it. Routes only.

Providers follow the hosts and their NICs, allocations the servers: nobody else may write them, so that every other
method is answered with 405.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from litestar import Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from hydria.base.errors import Invalid, NotFound
from hydria.cloud.compute.service import Compute
from hydria.cloud.context import CLOUD, Context
from hydria.cloud.microversion import Microversions
from hydria.cloud.resource_providers import filters, providers
from hydria.cloud.resource_providers.providers import MachineResources, Provider
from hydria.cloud.web import AnyRequest, query

Caller = NamedDependency[Context]
Service = NamedDependency[Compute]
Minor = NamedDependency[int]
Id = FromPath[str]

PREFIX = "/placement"
VERSIONS = Microversions("placement", 1, 0, 39)
LINKS = {"inventories": 0, "usages": 0, "aggregates": 1, "traits": 6, "allocations": 11}


@get("/", sync_to_thread=False)
def versions() -> dict[str, Any]:
    version = {
        "id": "v1.0",
        "status": "CURRENT",
        "min_version": VERSIONS.text(VERSIONS.minimum),
        "max_version": VERSIONS.text(VERSIONS.maximum),
        "links": [{"rel": "self", "href": ""}],
    }
    return {"versions": [version]}


def _since(version: int, minimum: int) -> None:
    """Raises NotFound where a path came later than the version asked for: as if it were not there."""
    if version < minimum:
        raise NotFound(f"The resource could not be found before version {VERSIONS.text(minimum)}.")


def _machine(compute: Compute) -> MachineResources:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    disk = shutil.disk_usage(compute.state_dir if compute.state_dir.exists() else Path("/"))
    return MachineResources(os.cpu_count() or 1, memory // 2**20, disk.total // 2**30)


def _all(context: Context, compute: Compute) -> tuple[Provider, ...]:
    context.require_admin("placement:resource_providers:list")
    aggregates: dict[str, list[str]] = {}
    for aggregate in compute.aggregates.all(CLOUD):
        for host in aggregate.hosts:
            aggregates.setdefault(host, []).append(aggregate.uuid)
    return providers.of_hosts(compute.hosts.capacity(), _machine(compute), aggregates)


def _one(context: Context, compute: Compute, id_: str) -> Provider:
    for provider in _all(context, compute):
        if provider.uuid == id_.lower():
            return provider
    raise NotFound(f"No resource provider with uuid {id_} found")


def _view(provider: Provider, version: int) -> dict[str, Any]:
    path = f"{PREFIX}/resource_providers/{provider.uuid}"
    shown = {
        "uuid": provider.uuid,
        "name": provider.name,
        "generation": provider.generation,
        "links": [
            {"rel": "self", "href": path},
            *({"rel": name, "href": f"{path}/{name}"} for name, minimum in LINKS.items() if version >= minimum),
        ],
    }
    if version >= 14:
        shown |= {"parent_provider_uuid": provider.parent, "root_provider_uuid": provider.root}
    return shown


@get("/resource_providers", sync_to_thread=True)
def list_providers(request: AnyRequest, context: Caller, compute: Service, version: Minor) -> dict[str, Any]:
    found = filters.matching(_all(context, compute), query(request), version)
    return {"resource_providers": [_view(provider, version) for provider in found]}


@get("/resource_providers/{provider_id:str}", sync_to_thread=True)
def show_provider(context: Caller, compute: Service, version: Minor, provider_id: Id) -> dict[str, Any]:
    return _view(_one(context, compute, provider_id), version)


@get("/resource_providers/{provider_id:str}/inventories", sync_to_thread=True)
def list_inventories(context: Caller, compute: Service, provider_id: Id) -> dict[str, Any]:
    provider = _one(context, compute, provider_id)
    return {"resource_provider_generation": provider.generation, "inventories": dict(provider.inventories)}


@get("/resource_providers/{provider_id:str}/inventories/{resource_class:str}", sync_to_thread=True)
def show_inventory(context: Caller, compute: Service, provider_id: Id, resource_class: Id) -> dict[str, Any]:
    provider = _one(context, compute, provider_id)
    if (inventory := provider.inventories.get(resource_class)) is None:
        raise NotFound(f"No inventory of class {resource_class} for {provider_id}")
    shown = {name: getattr(inventory, name) for name in inventory.__struct_fields__}
    return {"resource_provider_generation": provider.generation, **shown}


@get("/resource_providers/{provider_id:str}/usages", sync_to_thread=True)
def provider_usages(context: Caller, compute: Service, provider_id: Id) -> dict[str, Any]:
    provider = _one(context, compute, provider_id)
    return {"resource_provider_generation": provider.generation, "usages": provider.usages}


@get("/resource_providers/{provider_id:str}/traits", sync_to_thread=True)
def provider_traits(context: Caller, compute: Service, version: Minor, provider_id: Id) -> dict[str, Any]:
    _since(version, 6)
    provider = _one(context, compute, provider_id)
    return {"resource_provider_generation": provider.generation, "traits": provider.traits}


@get("/resource_providers/{provider_id:str}/aggregates", sync_to_thread=True)
def provider_aggregates(context: Caller, compute: Service, version: Minor, provider_id: Id) -> dict[str, Any]:
    _since(version, 1)
    provider = _one(context, compute, provider_id)
    generation = {"resource_provider_generation": provider.generation} if version >= 19 else {}
    return {"aggregates": provider.aggregates, **generation}


@get("/resource_providers/{provider_id:str}/allocations", sync_to_thread=True)
def provider_allocations(context: Caller, compute: Service, provider_id: Id) -> dict[str, Any]:
    provider = _one(context, compute, provider_id)
    allocations = {consumer: {"resources": amounts} for consumer, amounts in provider.allocations.items()}
    return {"resource_provider_generation": provider.generation, "allocations": allocations}


@get("/allocations/{consumer_id:str}", sync_to_thread=True)
def consumer_allocations(context: Caller, compute: Service, version: Minor, consumer_id: Id) -> dict[str, Any]:
    """Of a server. As Placement does, nothing is said of a consumer that nobody knows."""
    allocations = {
        provider.uuid: {"generation": provider.generation, "resources": provider.allocations[consumer_id]}
        for provider in _all(context, compute)
        if consumer_id in provider.allocations
    }
    shown: dict[str, Any] = {"allocations": allocations}
    if allocations and version >= 12:
        owner = compute.servers.get(CLOUD, consumer_id)
        shown |= {"project_id": owner.project_id, "user_id": owner.user_id}
    return shown


@get("/usages", sync_to_thread=True)
def project_usages(request: AnyRequest, context: Caller, compute: Service, version: Minor) -> dict[str, Any]:
    _since(version, 9)
    wanted = query(request)
    if not wanted.get("project_id") or set(wanted) - {"project_id", "user_id"}:
        raise Invalid("Invalid query string parameters: project_id is a required property, user_id is the other one.")
    own = {
        server.id
        for server in compute.servers.all(CLOUD, {"all_tenants": "1"})
        if server.project_id == wanted["project_id"][0] and server.user_id in wanted.get("user_id", [server.user_id])
    }
    usages: dict[str, int] = {}
    for provider in _all(context, compute):
        for consumer, amounts in provider.allocations.items():
            for name, amount in amounts.items() if consumer in own else ():
                usages[name] = usages.get(name, 0) + amount
    return {"usages": usages}


@get("/traits", sync_to_thread=True)
def list_traits(context: Caller, compute: Service, version: Minor) -> dict[str, Any]:
    """Those that some provider has."""
    _since(version, 6)
    return {"traits": sorted({trait for provider in _all(context, compute) for trait in provider.traits})}


@get("/resource_classes", sync_to_thread=True)
def list_resource_classes(context: Caller, compute: Service, version: Minor) -> dict[str, Any]:
    """Those that some provider has."""
    _since(version, 2)
    names = sorted({name for provider in _all(context, compute) for name in provider.inventories})
    links = {name: [{"rel": "self", "href": f"{PREFIX}/resource_classes/{name}"}] for name in names}
    return {"resource_classes": [{"name": name, "links": links[name]} for name in names]}


router = Router(
    path=PREFIX,
    route_handlers=[
        versions,
        list_providers,
        show_provider,
        list_inventories,
        show_inventory,
        provider_usages,
        provider_traits,
        provider_aggregates,
        provider_allocations,
        consumer_allocations,
        project_usages,
        list_traits,
        list_resource_classes,
    ],
    dependencies={"version": Provide(VERSIONS.provide, sync_to_thread=False)},
    middleware=[VERSIONS.echo],
)
