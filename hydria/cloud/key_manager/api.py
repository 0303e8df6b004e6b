"""The Key Manager API v1: discovery, secrets, payloads, containers."""

from typing import Any

from litestar import Response, Router, delete, get, post, put
from litestar.di import Provide
from litestar.params import RawBody

from hydria.cloud.key_manager import api_kept, content, views
from hydria.cloud.key_manager.content import BINARY, TEXT, Payload
from hydria.cloud.key_manager.service import PATH
from hydria.cloud.microversion import Microversions
from hydria.cloud.needs import Caller, KeyManagerService, Minor, PathText
from hydria.cloud.web import AnyRequest, document, own_url, query

VERSIONS = Microversions("key-manager", 1, 0, 2)
NO_DELETE_WITH_CONSUMERS_SINCE = 2
JSON = "application/json"

Document = dict[str, Any]


def _version(request: AnyRequest, minor: int) -> Document:
    """Clients from before microversions stumble over their limits."""
    links = [{"rel": "self", "href": own_url(request, f"{PATH}/v1/")}]
    if minor == VERSIONS.minimum:
        types = [{"base": JSON, "type": "application/vnd.openstack.key-manager-v1+json"}]
        return {"id": "v1", "status": "stable", "links": links, "media-types": types}
    limits = {"min_version": VERSIONS.text(VERSIONS.minimum), "max_version": VERSIONS.text(VERSIONS.maximum)}
    return {"id": "v1", "status": "CURRENT", "links": links, **limits}


@get("/", status_code=300, sync_to_thread=False)
def versions(request: AnyRequest, version: Minor) -> Document:
    shown = [_version(request, version)]
    return {"versions": {"values": shown} if version == VERSIONS.minimum else shown}


@get("/v1", sync_to_thread=False)
def version_document(request: AnyRequest, version: Minor) -> Document:
    return {"version": _version(request, version)}


@post("/secrets", request_max_body_size=content.MAX_REQUEST_BYTES, sync_to_thread=True)
def create_secret(context: Caller, key_manager: KeyManagerService, body: RawBody) -> Response[Document]:
    reference = f"{key_manager.url}/secrets/{key_manager.secrets.create(context, document(body)).id}"
    return Response({"secret_ref": reference}, headers={"Location": reference})


@get("/secrets/{secret_id:str}", sync_to_thread=True)
def show_secret(
    request: AnyRequest, context: Caller, key_manager: KeyManagerService, version: Minor, secret_id: PathText
) -> Response[Any]:
    if not request.accept.accepts(JSON):
        # As payloads were read before they had a path of their own.
        return _answer(request, key_manager.secrets.payload(context, secret_id))
    return Response(views.shown_secret(key_manager.url, key_manager.secrets.show(context, secret_id), version))


@get("/secrets/{secret_id:str}/payload", sync_to_thread=True)
def show_payload(
    request: AnyRequest, context: Caller, key_manager: KeyManagerService, secret_id: PathText
) -> Response[bytes]:
    return _answer(request, key_manager.secrets.payload(context, secret_id))


def _answer(request: AnyRequest, payload: Payload) -> Response[bytes]:
    wanted = request.accept.best_match([payload.content_type, BINARY, TEXT])
    return Response(payload.as_type(wanted), media_type=wanted)


@put(
    "/secrets/{secret_id:str}",
    status_code=204,
    request_max_body_size=content.MAX_REQUEST_BYTES,
    sync_to_thread=True,
)
def update_secret(
    request: AnyRequest, context: Caller, key_manager: KeyManagerService, secret_id: PathText, body: RawBody
) -> None:
    type_, encoding = request.content_type[0], request.headers.get("Content-Encoding")
    key_manager.secrets.add_payload(context, secret_id, content.of_body(body, type_, encoding))


@delete("/secrets/{secret_id:str}", sync_to_thread=True)
def delete_secret(
    request: AnyRequest, context: Caller, key_manager: KeyManagerService, version: Minor, secret_id: PathText
) -> None:
    is_forced = query(request).get("force", [""])[0].lower() in {"1", "true", "yes", "on", "t", "y"}
    unless_consumed = version >= NO_DELETE_WITH_CONSUMERS_SINCE and not is_forced
    key_manager.secrets.delete(context, secret_id, unless_consumed=unless_consumed)


@post("/containers", request_max_body_size=content.MAX_REQUEST_BYTES, sync_to_thread=True)
def create_container(context: Caller, key_manager: KeyManagerService, body: RawBody) -> Response[Document]:
    reference = f"{key_manager.url}/containers/{key_manager.containers.create(context, document(body)).id}"
    return Response({"container_ref": reference}, headers={"Location": reference})


@get("/containers/{container_id:str}", sync_to_thread=True)
def show_container(context: Caller, key_manager: KeyManagerService, version: Minor, container_id: PathText) -> Document:
    return views.shown_container(key_manager.url, key_manager.containers.show(context, container_id), version)


@delete("/containers/{container_id:str}", sync_to_thread=True)
def delete_container(context: Caller, key_manager: KeyManagerService, container_id: PathText) -> None:
    key_manager.containers.delete(context, container_id)


router = Router(
    PATH,
    route_handlers=[
        versions,
        version_document,
        Router(
            "/v1",
            route_handlers=[
                create_secret,
                show_secret,
                show_payload,
                update_secret,
                delete_secret,
                *api_kept.lists("secrets", lambda service: service.secrets, views.shown_secret),
                *api_kept.acls("secrets", lambda service: service.secrets),
                *api_kept.consumers("secrets", lambda service: service.secrets, views.shown_secret),
                create_container,
                show_container,
                delete_container,
                *api_kept.lists("containers", lambda service: service.containers, views.shown_container),
                *api_kept.acls("containers", lambda service: service.containers),
                *api_kept.consumers("containers", lambda service: service.containers, views.shown_container),
            ],
        ),
    ],
    dependencies={"version": Provide(VERSIONS.provide, sync_to_thread=False)},
    middleware=[VERSIONS.echo],
)
