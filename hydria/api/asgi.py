"""What is done to every request before it is routed: one form of path, the Accept header, an id in log and answer.

ASGI demands coroutines here; nothing in them waits for anything but the next layer.
"""

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

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
        extended["raw_path"] = extended["path"].encode()
        with log.context(request_id=request_id):
            await self._app(extended, receive, send_with_id)  # type: ignore[arg-type] # a TypedDict with our key


async def _respond(send: Send, status: int, content: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})
