"""The Compute API's hosts: aggregates, hypervisors, services, availability zones, server groups. Routes only."""

from typing import Any, Literal

from litestar import delete, get, post, put

from hydria.base.errors import Invalid, NotFound
from hydria.cloud.compute import form, server_groups, views
from hydria.cloud.compute.aggregates import CreateAggregate, HostAction, SetMetadata, UpdateAggregate
from hydria.cloud.compute.handler import Body, Caller, Id, Minor, Service
from hydria.cloud.compute.server_groups import CreateServerGroup
from hydria.cloud.compute.service import Compute
from hydria.cloud.web import AnyRequest


@get("/os-aggregates", sync_to_thread=True)
def list_aggregates(context: Caller, compute: Service, version: Minor) -> dict[str, Any]:
    return {"aggregates": [views.aggregate(aggregate, version) for aggregate in compute.aggregates.all(context)]}


@post("/os-aggregates", status_code=200, sync_to_thread=True)
def create_aggregate(context: Caller, compute: Service, version: Minor, body: Body) -> dict[str, Any]:
    aggregate = compute.aggregates.create(context, form.read(body, "aggregate", CreateAggregate))
    return {"aggregate": views.aggregate(aggregate, version)}


@get("/os-aggregates/{aggregate_id:str}", sync_to_thread=True)
def show_aggregate(context: Caller, compute: Service, version: Minor, aggregate_id: Id) -> dict[str, Any]:
    return {"aggregate": views.aggregate(compute.aggregates.get(context, aggregate_id), version)}


@put("/os-aggregates/{aggregate_id:str}", sync_to_thread=True)
def update_aggregate(context: Caller, compute: Service, version: Minor, aggregate_id: Id, body: Body) -> dict[str, Any]:
    changes = form.read(body, "aggregate", UpdateAggregate)
    return {"aggregate": views.aggregate(compute.aggregates.update(context, aggregate_id, changes), version)}


@delete("/os-aggregates/{aggregate_id:str}", status_code=200, sync_to_thread=True)
def delete_aggregate(context: Caller, compute: Service, aggregate_id: Id) -> None:
    compute.aggregates.delete(context, aggregate_id)


@post("/os-aggregates/{aggregate_id:str}/action", status_code=200, sync_to_thread=True)
def aggregate_action(context: Caller, compute: Service, version: Minor, aggregate_id: Id, body: Body) -> dict[str, Any]:
    match form.document(body):
        case {"add_host": arguments}:
            host = form.convert(arguments, "add_host", HostAction).host
            aggregate = compute.aggregates.add_host(context, aggregate_id, host)
        case {"remove_host": arguments}:
            host = form.convert(arguments, "remove_host", HostAction).host
            aggregate = compute.aggregates.remove_host(context, aggregate_id, host)
        case {"set_metadata": arguments}:
            changes = form.convert(arguments, "set_metadata", SetMetadata)
            aggregate = compute.aggregates.set_metadata(context, aggregate_id, changes)
        case other:
            raise Invalid(f"There is no such action: {', '.join(other)}")
    return {"aggregate": views.aggregate(aggregate, version)}


def _hypervisors(compute: Compute, names: list[str], version: int) -> list[dict[str, Any]]:
    return [
        views.hypervisor_detail(capacity, compute.hosts, version, made_by=compute.hypervisor)
        for capacity in compute.hosts.capacity()
        if capacity.name in names
    ]


def _matching(request: AnyRequest, compute: Compute) -> list[str]:
    pattern = request.query_params.get("hypervisor_hostname_pattern", "")
    return [name for name in sorted(compute.hosts.names) if pattern in name]


@get("/os-hypervisors", sync_to_thread=True)
def list_hypervisors(request: AnyRequest, context: Caller, compute: Service, version: Minor) -> dict[str, Any]:
    context.require_admin("os_compute_api:os-hypervisors:list")
    names = _matching(request, compute)
    return {"hypervisors": [views.hypervisor(name, compute.hosts, version) for name in names]}


@get("/os-hypervisors/detail", sync_to_thread=True)
def list_hypervisors_detail(request: AnyRequest, context: Caller, compute: Service, version: Minor) -> dict[str, Any]:
    context.require_admin("os_compute_api:os-hypervisors:list-detail")
    return {"hypervisors": _hypervisors(compute, _matching(request, compute), version)}


@get("/os-hypervisors/{hypervisor_id:str}", sync_to_thread=True)
def show_hypervisor(context: Caller, compute: Service, version: Minor, hypervisor_id: Id) -> dict[str, Any]:
    context.require_admin("os_compute_api:os-hypervisors:show")
    for hypervisor in _hypervisors(compute, sorted(compute.hosts.names), version):
        if str(hypervisor["id"]) == hypervisor_id:
            return {"hypervisor": hypervisor}
    raise NotFound(f"Hypervisor with ID '{hypervisor_id}' could not be found.")


@get("/os-services", sync_to_thread=True)
def list_services(request: AnyRequest, context: Caller, compute: Service, version: Minor) -> dict[str, Any]:
    context.require_admin("os_compute_api:os-services:list")
    wanted = {name: request.query_params[name] for name in ("host", "binary") if name in request.query_params}
    found = views.services(compute.hosts, version)
    return {"services": [item for item in found if all(item[name] == value for name, value in wanted.items())]}


class UpdateService(form.Form):
    status: Literal["enabled", "disabled"] | None = None
    disabled_reason: str | None = None
    forced_down: bool = False


@put("/os-services/{service_id:str}", sync_to_thread=True)
def update_service(context: Caller, compute: Service, version: Minor, service_id: Id, body: Body) -> dict[str, Any]:
    context.require_admin("os_compute_api:os-services:update")
    changes = form.convert(form.document(body), "service", UpdateService)
    for service in views.services(compute.hosts, version):
        if str(service["id"]) == service_id:
            enabled = (changes.status or service["status"]) == "enabled"
            compute.hosts.set_enabled(service["host"], enabled, changes.disabled_reason)
            return {
                "service": next(item for item in views.services(compute.hosts, version) if item["id"] == service["id"])
            }
    raise NotFound(f"Service {service_id} could not be found.")


@get("/os-availability-zone", sync_to_thread=True)
def list_zones(compute: Service, context: Caller) -> dict[str, Any]:  # noqa: ARG001 - demands a token
    zones = sorted(set(compute.hosts.zones().values()))
    return {"availabilityZoneInfo": [_zone(name, None) for name in zones]}


@get("/os-availability-zone/detail", sync_to_thread=True)
def list_zones_detail(compute: Service, context: Caller) -> dict[str, Any]:
    context.require_admin("os_compute_api:os-availability-zone:detail")
    zones, disabled = compute.hosts.zones(), compute.hosts.disabled()
    return {
        "availabilityZoneInfo": [
            _zone(
                zone,
                {
                    host: {"nova-compute": {"active": host not in disabled, "available": True, "updated_at": None}}
                    for host, own in zones.items()
                    if own == zone
                },
            )
            for zone in sorted(set(zones.values()))
        ]
    }


def _zone(name: str, hosts: dict[str, Any] | None) -> dict[str, Any]:
    return {"zoneName": name, "zoneState": {"available": True}, "hosts": hosts}


@get("/os-server-groups", sync_to_thread=True)
def list_groups(request: AnyRequest, context: Caller, compute: Service, version: Minor) -> dict[str, Any]:
    everybody = "all_projects" in request.query_params
    found = compute.groups.all(context, all_projects=everybody)
    return {"server_groups": [server_groups.view(group, compute.groups.members(group.id), version) for group in found]}


@post("/os-server-groups", status_code=200, sync_to_thread=True)
def create_group(context: Caller, compute: Service, version: Minor, body: Body) -> dict[str, Any]:
    group = compute.groups.create(context, form.read(body, "server_group", CreateServerGroup))
    return {"server_group": server_groups.view(group, [], version)}


@get("/os-server-groups/{group_id:str}", sync_to_thread=True)
def show_group(context: Caller, compute: Service, version: Minor, group_id: Id) -> dict[str, Any]:
    group = compute.groups.get(context, group_id)
    return {"server_group": server_groups.view(group, compute.groups.members(group.id), version)}


@delete("/os-server-groups/{group_id:str}", status_code=204, sync_to_thread=True)
def delete_group(context: Caller, compute: Service, group_id: Id) -> None:
    compute.groups.delete(context, group_id)


handlers = [
    list_aggregates,
    create_aggregate,
    show_aggregate,
    update_aggregate,
    delete_aggregate,
    aggregate_action,
    list_hypervisors,
    list_hypervisors_detail,
    show_hypervisor,
    list_services,
    update_service,
    list_zones,
    list_zones_detail,
    list_groups,
    create_group,
    show_group,
    delete_group,
]
