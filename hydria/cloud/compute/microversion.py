"""The Compute API's microversions: 2.N is written N here. Which one a request asks for, and the answer's headers."""

import re
from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.datastructures import MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from hydria.base.errors import Invalid, NotAcceptable

MINIMUM, MAXIMUM = 1, 100
HEADER = "OpenStack-API-Version"
LEGACY_HEADER = "X-OpenStack-Nova-API-Version"


def requested(headers: Mapping[str, str]) -> int:
    """Raises Invalid and NotAcceptable.

    >>> requested({HEADER: "compute 2.81"}), requested({}), requested({LEGACY_HEADER: "latest"})
    (81, 1, 100)
    """
    entries = (entry.split() for entry in headers.get(HEADER, "").split(","))
    named = [words[1] for words in entries if len(words) == 2 and words[0].lower() == "compute"]
    text = named[0] if named else headers.get(LEGACY_HEADER, f"2.{MINIMUM}")
    if text == "latest":
        return MAXIMUM
    if not re.fullmatch(r"[1-9]\d{0,4}\.(0|[1-9]\d{0,4})", text):
        raise Invalid(f"API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum.")
    major, minor = map(int, text.split("."))
    if major != 2 or not MINIMUM <= minor <= MAXIMUM:
        raise NotAcceptable(
            f"Version {text} is not supported by the API. Minimum is 2.{MINIMUM} and maximum is 2.{MAXIMUM}."
        )
    return minor


def provide(request: Request[Any, Any, Any]) -> int:
    return requested(request.headers)


def echo(app: ASGIApp) -> ASGIApp:
    """Middleware: every answer, an error too, says which version it was made by."""

    def wrapped(scope: Scope, receive: Receive, send: Send) -> Any:
        def tagged(message: Message) -> Any:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                for name, value in _headers(scope).items():
                    headers[name] = value
            return send(message)

        return app(scope, receive, tagged)

    return wrapped


def _headers(scope: Scope) -> dict[str, str]:
    try:
        minor = requested(Request[Any, Any, Any](scope).headers)
    except (Invalid, NotAcceptable):
        minor = MINIMUM
    return {HEADER: f"compute 2.{minor}", LEGACY_HEADER: f"2.{minor}", "Vary": f"{HEADER}, {LEGACY_HEADER}"}
