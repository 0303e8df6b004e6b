"""The Identity API v3: discovery, tokens and catalogue. The resources' routes are in records_api."""

from typing import Any

from litestar import Response, Router, delete, get, head, post
from litestar.params import RawBody

from hydria.base.errors import NotFound
from hydria.cloud.context import Context
from hydria.cloud.identity import catalog, login
from hydria.cloud.identity.assignments_api import handlers as assignment_handlers
from hydria.cloud.identity.authentication import Checked
from hydria.cloud.identity.errors import missing, require, require_admin, unauthorized
from hydria.cloud.identity.records_api import handlers as record_handlers
from hydria.cloud.identity.resources import DOMAIN_ID, DOMAIN_NAME
from hydria.cloud.identity.service import Identity
from hydria.cloud.needs import Caller, IdentityService, PathText
from hydria.cloud.web import AnyRequest, own_url, query

VERSION = "v3.14"


def authenticated(request: AnyRequest, identity: IdentityService) -> Context:
    """The dependency `context` of every handler that needs to know who calls. Raises Unauthorized."""
    return _checked(request, identity).context


def _checked(request: AnyRequest, identity: Identity) -> Checked:
    text = request.headers.get("X-Auth-Token")
    if not text:
        raise unauthorized()
    try:
        return identity.authentication.check(text)
    except NotFound as error:
        raise unauthorized() from error


def _version(request: AnyRequest) -> dict[str, Any]:
    return {
        "id": VERSION,
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": own_url(request, "/identity/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }


@get("/", status_code=300, sync_to_thread=False)
def versions(request: AnyRequest) -> dict[str, Any]:
    return {"versions": {"values": [_version(request)]}}


@get("/v3", sync_to_thread=False)
def version(request: AnyRequest) -> dict[str, Any]:
    return {"version": _version(request)}


@post("/v3/auth/tokens", sync_to_thread=True)
def create_token(identity: IdentityService, body: RawBody) -> Response[Any]:
    text, checked = identity.authentication.login(login.parse(body))
    headers = {"X-Subject-Token": text, "Vary": "X-Auth-Token"}
    return Response({"token": checked.token}, status_code=201, headers=headers)


def _subject(request: AnyRequest, identity: Identity) -> tuple[str, Checked]:
    """The token asked about: one's own, or any for administrators and for services, which check their callers'."""
    caller, text = _checked(request, identity), request.headers.get("X-Subject-Token", "")
    subject = identity.authentication.check(text)
    own = subject.payload.user_id == caller.payload.user_id
    require(own or bool(caller.context.roles & {"admin", "service"}), "identity:validate_token")
    return text, subject


# Not in a thread: a dictionary lookup, done by the load balancer API for every caller that it does not know yet.
@get("/v3/auth/tokens", sync_to_thread=False)
def show_token(request: AnyRequest, identity: IdentityService) -> Response[Any]:
    text, subject = _subject(request, identity)
    headers = {"X-Subject-Token": text, "Vary": "X-Auth-Token"}
    return Response({"token": subject.token}, headers=headers)


@head("/v3/auth/tokens", sync_to_thread=False)
def check_token(request: AnyRequest, identity: IdentityService) -> None:
    _subject(request, identity)


@delete("/v3/auth/tokens", sync_to_thread=True)
def revoke_token(request: AnyRequest, identity: IdentityService) -> None:
    text, _ = _subject(request, identity)
    identity.authentication.revoke(text)


@get("/v3/auth/catalog", sync_to_thread=False)
def show_catalog(request: AnyRequest, context: Caller, identity: IdentityService) -> dict[str, Any]:
    shown = catalog.in_token(identity.services) if context.project_id else []
    return {"catalog": shown, "links": _links(request, "/auth/catalog")}


@get("/v3/auth/projects", sync_to_thread=True)
def list_own_projects(request: AnyRequest, context: Caller, identity: IdentityService) -> dict[str, Any]:
    own = {project_id for project_id, _, _ in identity.assignments(user_id=context.user_id)}
    projects = [project for project in identity.projects.list({}) if project.id in own]
    return {"projects": projects, "links": _links(request, "/auth/projects")}


def _links(request: AnyRequest, path: str) -> dict[str, Any]:
    return {"next": None, "self": own_url(request, f"/identity/v3{path}"), "previous": None}


def _domain(request: AnyRequest) -> dict[str, Any]:
    return {
        "id": DOMAIN_ID,
        "name": DOMAIN_NAME,
        "description": "The default domain",
        "enabled": True,
        "tags": [],
        "options": {},
        "links": {"self": own_url(request, f"/identity/v3/domains/{DOMAIN_ID}")},
    }


@get("/v3/domains", sync_to_thread=False)
def list_domains(request: AnyRequest, context: Caller) -> dict[str, Any]:
    require_admin(context, "identity:list_domains")
    names = query(request).get("name", [DOMAIN_NAME])
    domains = [_domain(request)] if DOMAIN_NAME in names else []
    return {"domains": domains, "links": _links(request, "/domains")}


@get("/v3/domains/{domain_id:str}", sync_to_thread=False)
def show_domain(request: AnyRequest, context: Caller, domain_id: PathText) -> dict[str, Any]:
    require_admin(context, "identity:get_domain")
    if domain_id != DOMAIN_ID:
        raise missing("domain", domain_id)
    return {"domain": _domain(request)}


@get("/v3/regions", sync_to_thread=False)
def list_regions(request: AnyRequest, context: Caller, identity: IdentityService) -> dict[str, Any]:  # noqa: ARG001 - asks for a login
    return {"regions": [_region(request, identity)], "links": _links(request, "/regions")}


@get("/v3/regions/{region_id:str}", sync_to_thread=False)
def show_region(request: AnyRequest, context: Caller, identity: IdentityService, region_id: PathText) -> dict[str, Any]:  # noqa: ARG001 - asks for a login
    if region_id != identity.config.region_name:
        raise missing("region", region_id)
    return {"region": _region(request, identity)}


def _region(request: AnyRequest, identity: Identity) -> dict[str, Any]:
    id_ = identity.config.region_name
    links = {"self": own_url(request, f"/identity/v3/regions/{id_}")}
    return {"id": id_, "description": "", "parent_region_id": None, "links": links}


def _services(request: AnyRequest, identity: Identity) -> list[dict[str, Any]]:
    keys = ("id", "type", "name", "description", "enabled")
    link = "/identity/v3/services"
    return [
        {key: getattr(service, key) for key in keys} | {"links": {"self": own_url(request, f"{link}/{service.id}")}}
        for service in identity.services
    ]


@get("/v3/services", sync_to_thread=False)
def list_services(request: AnyRequest, context: Caller, identity: IdentityService) -> dict[str, Any]:
    require_admin(context, "identity:list_services")
    wanted = query(request)
    shown = [
        service
        for service in _services(request, identity)
        if all(service[name] in wanted.get(name, [service[name]]) for name in ("type", "name"))
    ]
    return {"services": shown, "links": _links(request, "/services")}


@get("/v3/services/{service_id:str}", sync_to_thread=False)
def show_service(
    request: AnyRequest, context: Caller, identity: IdentityService, service_id: PathText
) -> dict[str, Any]:
    require_admin(context, "identity:get_service")
    for service in _services(request, identity):
        if service["id"] == service_id:
            return {"service": service}
    raise missing("service", service_id)


@get("/v3/endpoints", sync_to_thread=False)
def list_endpoints(request: AnyRequest, context: Caller, identity: IdentityService) -> dict[str, Any]:
    require_admin(context, "identity:list_endpoints")
    wanted = query(request)
    shown = [
        endpoint
        for service in identity.services
        for endpoint in service.endpoints
        if all(
            getattr(endpoint, name) in wanted.get(name, [getattr(endpoint, name)])
            for name in ("interface", "service_id", "region_id")
        )
    ]
    return {"endpoints": shown, "links": _links(request, "/endpoints")}


@get("/v3/endpoints/{endpoint_id:str}", sync_to_thread=False)
def show_endpoint(context: Caller, identity: IdentityService, endpoint_id: PathText) -> dict[str, Any]:
    require_admin(context, "identity:get_endpoint")
    for service in identity.services:
        for endpoint in service.endpoints:
            if endpoint.id == endpoint_id:
                return {"endpoint": endpoint}
    raise missing("endpoint", endpoint_id)


router = Router(
    "/identity",
    route_handlers=[
        versions,
        version,
        create_token,
        show_token,
        check_token,
        revoke_token,
        show_catalog,
        list_own_projects,
        list_domains,
        show_domain,
        list_regions,
        show_region,
        list_services,
        show_service,
        list_endpoints,
        show_endpoint,
        *record_handlers,
        *assignment_handlers,
    ],
)
