"""Microversions of one API: 2.N is written N here. Which one a request asks for, and the answer's headers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.datastructures import MutableScopeHeaders
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from hydria.base.errors import Invalid, NotAcceptable

HEADER = "OpenStack-API-Version"

_FORMAT = re.compile(r"[1-9]\d{0,4}\.(0|[1-9]\d{0,4})")


@dataclass(frozen=True)
class Microversions:
    service: str
    major: int
    minimum: int
    maximum: int
    legacy_header: str | None = None
    """From before all services had one header; its value is a bare version."""

    def requested(self, headers: Mapping[str, str]) -> int:
        """Raises Invalid and NotAcceptable.

        >>> compute = Microversions("compute", 2, 1, 100, legacy_header="X-OpenStack-Nova-API-Version")
        >>> compute.requested({HEADER: "compute 2.81"}), compute.requested({}), compute.requested({HEADER: "image 2.9"})
        (81, 1, 1)
        >>> compute.requested({"X-OpenStack-Nova-API-Version": "latest"})
        100
        """
        text = self._asked(headers)
        if text == "latest":
            return self.maximum
        if not _FORMAT.fullmatch(text):
            raise Invalid(f"API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum.")
        major, minor = map(int, text.split("."))
        if major != self.major or not self.minimum <= minor <= self.maximum:
            limits = f"Minimum is {self.text(self.minimum)} and maximum is {self.text(self.maximum)}."
            raise NotAcceptable(f"Version {text} is not supported by the API. {limits}")
        return minor

    def _asked(self, headers: Mapping[str, str]) -> str:
        entries = (entry.split() for entry in headers.get(HEADER, "").split(","))
        named = [words[1] for words in entries if len(words) == 2 and words[0].lower() == self.service]
        if named:
            return named[0]
        legacy = headers.get(self.legacy_header) if self.legacy_header else None
        return legacy or self.text(self.minimum)

    def text(self, minor: int) -> str:
        """As clients write it.

        >>> Microversions("placement", 1, 0, 39).text(14)
        '1.14'
        """
        return f"{self.major}.{minor}"

    def provide(self, request: Request[Any, Any, Any]) -> int:
        return self.requested(request.headers)

    def echo(self, app: ASGIApp) -> ASGIApp:
        """Middleware: every answer, an error too, says which version it was made by."""

        def wrapped(scope: Scope, receive: Receive, send: Send) -> Any:
            def tagged(message: Message) -> Any:
                if message["type"] == "http.response.start":
                    headers = MutableScopeHeaders.from_message(message)
                    for name, value in self._headers(scope).items():
                        headers[name] = value
                return send(message)

            return app(scope, receive, tagged)

        return wrapped

    def _headers(self, scope: Scope) -> dict[str, str]:
        try:
            minor = self.requested(Request[Any, Any, Any](scope).headers)
        except (Invalid, NotAcceptable):
            minor = self.minimum
        headers = {HEADER: f"{self.service} {self.text(minor)}"}
        if self.legacy_header is not None:
            headers[self.legacy_header] = self.text(minor)
        return {**headers, "Vary": ", ".join(headers)}
