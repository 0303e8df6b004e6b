"""Errors → the bodies that each real service answers with. The path's first part tells the service."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException

from hydria.base import log
from hydria.base.errors import HydriaError, Invalid, NotFound, RequestError, Retryable, Terminal, Unauthorized

logger = log.Logger(__name__)

COMPUTE_KEYS = {
    400: "badRequest",
    401: "unauthorized",
    403: "forbidden",
    404: "itemNotFound",
    405: "badMethod",
    409: "conflictingRequest",
    413: "overLimit",
    501: "notImplemented",
    503: "serviceUnavailable",
}

NEUTRON_TYPES: dict[type[RequestError], str] = {Invalid: "InvalidInput", NotFound: "HTTPNotFound"}
"""Of errors of the common tree; an error of the network service's own is named as Neutron names it."""

UNAUTHORIZED = "The request you have made requires authentication."


def to_response(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Litestar's exception handler for everything."""
    status, message = _status_and_message(error)
    if not isinstance(error, HydriaError | HTTPException):
        # Litestar calls this where it caught.
        logger.exception("request failed", method=request.method, path=request.url.path)  # noqa: LOG004
    elif isinstance(error, Terminal):
        logger.error("request failed", method=request.method, path=request.url.path, error=error)
    service = request.url.path.strip("/").partition("/")[0]
    if status == 401:
        # The other services' 401 is keystonemiddleware's, which speaks as identity does.
        service = "identity"
    body = BODIES.get(service, identity_body)(status, message, error)
    headers = {"WWW-Authenticate": f'Keystone uri="{request.base_url}identity"'} if status == 401 else {}
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def _status_and_message(error: Exception) -> tuple[int, str]:
    match error:
        case Unauthorized():
            return 401, error.message or UNAUTHORIZED
        case RequestError():
            return error.status, error.message
        case Retryable():
            return 503, error.message
        case Terminal():
            return 500, error.message
        case HTTPException():
            return error.status_code, error.detail
        case HydriaError():
            return 500, error.message
        case _:
            return 500, "An unexpected error prevented the server from fulfilling your request."


def _title(status: int) -> str:
    return HTTPStatus(status).phrase


def identity_body(status: int, message: str, _error: Exception) -> dict[str, Any]:
    return {"error": {"code": status, "title": _title(status), "message": message}}


def compute_body(status: int, message: str, _error: Exception) -> dict[str, Any]:
    return {COMPUTE_KEYS.get(status, "computeFault"): {"code": status, "message": message}}


def network_body(status: int, message: str, error: Exception) -> dict[str, Any]:
    kind = type(error).__name__
    if isinstance(error, RequestError):
        kind = NEUTRON_TYPES.get(type(error), kind)
    elif isinstance(error, HTTPException):
        kind = f"HTTP{_title(status).replace(' ', '')}"
    return {"NeutronError": {"type": kind, "message": message, "detail": ""}}


def image_body(status: int, message: str, _error: Exception) -> dict[str, Any]:
    return {"code": f"{status} {_title(status)}", "title": _title(status), "message": message}


def key_manager_body(status: int, message: str, _error: Exception) -> dict[str, Any]:
    return {"code": status, "title": _title(status), "description": message}


def placement_body(status: int, message: str, _error: Exception) -> dict[str, Any]:
    if status == 405:
        message = "Method Not Allowed: providers follow the hosts and their NICs here, they can only be read."
    error = {"status": status, "title": _title(status), "detail": message, "code": "placement.undefined_code"}
    return {"errors": [error]}


BODIES: dict[str, Callable[[int, str, Exception], dict[str, Any]]] = {
    "identity": identity_body,
    "compute": compute_body,
    "networking": network_body,
    "image": image_body,
    "key-manager": key_manager_body,
    "placement": placement_body,
}
