"""The Placement API's microversions: 1.N is written N here. Which one a request asks for, and the answer's headers."""

import re
from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.datastructures import MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from hydria.base.errors import Invalid, NotAcceptable, NotFound

MINIMUM, MAXIMUM = 0, 39
HEADER = "OpenStack-API-Version"


def requested(headers: Mapping[str, str]) -> int:
    """Raises Invalid and NotAcceptable.

    >>> requested({HEADER: "placement 1.14"}), requested({}), requested({HEADER: "placement latest"})
    (14, 0, 39)
    """
    entries = (entry.split() for entry in headers.get(HEADER, "").split(","))
    text = next((words[1] for words in entries if len(words) == 2 and words[0].lower() == "placement"), "1.0")
    if text == "latest":
        return MAXIMUM
    if not re.fullmatch(r"\d{1,5}\.\d{1,5}", text):
        raise Invalid(f"invalid version string: {text}")
    major, minor = map(int, text.split("."))
    if major != 1 or minor > MAXIMUM:
        raise NotAcceptable(f"Unacceptable version header: {text}. It is 1.{MINIMUM} to 1.{MAXIMUM} here.")
    return minor


def since(version: int, minimum: int) -> None:
    """Raises NotFound where a path came later than the version asked for: as if it were not there."""
    if version < minimum:
        raise NotFound(f"The resource could not be found before version 1.{minimum}.")


def provide(request: Request[Any, Any, Any]) -> int:
    return requested(request.headers)


def echo(app: ASGIApp) -> ASGIApp:
    """Middleware: every answer, an error too, says which version it was made by."""

    def wrapped(scope: Scope, receive: Receive, send: Send) -> Any:
        def tagged(message: Message) -> Any:
            if message["type"] == "http.response.start":
                headers = MutableScopeHeaders.from_message(message)
                headers[HEADER] = f"placement 1.{_lenient(scope)}"
                headers["Vary"] = HEADER
            return send(message)

        return app(scope, receive, tagged)

    return wrapped


def _lenient(scope: Scope) -> int:
    try:
        return requested(Request[Any, Any, Any](scope).headers)
    except (Invalid, NotAcceptable):
        return MINIMUM
