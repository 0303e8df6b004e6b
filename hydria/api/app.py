"""The application: which path and method leads where. Nothing here knows what a resource is made of."""

import functools
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from litestar import Litestar, Request, Response, Router
from litestar.config.cors import CORSConfig
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody

from hydria.api import documentation, faults, openapi, providers, versions
from hydria.api.amphorae import Amphorae
from hydria.api.asgi import BASE_URL, ORIGINAL_PATH, Front
from hydria.api.availability_zones import AvailabilityZoneProfiles, AvailabilityZones
from hydria.api.call import Call, Services
from hydria.api.certificates import Certificates
from hydria.api.collection import Collection
from hydria.api.flavors import FlavorProfiles, Flavors
from hydria.api.health_monitors import HealthMonitors
from hydria.api.l7_policies import L7Policies
from hydria.api.l7_rules import L7Rules
from hydria.api.listeners import Listeners
from hydria.api.load_balancers import LoadBalancers
from hydria.api.members import Members
from hydria.api.pools import Pools
from hydria.api.quotas import Quotas
from hydria.api.route import Route
from hydria.base import config
from hydria.base.errors import NotFound, invalid_field
from hydria.model import certificate

JSON = "application/json"

MAX_BODY = 4 * 1024 * 1024
"""Bytes. A graph of some thousand members fits."""


def _reading(path: str, collection: Collection[Any]) -> list[Route]:
    return [Route("GET", path, collection.index), Route("GET", f"{path}/{{id:str}}", collection.show)]


def _crud(path: str, collection: Any) -> list[Route]:
    return [
        *_reading(path, collection),
        Route("POST", path, collection.create),
        Route("PUT", f"{path}/{{id:str}}", collection.update),
        Route("DELETE", f"{path}/{{id:str}}", collection.delete),
    ]


def _quotas(path: str) -> list[Route]:
    quotas = Quotas()
    return [
        *_reading(path, quotas),
        Route("PUT", f"{path}/{{id:str}}", quotas.update),
        Route("DELETE", f"{path}/{{id:str}}", quotas.delete),
        Route("GET", f"{path}/{{id:str}}/default", quotas.defaults),
        Route("GET", f"{path}/defaults", quotas.defaults),
    ]


def routes() -> list[Route]:
    """Everything below /v2 that needs a token, in one form; `asgi.normalize` knows the others."""
    load_balancers, listeners, members, amphorae = LoadBalancers(), Listeners(), Members(), Amphorae()
    lb, lbaas, pool_members = "/v2/lbaas/loadbalancers/{id:str}", "/v2/lbaas", "/v2/lbaas/pools/{pool_id:str}/members"
    amphora, provider = "/v2/octavia/amphorae/{id:str}", f"{lbaas}/providers/{{provider:str}}"
    return [
        *_crud(f"{lbaas}/loadbalancers", load_balancers),
        Route("GET", f"{lb}/status", load_balancers.status),
        Route("GET", f"{lb}/statuses", load_balancers.status),
        Route("GET", f"{lb}/stats", load_balancers.stats),
        Route("GET", f"{lb}/events", load_balancers.events),
        Route("PUT", f"{lb}/failover", load_balancers.failover),
        *_crud(f"{lbaas}/listeners", listeners),
        Route("GET", f"{lbaas}/listeners/{{id:str}}/stats", listeners.stats),
        *_crud(f"{lbaas}/pools", Pools()),
        *_crud(pool_members, members),
        Route("PUT", pool_members, members.replace),
        *_crud(f"{lbaas}/healthmonitors", HealthMonitors()),
        *_crud(f"{lbaas}/l7policies", L7Policies()),
        *_crud(f"{lbaas}/l7policies/{{l7policy_id:str}}/rules", L7Rules()),
        *_crud(f"{lbaas}/flavors", Flavors()),
        *_crud(f"{lbaas}/flavorprofiles", FlavorProfiles()),
        *_crud(certificate.PATH, Certificates()),
        *_crud(f"{lbaas}/availabilityzones", AvailabilityZones()),
        *_crud(f"{lbaas}/availabilityzoneprofiles", AvailabilityZoneProfiles()),
        Route("GET", f"{lbaas}/providers", providers.index),
        Route("GET", f"{provider}/flavor_capabilities", providers.flavor_capabilities),
        Route("GET", f"{provider}/availability_zone_capabilities", providers.availability_zone_capabilities),
        *_quotas(f"{lbaas}/quotas"),
        *_reading("/v2/octavia/amphorae", amphorae),
        Route("DELETE", amphora, amphorae.delete),
        Route("GET", f"{amphora}/stats", amphorae.stats),
        Route("PUT", f"{amphora}/config", amphorae.configure),
        Route("PUT", f"{amphora}/failover", amphorae.failover),
    ]


def create(services: Services) -> Front:
    """The ASGI application."""
    api = services.config.api
    handlers = [_public("/", _discovery), _public("/v2", _discovery)]
    if api.healthcheck_enabled:
        handlers.append(_public("/healthcheck", _healthy, "GET", "HEAD"))
    handlers += [_authenticated(route, services) for route in routes()]
    handlers += _description()
    return Front(
        Litestar(
            # In a router: what is added to an application one by one is wrapped anew for each method of its path.
            [Router("/", route_handlers=handlers)],
            exception_handlers={Exception: faults.answer},
            request_max_body_size=MAX_BODY,
            openapi_config=None,
            logging_config=None,
            cors_config=_cors(api) if api.cors_allowed_origins else None,
        ),
        behind_proxy=api.enable_proxy_headers_parsing,
    )


def _cors(api: config.Api) -> CORSConfig:
    return CORSConfig(
        allow_origins=list(api.cors_allowed_origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=["X-Auth-Token", "Content-Type", "Accept"],
        expose_headers=["X-OpenStack-Request-ID"],
    )


def _authenticated(route: Route, services: Services) -> HTTPRouteHandler:
    def handle(request: Request[Any, Any, Any], body: RawBody) -> Response[bytes]:
        if "\0" in request.scope["path"]:
            raise NotFound("No resource has such an id.")
        token = request.headers.get("x-auth-token", "")
        caller = services.identity.caller(token)
        call = Call(
            services=services,
            caller=caller,
            cloud=services.cloud.seen_by(token),
            key_manager=services.key_manager.seen_by(token),
            url=f"{_base_url(request)}{request.scope[ORIGINAL_PATH]}",  # type: ignore[literal-required]
            path=request.path_params,
            query=_query(request),
            body=body,
        )
        answer = route.action(call)
        content = b"" if answer.content is None else msgspec.json.encode(answer.content)
        return Response(content, status_code=answer.status, media_type=JSON)

    # The status is the answer's own; what the decorator says here only has to allow a body.
    return HTTPRouteHandler(route.path, http_method=route.method, status_code=200, sync_to_thread=True)(handle)


def _query(request: Request[Any, Any, Any]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in request.query_params.multi_items():
        if "\0" in name + value:  # PostgreSQL's text cannot hold it.
            raise invalid_field("query", f"{name}={value}", "It must not hold the character U+0000.")
        found[name].append(value)
    return found


def _base_url(request: Request[Any, Any, Any]) -> str:
    """As the client sees it."""
    told: str | None = request.scope.get(BASE_URL)  # type: ignore[assignment]
    return (told or str(request.base_url)).rstrip("/")


def _public(
    path: str, content: Callable[[Request[Any, Any, Any]], Any], *methods: Literal["GET", "HEAD"]
) -> HTTPRouteHandler:
    def handle(request: Request[Any, Any, Any]) -> Response[bytes]:
        return Response(msgspec.json.encode(content(request)), media_type=JSON)

    return HTTPRouteHandler(path, http_method=methods or ("GET",), sync_to_thread=False)(handle)


@functools.cache
def _described() -> tuple[dict[str, Any], bytes]:
    """For machines and for people. The same for every application of a process."""
    document = openapi.document(routes())
    return document, documentation.page(document).encode()


def _description() -> list[HTTPRouteHandler]:
    """/openapi.json, whose suffix is gone by now, and the page."""
    document, page = _described()

    def show() -> Response[bytes]:
        return Response(page, media_type="text/html", headers=documentation.HEADERS)

    def here(request: Request[Any, Any, Any]) -> dict[str, Any]:
        return {**document, "servers": [{"url": _base_url(request)}]}

    handler = HTTPRouteHandler(documentation.PATH, http_method="GET", sync_to_thread=False)
    return [_public("/openapi", here), handler(show)]


def _discovery(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return versions.document(_base_url(request))


def _healthy(_request: Request[Any, Any, Any]) -> dict[str, str]:
    return {"status": "OK"}
