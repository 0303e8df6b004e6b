"""User data as cloud-init understands it, as far as amphorae use it: `#cloud-config` with `write_files`. Pure.

The body is JSON, or YAML where PyYAML is installed (an amphora has none: what it is given is JSON).
Only files below DIRECTORY are taken: all else of a guest's root is read-only.
"""

import base64
import binascii
import gzip
import posixpath
from typing import Any

import msgspec
from msgspec import Struct

from hydria.base.errors import Terminal

HEADER = b"#cloud-config"
DIRECTORY = "/etc/hydria"
DEFAULT_MODE = 0o600
"""cloud-init's is 0644; what an amphora is given are keys."""


class BadUserData(Terminal):
    """The text says which part of the user data is wrong, and quotes none of its content."""


class File(Struct, frozen=True):
    path: str
    """Relative to DIRECTORY."""
    content: bytes
    mode: int


class WriteFile(Struct):
    path: str
    content: str = ""
    permissions: str | int | None = None
    encoding: str = ""


def files(user_data: bytes) -> tuple[File, ...]:
    """Raises BadUserData."""
    if not user_data.startswith(HEADER):
        return ()
    body = user_data.partition(b"\n")[2]
    try:
        entries = msgspec.convert(_decode(body).get("write_files") or [], list[WriteFile])
    except (msgspec.MsgspecError, ImportError, UnicodeDecodeError, AttributeError) as error:
        raise BadUserData(f"Reading user data: it is no #cloud-config ({type(error).__name__})") from error
    return tuple(_file(entry) for entry in entries)


def _decode(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return msgspec.yaml.decode(body) or {}


def _file(entry: WriteFile) -> File:
    path = posixpath.normpath(entry.path)
    if not path.startswith(f"{DIRECTORY}/"):
        raise BadUserData(f"Reading user data: write_files path {entry.path} is not below {DIRECTORY}")
    return File(path.removeprefix(f"{DIRECTORY}/"), _content(entry), _mode(entry))


def _mode(entry: WriteFile) -> int:
    if entry.permissions is None:
        return DEFAULT_MODE
    try:
        # YAML reads 0600 as an octal number, JSON and quotes give its text.
        mode = entry.permissions if isinstance(entry.permissions, int) else int(entry.permissions, 8)
    except ValueError as error:
        raise BadUserData(f"Reading user data: permissions of {entry.path} are not octal") from error
    return mode & 0o777


def _content(entry: WriteFile) -> bytes:
    content = entry.content.encode()
    encodings = set(filter(None, entry.encoding.replace("base64", "b64").replace("gzip", "gz").split("+")))
    if unknown := encodings - {"b64", "gz"} - {"text/plain"}:
        raise BadUserData(f"Reading user data: encoding {min(unknown)} of {entry.path} is not known")
    try:
        decoded = base64.b64decode(b"".join(content.split()), validate=True) if "b64" in encodings else content
        return gzip.decompress(decoded) if "gz" in encodings else decoded
    except (binascii.Error, OSError, EOFError) as error:
        raise BadUserData(f"Reading user data: content of {entry.path} is not {entry.encoding}") from error
