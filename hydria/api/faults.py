"""Every error that leaves the API, in the one shape its clients read."""

from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from hydria.base.errors import Invalid, RequestError, Retryable, Terminal
from hydria.base.log import Logger

logger = Logger(__name__)

RETRY_AFTER = 2.0
"""Seconds, when who did not answer says nothing itself."""


def body(status: int, text: str) -> bytes:
    return msgspec.json.encode(
        {"faultcode": "Server" if status >= 500 else "Client", "faultstring": text, "debuginfo": None}
    )


def _described(error: Exception) -> tuple[int, str, dict[str, str]]:
    match error:
        case RequestError():
            return error.status, error.message, {}
        case Retryable():
            after = RETRY_AFTER if error.after is None else error.after
            return 503, error.message, {"Retry-After": f"{max(after, 1):.0f}"}
        case Terminal():
            return 500, f"Provider 'amphora' reports error: {error.message}", {}
        case HTTPException():
            return error.status_code, error.detail, dict(error.headers or {})
    logger.exception("request failed", error=type(error).__name__)  # noqa: LOG004 - Litestar is handling it
    return 500, "An unknown exception occurred; the log of the API has it under the request's id.", {}


def answer(_request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Exception → response. The only place that maps one to the other."""
    status, text, headers = _described(error)
    return Response(body(status, text), status_code=status, headers=headers, media_type="application/json")


def body_error(reason: str) -> Invalid:
    return Invalid(f"Invalid input for field/attribute body. {reason}", field="body")
