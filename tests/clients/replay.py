"""Calls as a client once sent them, sent again: what they need to be answered with, and what of it later calls name."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any, Self

import httpx

VERSION = "OpenStack-API-Version"
LOAD_BALANCER = "/load-balancer"
"""What paths of the load balancer service begin with; it has a port of its own."""


@dataclass(frozen=True)
class Call:
    """Its $names are replaced by what calls before have kept."""

    method: str
    path: str
    status: int
    body: Any = None
    needs: str = ""
    """What the client fails without: paths into the answer, such as `servers.0.image`."""
    keeps: Mapping[str, str] = field(default_factory=dict)
    """Name → path into the answer."""
    version: str = ""
    """The microversion."""
    shown_otherwise: str = ""
    """A field of its body that the answer has in another form."""


class Replay:
    """One user's."""

    def __init__(self, clouds: Path, cloud: str) -> None:
        login = json.loads(clouds.read_text())["clouds"][cloud]["auth"]
        self._client = httpx.Client(base_url=login["auth_url"].removesuffix("/identity/v3"), timeout=30)
        domain = {"name": "Default"}
        user = {"name": login["username"], "domain": domain, "password": login["password"]}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": login["project_name"], "domain": domain}}
        answer = self._client.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
        assert answer.status_code == 201, answer.text
        self._client.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        self._load_balancer = next(
            endpoint["url"]
            for service in answer.json()["token"]["catalog"]
            if service["type"] == "load-balancer"
            for endpoint in service["endpoints"]
            if endpoint["interface"] == "public"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def __call__(self, calls: Sequence[Call], known: Mapping[str, str]) -> dict[str, str]:
        """`known` and what was kept."""
        kept = dict(known)
        for call in calls:
            answer = self._send(call, kept)
            attempt = f"{call.method} {answer.request.url}: {answer.status_code} {answer.text}"
            assert answer.status_code == call.status, attempt
            value = answer.json() if answer.content and call.needs + "".join(call.keeps) else None
            for path in call.needs.split():
                _at(value, path, attempt)
            kept |= {name: str(_at(value, path, attempt)) for name, path in call.keeps.items()}
            if call.method == "POST" and call.body:
                assert_as_asked(json.loads(_filled(call.body, kept)), answer.json(), but=call.shown_otherwise)
        return kept

    def _send(self, call: Call, kept: Mapping[str, str]) -> httpx.Response:
        path = Template(call.path).substitute(kept)
        if path.startswith(LOAD_BALANCER):
            path = self._load_balancer + path.removeprefix(LOAD_BALANCER)
        headers = {VERSION: call.version} if call.version else {}
        if isinstance(call.body, bytes):
            headers["Content-Type"] = "application/octet-stream"
            return self._client.request(call.method, path, content=call.body, headers=headers)
        content = _filled(call.body, kept) if call.body is not None else None
        headers |= {"Content-Type": "application/json"} if content else {}
        return self._client.request(call.method, path, content=content, headers=headers)


def assert_as_asked(asked: Any, answered: Any, *, but: str = "") -> None:
    """Whatever is in both is the same: some fields are never shown."""
    if not isinstance(asked, dict):
        assert asked == answered
        return
    for name in (asked.keys() & answered.keys()) - {but}:
        assert_as_asked(asked[name], answered[name], but=but)


def _filled(body: Any, kept: Mapping[str, str]) -> str:
    return Template(json.dumps(body)).substitute(kept)


def _at(value: Any, path: str, attempt: str) -> Any:
    for key in path.split("."):
        at = int(key) if isinstance(value, list) else key
        assert at in value if isinstance(value, dict) else at < len(value), f"{attempt}: no {path}"
        value = value[at]
    return value
