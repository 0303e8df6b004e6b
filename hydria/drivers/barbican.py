"""KeyManager over Barbican's API v1, through keystoneauth: references are looked up in the catalogue's key manager.

The host of a reference is never called: users copy references from whatever address of the key manager they know, and
a token must not go wherever a tenant points.
"""

import copy
import re
from typing import Any, NamedTuple

from keystoneauth1 import exceptions as keystone_errors
from keystoneauth1.adapter import Adapter
from requests import Response

from hydria.base.config import Identity
from hydria.base.errors import Retryable, Unauthorized
from hydria.drivers import tls_material
from hydria.drivers.key_manager import CannotRead
from hydria.drivers.openstack import seconds, session
from hydria.drivers.tls_material import Certificate, Unusable

_VERSION = "/v1"
_UUID = r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}"
_REFERENCE = re.compile(rf"(?:https?://[^/]+/(?:[^/]+/)*(secrets|containers)/)?({_UUID})/?")
_PARTS = ("certificate", "private_key", "private_key_passphrase", "intermediates")
"""Of a certificate container."""


class _Named(NamedTuple):
    ref: str
    kind: str | None
    """None: the reference is an id alone."""
    id: str


class Barbican:
    """drivers.key_manager.KeyManager. Threads share it."""

    def __init__(self, identity: Identity) -> None:
        self._session = session(identity)
        where = {"interface": identity.interface, "region_name": identity.region_name}
        self._adapter = Adapter(self._session, service_type="key-manager", **where)
        self._token: str | None = None
        """Whose rights these are; None: the service's own. Never log it."""

    def close(self) -> None:
        self._session.session.close()

    def seen_by(self, token: str) -> "Barbican":
        view = copy.copy(self)
        view._token = token  # noqa: SLF001 - a copy of ourselves
        return view

    def certificate(self, ref: str) -> Certificate:
        named = _named(ref)
        bundle = None
        if named.kind != "containers":  # An id alone may be either: a secret is what people make today.
            bundle = self._payload(named, named.id, optional=named.kind is None)
        if bundle is not None:
            return _usable(named, tls_material.from_pkcs12, bundle)
        container = self._container(named)
        certificate, private_key, passphrase, intermediates = (self._part(named, container, name) for name in _PARTS)
        return _usable(
            named,
            tls_material.from_parts,
            certificate or b"",
            private_key or b"",
            passphrase=passphrase,
            intermediates=intermediates or b"",
        )

    def secret(self, ref: str) -> bytes:
        named = _named(ref)
        if named.kind == "containers":
            raise CannotRead(ref, "it names a container, where a secret is needed")
        return self._payload(named, named.id) or b""

    def _container(self, named: _Named) -> Any:
        answer = self._get(named, f"/containers/{named.id}")
        if answer is None:
            raise CannotRead(named.ref, "the key manager has no such secret or container")
        return answer.json()

    def _part(self, named: _Named, container: Any, name: str) -> bytes | None:
        found = next((item for item in container.get("secret_refs") or () if item.get("name") == name), None)
        return None if found is None else self._payload(named, _named(found["secret_ref"]).id)

    def _payload(self, named: _Named, secret_id: str, *, optional: bool = False) -> bytes | None:
        described = self._get(named, f"/secrets/{secret_id}")
        if described is None:
            if optional:
                return None
            raise CannotRead(named.ref, "the key manager has no such secret")
        # Without its own type Barbican does not give a payload away.
        kind = (described.json().get("content_types") or {}).get("default")
        answer = self._get(named, f"/secrets/{secret_id}/payload", accept=kind) if kind else None
        if answer is None:
            raise CannotRead(named.ref, "the secret has no payload")
        return answer.content

    def _get(self, named: _Named, path: str, accept: str = "application/json") -> Response | None:
        """None where there is nothing. The answer may be a secret: it is neither logged nor quoted."""
        headers = {"Accept": accept}
        how: dict[str, Any] = {}
        if self._token is not None:
            headers["X-Auth-Token"], how["authenticated"] = self._token, False
        try:
            answer: Response = self._adapter.request(
                self._prefix(named) + path, "GET", headers=headers, raise_exc=False, log=False, **how
            )
        except keystone_errors.ClientException as error:
            raise Retryable(f"key manager GET {path}: {error}") from error
        status = answer.status_code
        if status < 300:
            return answer
        if status == 404:
            return None
        if status == 401 and self._token is not None:
            raise Unauthorized(f"key manager GET {path}: 401")
        if status in (401, 408, 429) or status >= 500:
            raise Retryable(f"key manager GET {path}: {status}", after=seconds(answer.headers.get("Retry-After")))
        if status == 403:
            raise CannotRead(named.ref, "you have no right to read it")
        raise CannotRead(named.ref, f"the key manager answers {status}")

    def _prefix(self, named: _Named) -> str:
        try:
            endpoint = self._adapter.get_endpoint()
        except keystone_errors.CatalogException:
            endpoint = None
        if endpoint is None:
            raise CannotRead(named.ref, "this cloud has no key manager: its catalogue names no such service")
        return "" if endpoint.rstrip("/").endswith(_VERSION) else _VERSION


def _named(ref: str) -> _Named:
    found = _REFERENCE.fullmatch(ref)
    if found is None:
        raise CannotRead(ref, "it is no reference of a secret or a container (https://HOST/v1/secrets/ID)")
    return _Named(ref, found[1], found[2])


def _usable(named: _Named, read: Any, *args: Any, **more: Any) -> Certificate:
    try:
        certificate: Certificate = read(*args, **more)
    except Unusable as error:
        raise CannotRead(named.ref, str(error)) from None
    return certificate
