"""The Compute API's flavors: routes only."""

from typing import Any

from litestar import delete, get, post, put
from msgspec import UNSET, UnsetType

from hydria.base.errors import Invalid, NotFound
from hydria.cloud.compute import form, views
from hydria.cloud.compute.flavors import Access, CreateFlavor, ExtraSpecs, UpdateFlavor
from hydria.cloud.compute.handler import Body, Caller, Id, Minor, Service
from hydria.cloud.compute.paging import page
from hydria.cloud.web import AnyRequest, own_url


def _is_public(request: AnyRequest) -> bool | UnsetType | None:
    text = request.query_params.get("is_public")
    if text is None:
        return UNSET
    values: dict[str, bool | None] = {"true": True, "1": True, "false": False, "0": False, "none": None}
    if text.lower() not in values:
        raise Invalid(f"Invalid is_public filter [{text}]", field="is_public")
    return values[text.lower()]


@get("/flavors", sync_to_thread=True)
def list_flavors(request: AnyRequest, context: Caller, compute: Service) -> dict[str, Any]:
    found, links = page(request, compute.flavors.all(context, _is_public(request)), "flavors")
    return {"flavors": [views.brief(own_url(request, ""), "flavors", flavor) for flavor in found], **links}


@get("/flavors/detail", sync_to_thread=True)
def list_flavors_detail(request: AnyRequest, context: Caller, compute: Service, version: Minor) -> dict[str, Any]:
    found, links = page(request, compute.flavors.all(context, _is_public(request)), "flavors")
    return {"flavors": [views.flavor(own_url(request, ""), flavor, version) for flavor in found], **links}


@post("/flavors", status_code=200, sync_to_thread=True)
def create_flavor(request: AnyRequest, context: Caller, compute: Service, version: Minor, body: Body) -> dict[str, Any]:
    flavor = compute.flavors.create(context, form.read(body, "flavor", CreateFlavor))
    return {"flavor": views.flavor(own_url(request, ""), flavor, version)}


@get("/flavors/{flavor_id:str}", sync_to_thread=True)
def show_flavor(
    request: AnyRequest, context: Caller, compute: Service, version: Minor, flavor_id: Id
) -> dict[str, Any]:
    return {"flavor": views.flavor(own_url(request, ""), compute.flavors.get(context, flavor_id), version)}


@put("/flavors/{flavor_id:str}", sync_to_thread=True)
def update_flavor(
    *, request: AnyRequest, context: Caller, compute: Service, version: Minor, flavor_id: Id, body: Body
) -> dict[str, Any]:
    flavor = compute.flavors.update(context, flavor_id, form.read(body, "flavor", UpdateFlavor))
    return {"flavor": views.flavor(own_url(request, ""), flavor, version)}


@delete("/flavors/{flavor_id:str}", status_code=202, sync_to_thread=True)
def delete_flavor(context: Caller, compute: Service, flavor_id: Id) -> None:
    compute.flavors.delete(context, flavor_id)


@get("/flavors/{flavor_id:str}/os-extra_specs", sync_to_thread=True)
def list_extra_specs(context: Caller, compute: Service, flavor_id: Id) -> dict[str, Any]:
    return {"extra_specs": compute.flavors.get(context, flavor_id).extra_specs}


@post("/flavors/{flavor_id:str}/os-extra_specs", status_code=200, sync_to_thread=True)
def create_extra_specs(context: Caller, compute: Service, flavor_id: Id, body: Body) -> dict[str, Any]:
    specs = form.read(body, "extra_specs", ExtraSpecs)
    compute.flavors.set_extra_specs(context, flavor_id, specs)
    return {"extra_specs": specs}


@get("/flavors/{flavor_id:str}/os-extra_specs/{key:str}", sync_to_thread=True)
def show_extra_spec(context: Caller, compute: Service, flavor_id: Id, key: Id) -> dict[str, str]:
    specs = compute.flavors.get(context, flavor_id).extra_specs
    if key not in specs:
        raise NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")
    return {key: specs[key]}


@put("/flavors/{flavor_id:str}/os-extra_specs/{key:str}", sync_to_thread=True)
def update_extra_spec(context: Caller, compute: Service, flavor_id: Id, key: Id, body: Body) -> dict[str, str]:
    specs = form.convert(form.document(body), "extra_specs", ExtraSpecs)
    if set(specs) != {key}:
        raise Invalid("Request body and URI mismatch", field=key)
    compute.flavors.set_extra_specs(context, flavor_id, specs)
    return specs


@delete("/flavors/{flavor_id:str}/os-extra_specs/{key:str}", status_code=200, sync_to_thread=True)
def delete_extra_spec(context: Caller, compute: Service, flavor_id: Id, key: Id) -> None:
    compute.flavors.delete_extra_spec(context, flavor_id, key)


@get("/flavors/{flavor_id:str}/os-flavor-access", sync_to_thread=True)
def list_access(context: Caller, compute: Service, flavor_id: Id) -> dict[str, Any]:
    return {"flavor_access": views.access(compute.flavors.access(context, flavor_id))}


@post("/flavors/{flavor_id:str}/action", status_code=200, sync_to_thread=True)
def flavor_action(context: Caller, compute: Service, flavor_id: Id, body: Body) -> dict[str, Any]:
    match form.document(body):
        case {"addTenantAccess": arguments}:
            change, name = compute.flavors.add_access, "addTenantAccess"
        case {"removeTenantAccess": arguments}:
            change, name = compute.flavors.remove_access, "removeTenantAccess"
        case other:
            raise Invalid(f"There is no such action: {', '.join(other)}")
    project_id = form.convert(arguments, name, Access).tenant
    return {"flavor_access": views.access(change(context, flavor_id, project_id))}


handlers = [
    list_flavors,
    list_flavors_detail,
    create_flavor,
    show_flavor,
    update_flavor,
    delete_flavor,
    list_extra_specs,
    create_extra_specs,
    show_extra_spec,
    update_extra_spec,
    delete_extra_spec,
    list_access,
    flavor_action,
]
