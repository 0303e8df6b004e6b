"""What is done to every request before it is routed: one form of path, the Accept header, an id in log and answer.

ASGI demands coroutines here; nothing in them waits for anything but the next layer.
"""

import re
import uuid
from typing import Any

import msgspec
from litestar.datastructures import Accept
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from hydria.api import documentation
from hydria.base import log

ORIGINAL_PATH = "hydria.path"
"""Key of the scope: the path as the client wrote it, for links."""
BASE_URL = "hydria.base_url"
"""Key of the scope: what stands before that path, as the client sees it, when a proxy has told; else not there."""


def normalize(path: str) -> str:
    """/v2.0, /v2 without /lbaas, a trailing slash or `.json`: all are the path that the routes are written with."""
    path = path.rstrip("/").removesuffix(".json")
    head, _, rest = path.lstrip("/").partition("/")
    if head not in ("v2", "v2.0"):
        return path or "/"
    if not rest:
        return "/v2"
    return f"/v2/{rest}" if rest.split("/", 1)[0] in ("lbaas", "octavia") else f"/v2/lbaas/{rest}"


def _header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def _told_by_proxy(scope: Scope) -> str | None:
    """The base URL that the client used, of `Forwarded` (RFC 7239) or the X-Forwarded-* headers of a proxy."""

    def first(name: str) -> str:
        return (_header(scope, name.encode()) or "").split(",")[0].strip()

    parts = (part.partition("=") for part in first("forwarded").split(";"))
    forwarded = {name.strip().lower(): value.strip().strip('"') for name, _, value in parts}
    scheme = (forwarded.get("proto") or first("x-forwarded-proto")).lower()
    host = forwarded.get("host") or first("x-forwarded-host")
    port, prefix = first("x-forwarded-port"), first("x-forwarded-prefix").rstrip("/")
    if not (scheme or host or prefix):
        return None
    host = host or _header(scope, b"host") or ""
    if port.isdecimal() and ":" not in host.rpartition("]")[2]:
        host = f"{host}:{port}"
    found = f"{scheme or scope['scheme']}://{host}{prefix}"
    return found if _BASE_URL.fullmatch(found) else None


_BASE_URL = re.compile(r"https?://(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~/%-]*)?")


def accepts_json(accept: str | None) -> bool:
    return accept is None or not accept.strip() or Accept(accept).best_match(["application/json"]) is not None


def _not_acceptable(accept: str | None, request_id: str) -> bytes:
    error = {
        "status": 406,
        "title": "Not Acceptable",
        "detail": f"Only content type application/json is offered, {accept} was asked for.",
        "request_id": request_id,
    }
    return msgspec.json.encode({"errors": [error]})


class Front:
    """Wraps the application."""

    def __init__(self, app: ASGIApp, *, behind_proxy: bool = False) -> None:
        """`behind_proxy`: whoever connects is believed about the URL that the client used."""
        self._app = app
        self._behind_proxy = behind_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        request_id = f"req-{uuid.uuid4()}"

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-openstack-request-id", request_id.encode())]
            await send(message)

        accept = _header(scope, b"accept")
        if scope["path"] != documentation.PATH and not accepts_json(accept):
            await _respond(send_with_id, 406, _not_acceptable(accept, request_id))
            return
        path = scope["path"]
        extended: dict[str, Any] = {**scope, "path": normalize(path), ORIGINAL_PATH: path}
        if self._behind_proxy and (told := _told_by_proxy(scope)):
            extended[BASE_URL] = told
        extended["raw_path"] = extended["path"].encode()
        with log.context(request_id=request_id):
            await self._app(extended, receive, send_with_id)  # type: ignore[arg-type] # a TypedDict with our key


async def _respond(send: Send, status: int, content: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})
