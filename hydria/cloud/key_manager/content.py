"""Payloads on the wire: content types, encodings, limits. Pure. No error quotes a payload."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from hydria.base.errors import Invalid, NotAcceptable
from hydria.cloud.key_manager.errors import TooLarge, UnsupportedMediaType, mismatch

TEXT, BINARY = "text/plain", "application/octet-stream"
TYPES = {TEXT: TEXT, f"{TEXT};charset=utf-8": TEXT, BINARY: BINARY}
"""As clients write them, without spaces → as they are kept."""

MAX_PAYLOAD_BYTES = 20_000
MAX_REQUEST_BYTES = 25_000
"""Both as in Barbican, of which the second lets a payload of the first size through, with its names around it."""


class Payload(Struct, frozen=True):
    content_type: str
    data: bytes

    def __repr__(self) -> str:
        """Whoever prints it, in a traceback or a log, does not print the secret."""
        return f"Payload({self.content_type!r}, {len(self.data)} bytes)"

    def as_type(self, wanted: str | None) -> bytes:
        """Text is bytes, bytes may be text. Raises NotAcceptable."""
        if wanted in {self.content_type, BINARY} or (wanted == TEXT and _is_text(self.data)):
            return self.data
        raise NotAcceptable(f"Secret payload retrieval issue seen - the payload is {self.content_type}.")


def of_document(document: Mapping[str, Any]) -> Payload | None:
    """That of a POST, if it brings one."""
    type_, encoding = document.get("payload_content_type"), document.get("payload_content_encoding")
    if "payload" not in document:
        if type_ is not None:
            raise mismatch("Secret", "payload must be provided when payload_content_type is specified", "payload")
        return None
    payload = document["payload"]
    if not isinstance(payload, str) or not payload.strip():
        raise mismatch("Secret", "If 'payload' specified, must be non empty", "payload")
    if type_ is None:
        reason = "If 'payload' is supplied, 'payload_content_type' must also be supplied."
        raise mismatch("Secret", reason, "payload_content_type")
    kept = TYPES.get(str(type_).replace(" ", "").lower())
    if kept is None:
        raise mismatch("Secret", f"payload_content_type is not one of {list(TYPES)}", "payload_content_type")
    data = payload.encode()
    check_size(data)
    if kept == BINARY:
        if encoding is None:
            raise Invalid("Text-based binary secret payloads must specify a content-encoding of 'base64'.")
        data = _decoded(data, str(encoding))
    elif encoding is not None:
        raise mismatch("Secret", f"{TEXT} has no payload_content_encoding", "payload_content_encoding")
    return Payload(kept, data)


def of_body(body: bytes, content_type: str, encoding: str | None) -> Payload:
    """That of a PUT; `content_type` without parameters."""
    if content_type not in TYPES:
        raise UnsupportedMediaType(f"Unexpected content type. Expected content types are: {[TEXT, BINARY]}")
    if not body:
        raise Invalid("No information provided to process.")
    check_size(body)
    if content_type == TEXT and not _is_text(body):
        raise mismatch("Secret", f"a payload of {TEXT} must be UTF-8", "payload")
    if encoding and content_type == BINARY:
        body = _decoded(body, encoding)
    return Payload(content_type, body)


def check_size(data: bytes) -> None:
    if len(data) > MAX_PAYLOAD_BYTES:
        raise TooLarge(f"Provided information too large to process: a payload has at most {MAX_PAYLOAD_BYTES} bytes.")


def _decoded(data: bytes, encoding: str) -> bytes:
    if encoding.lower() != "base64":
        raise mismatch("Secret", "payload_content_encoding is not one of ['base64']", "payload_content_encoding")
    try:
        # Lines are how openssl and base64(1) write it.
        decoded = base64.b64decode(b"".join(data.split()), validate=True)
    except binascii.Error:
        raise mismatch("Secret", "Invalid payload for payload_content_encoding", "payload") from None
    if not decoded:
        raise mismatch("Secret", "If 'payload' specified, must be non empty", "payload")
    return decoded


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
