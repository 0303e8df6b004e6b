"""What listeners and pools name in the key manager is read and checked before they are written, as their user sees it.

It asks the key manager: no transaction may be open.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

from cryptography.x509 import Certificate as Authority

from hydria.api.call import Call
from hydria.api.collection import Part
from hydria.api.draft import build
from hydria.api.forms import ListenerForm, PoolForm
from hydria.api.keys_named import KeysNamed
from hydria.base.errors import Invalid
from hydria.base.log import Logger
from hydria.drivers import tls_material
from hydria.drivers.key_manager import CannotRead
from hydria.drivers.tls_material import Certificate, Unusable
from hydria.model import tls_rules
from hydria.model.listener import Listener
from hydria.model.pool import Pool

logger = Logger(__name__)

Row = TypeVar("Row", Listener, Pool)


def check_new(call: Call, listeners: Iterable[ListenerForm], pools: Iterable[PoolForm]) -> None:
    """Raises Invalid. Nobody is asked for what breaks the rules anyway."""
    rows: list[Listener | Pool] = []
    rows += [build(Listener, {"loadbalancer_id": "", **form.values}) for form in listeners]
    rows += [build(Pool, {"loadbalancer_id": "", **form.values}) for form in pools]
    referring = [row for row in rows if tls_rules.references(row)]
    for row in referring:
        tls_rules.check(row, call.services.config.api)
    reading = _Reading(KeysNamed(call))
    for row in referring:
        reading.check(row, tls_rules.REFERENCES[type(row)])
    reading.finish()


def check_put(part: Part[Row], call: Call, changes: Mapping[str, Any]) -> None:
    """What the body names; what it leaves alone was read when it was set. Raises Invalid."""
    named = [name for name in tls_rules.REFERENCES[part.resource] if changes.get(name)]
    if not named:
        return
    with call.services.database.read() as tx:
        old = part.load(tx, call)
        call.authorize(f"{part.rule}:put", old.project_id)
    new = part.merged(old, changes)
    tls_rules.check(new, call.services.config.api, old)
    reading = _Reading(KeysNamed(call))
    reading.check(new, named)
    reading.finish()


class _Reading:
    """Of one request: each reference is read once, and all that cannot be read are named together."""

    def __init__(self, keys: KeysNamed) -> None:
        self._keys = keys
        self._certificates: dict[str, Certificate | None] = {}
        self._secrets: dict[str, bytes | None] = {}
        self._bad: dict[str, tuple[str, str]] = {}
        """Reference → field and reason."""

    def check(self, row: Listener | Pool, named: Collection[str]) -> None:
        references = tls_rules.references(row)
        for field, use, ref in references:
            if use == "certificate" and field in named:
                self._certificate(field, ref)
        # A CA and its revocation list are one thing: each is checked against the other.
        pair = {use: (field, ref) for field, use, ref in references if use != "certificate"}
        if "authority" in pair and any(field in named for field, _ in pair.values()):
            cas = self._authorities(*pair["authority"])
            if cas is not None and "revocations" in pair:
                self._revocations(*pair["revocations"], cas)

    def finish(self) -> None:
        if not self._bad:
            return
        reasons = "; ".join(f"{ref}: {reason}" for ref, (_, reason) in self._bad.items())
        field = next(iter(self._bad.values()))[0]
        raise Invalid(f"Could not retrieve certificate: {list(self._bad)}. {reasons}.", field=field)

    def _certificate(self, field: str, ref: str) -> None:
        if ref in self._certificates:
            return
        self._certificates[ref] = held = self._read(field, ref, self._keys.certificate)
        if held is not None and held.expires_at <= dt.datetime.now(dt.UTC):
            # Only this: its owner can put a new one behind the same reference.
            logger.warning("certificate has expired", ref=ref, expired_at=held.expires_at.isoformat())

    def _authorities(self, field: str, ref: str) -> list[Authority] | None:
        pem = self._secret(field, ref)
        try:
            return None if pem is None else tls_material.authorities(pem)
        except Unusable as error:
            raise Invalid(f"{field} {ref}: {error}.", field=field) from None

    def _revocations(self, field: str, ref: str, cas: list[Authority]) -> None:
        pem = self._secret(field, ref)
        try:
            if pem is not None:
                tls_material.check_revocations(pem, cas)
        except Unusable as error:
            raise Invalid(f"{field} {ref}: {error}.", field=field) from None

    def _secret(self, field: str, ref: str) -> bytes | None:
        if ref not in self._secrets:
            self._secrets[ref] = self._read(field, ref, self._keys.secret)
        return self._secrets[ref]

    def _read(self, field: str, ref: str, read: Any) -> Any:
        try:
            return read(ref)
        except CannotRead as error:
            self._bad[ref] = (field, error.reason)
            return None
