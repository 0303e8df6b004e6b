"""Certificates that users hand to Hydria itself: an extension, for clouds without a key manager."""

import datetime as dt
import re
from typing import Annotated, Final, Literal

from msgspec import Meta

from hydria.model.field import CREATE, INTERNAL, READ, WRITE, Text
from hydria.model.resource import Owned

Kind = Literal["CERTIFICATE", "CA", "CRL"]
MOST: Final = 65536
Pem = Annotated[str, Meta(min_length=1, max_length=MOST)]
PATH: Final = "/v2/lbaas/certificates"
_REFERENCE = re.compile(rf"(?:https?://[^/]+(?:/[^/]+)*)?{PATH}/([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})")


class InlineCertificate(Owned, kw_only=True, frozen=True):
    description: Text = ""
    type: Annotated[Kind, CREATE] = "CERTIFICATE"
    content: Annotated[Pem | None, WRITE] = None
    """PEM of what `type` says. The intermediates of a CERTIFICATE may follow it, and its key."""
    private_key: Annotated[Pem | None, WRITE] = None
    """PEM; only of a CERTIFICATE, and only together with its content."""
    private_key_passphrase: Annotated[Pem | None, WRITE] = None
    ref: Annotated[str, READ] = ""
    """What listeners and pools call it."""
    names: Annotated[list[str], READ] = []  # noqa: RUF012 - msgspec copies it
    """Common name and DNS names."""
    expires_at: Annotated[dt.datetime | None, READ] = None
    fingerprint: Annotated[str | None, READ] = None
    """SHA-256 of a certificate, as clients and browsers show it."""
    sealed: Annotated[str, INTERNAL] = ""
    """The content. Only its owner's listeners and pools ever open it."""


def reference(id_: str) -> str:
    return f"{PATH}/{id_}"


def referred(ref: str) -> str | None:
    """The id of the certificate that `ref` names, with or without a host; None: it names something elsewhere."""
    found = _REFERENCE.fullmatch(ref)
    return found and found[1]
