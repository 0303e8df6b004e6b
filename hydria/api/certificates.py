"""Inline certificates, our extension: what users without a key manager name in listeners and pools."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hydria.api.call import Answer, Call
from hydria.api.collection import Collection, differences
from hydria.api.draft import build
from hydria.base.errors import Conflict, Invalid
from hydria.drivers import tls_material
from hydria.drivers.sealing import Seal, seal
from hydria.drivers.tls_material import Certificate, Unusable
from hydria.model import field
from hydria.model.certificate import MOST, InlineCertificate, reference
from hydria.store import certificates, resources

SECRETS = tuple(item.name for item in field.fields(InlineCertificate) if item.access is field.WRITE)
"""Stored sealed, never shown, never quoted in an answer."""


class Parts(msgspec.Struct, frozen=True):
    """What is sealed of a CERTIFICATE."""

    certificate: str
    private_key: str
    intermediates: tuple[str, ...]


class Certificates(Collection[InlineCertificate]):
    resource = InlineCertificate
    singular, plural, links = "certificate", "certificates", "certificates_links"
    title, rule, extension = "Certificate", "certificate", True

    def create(self, call: Call) -> Answer:
        values, secrets = _given(call.form(self.singular), field.create_form(self.resource))
        values["project_id"] = values.get("project_id") or call.caller.project_id
        if not values["project_id"]:
            raise Invalid("Missing project ID in request where one is required.", field="project_id")
        call.authorize("certificate:post", values["project_id"])
        if "content" not in secrets:
            raise Invalid("content is missing: the PEM text of a certificate, CA or CRL.", field="content")
        row = build(self.resource, {**values, **_content(call, values.get("type", "CERTIFICATE"), secrets)})
        row = msgspec.structs.replace(row, ref=reference(row.id))
        with call.services.database.write() as tx:
            (shown,) = self.answers(tx, (resources.insert(tx, row),))
        return Answer({self.singular: shown}, 201)

    def update(self, call: Call) -> Answer:
        changes, secrets = _given(call.form(self.singular), field.update_form(self.resource))
        with call.services.database.write() as tx:
            old = self.load(tx, call)
            call.authorize("certificate:put", old.project_id)
            if secrets:
                changes |= _content(call, old.type, secrets)
            new = msgspec.structs.replace(old, **changes)
            resources.update(tx, self.resource, old.id, **differences(old, new))
            (shown,) = self.answers(tx, (self.find(tx, old.id),))
        return Answer({self.singular: shown})

    def delete(self, call: Call) -> Answer:
        with call.services.database.write() as tx:
            row = self.load(tx, call)
            call.authorize("certificate:delete", row.project_id)
            if user := certificates.user(tx, row.id):
                raise Conflict(f"Certificate {row.id} is in use by {user}.")
            resources.delete(tx, self.resource, row.id)
        return Answer(status=204)


def opened(call: Call, row: InlineCertificate) -> bytes:
    return _seal(call).open(row.sealed)


def certificate(call: Call, row: InlineCertificate) -> Certificate:
    """Raises Unusable."""
    if row.type != "CERTIFICATE":
        raise Unusable(f"it is of type {row.type}, and has no private key")
    parts = msgspec.json.decode(opened(call, row), type=Parts)
    above = "".join(parts.intermediates).encode()
    return tls_material.from_parts(parts.certificate.encode(), parts.private_key.encode(), intermediates=above)


def _seal(call: Call) -> Seal:
    return seal(Path(call.services.config.certificates.directory))


def _given(body: Mapping[str, Any], form: type[msgspec.Struct]) -> tuple[dict[str, Any], dict[str, str]]:
    """The plain attributes, and the secrets. Raises Invalid."""
    for name in SECRETS:
        value = body.get(name)
        # Here, because messages about other fields quote their value.
        if value is not None and not (isinstance(value, str) and 0 < len(value) <= MOST):
            raise Invalid(f"{name} must be a text of 1 to {MOST} characters.", field=name)
    values = field.given(InlineCertificate, field.decode(form, body))
    secrets = {name: values.pop(name) for name in SECRETS if name in values}
    return values, {name: value for name, value in secrets.items() if value is not None}


def _content(call: Call, kind: str, secrets: Mapping[str, str]) -> dict[str, Any]:
    """Of a row: what is sealed, and what may be shown of it. Raises Invalid."""
    if "content" not in secrets:
        raise Invalid("A new private_key needs the content that it belongs to.", field="content")
    try:
        if kind == "CERTIFICATE":
            return _pair(call, secrets)
        if extra := next((name for name in SECRETS[1:] if name in secrets), None):
            raise Invalid(f"{extra} is only possible with type CERTIFICATE.", field=extra)
        pem = secrets["content"].encode()
        if kind == "CA":
            first = tls_material.authorities(pem)[0]
            return {**_described(first), "sealed": _seal(call).close(pem)}
        tls_material.revocation_list(pem)
        return {"sealed": _seal(call).close(pem)}
    except Unusable as error:
        raise Invalid(f"content: {error}.", field="content") from None


def _pair(call: Call, secrets: Mapping[str, str]) -> dict[str, Any]:
    """The key may stand in the content too, after the certificates."""
    content, passphrase = secrets["content"].encode(), secrets.get("private_key_passphrase")
    held = tls_material.from_parts(
        content,
        secrets.get("private_key", secrets["content"]).encode(),
        passphrase=passphrase.encode() if passphrase else None,
        intermediates=content,
    )
    parts = Parts(held.certificate, held.private_key, held.intermediates)
    leaf = x509.load_pem_x509_certificate(held.certificate.encode())
    return {**_described(leaf), "sealed": _seal(call).close(msgspec.json.encode(parts))}


def _described(held: x509.Certificate) -> dict[str, Any]:
    return {
        "names": list(tls_material.names(held)),
        "expires_at": held.not_valid_after_utc.replace(tzinfo=None),
        "fingerprint": hashlib.sha256(held.public_bytes(Encoding.DER)).hexdigest(),
    }
