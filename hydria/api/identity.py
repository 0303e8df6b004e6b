"""Who calls: checks a token with the identity service, and remembers the answer for a while."""

import datetime as dt
import enum
import hashlib
import threading
from dataclasses import dataclass
from typing import Any, Protocol

from cachetools import TTLCache
from keystoneauth1 import exceptions as keystone
from keystoneauth1.identity import v3
from keystoneauth1.session import Session

from hydria.base import config
from hydria.base.errors import Retryable, Unauthorized

UNAUTHORIZED = "The request you have made requires authentication."


class Scope(enum.StrEnum):
    """What a token's roles are roles of."""

    PROJECT = "project"
    SYSTEM = "system"
    OTHER = "other"
    """A domain, or nothing."""


@dataclass(frozen=True)
class Caller:
    user_id: str
    project_id: str | None
    """None: the token is not scoped to a project."""
    roles: tuple[str, ...]
    expires_at: dt.datetime
    system: bool = False
    """The token is scoped to the whole system."""

    @property
    def scope(self) -> Scope:
        if self.project_id is not None:
            return Scope.PROJECT
        return Scope.SYSTEM if self.system else Scope.OTHER

    @property
    def expired(self) -> bool:
        return dt.datetime.now(dt.UTC) >= self.expires_at


class Identity(Protocol):
    def caller(self, token: str | None) -> Caller:
        """Raises Unauthorized, or Retryable when identity does not answer."""


class Keystone:
    """Asks `GET /auth/tokens`, as ourselves, about the token of a request.

    A checked token is believed for `token_cache_seconds`; the key is a hash, so that no token lies in memory for that
    long.
    """

    def __init__(self, settings: config.Identity) -> None:
        self._settings = settings
        self._session = Session(
            auth=v3.Password(
                auth_url=settings.auth_url,
                username=settings.username,
                password=settings.password,
                project_name=settings.project_name,
                user_domain_name=settings.user_domain_name,
                project_domain_name=settings.project_domain_name,
            ),
            verify=settings.cafile or True,
            timeout=10,
        )
        self._known: TTLCache[bytes, Caller] = TTLCache(maxsize=10_000, ttl=settings.token_cache_seconds)
        self._lock = threading.Lock()

    def caller(self, token: str | None) -> Caller:
        if not token or not token.isascii():
            raise Unauthorized(UNAUTHORIZED)
        key = hashlib.sha256(token.encode()).digest()
        with self._lock:
            caller = self._known.get(key)
        if caller is None:
            caller = parse_token(self._ask(token))
            with self._lock:
                self._known[key] = caller
        if caller.expired:
            raise Unauthorized(UNAUTHORIZED)
        return caller

    def close(self) -> None:
        self._session.session.close()

    def _ask(self, token: str) -> Any:
        try:
            response = self._session.get(
                f"{self._settings.auth_url.rstrip('/')}/auth/tokens?nocatalog=1",
                headers={"X-Subject-Token": token, "Accept": "application/json"},
                raise_exc=False,
            )
        except keystone.ClientException as error:
            raise Retryable(f"Identity at {self._settings.auth_url} does not check tokens: {error}") from error
        if response.status_code == 200:
            return response.json()
        if response.status_code in (400, 401, 403, 404):
            raise Unauthorized(UNAUTHORIZED)
        raise Retryable(f"Identity at {self._settings.auth_url} answered {response.status_code} about a token")


def parse_token(answer: Any) -> Caller:
    token = answer["token"]
    return Caller(
        user_id=token["user"]["id"],
        project_id=(token.get("project") or {}).get("id"),
        roles=tuple(sorted(role["name"] for role in token.get("roles", ()))),
        expires_at=dt.datetime.fromisoformat(token["expires_at"]),
        system=bool((token.get("system") or {}).get("all")),
    )
