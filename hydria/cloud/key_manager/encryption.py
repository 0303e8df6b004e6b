"""Payloads at rest: the keys, which are in a file and never in the database, and what they encrypt. Knows no HTTP."""

import hashlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken

from hydria.base.config import ConfigError
from hydria.base.errors import Terminal
from hydria.cloud import key_file

KEY_FILE = "key-manager.keys"
HOLDS = "the keys of all secrets"
HEAD = b"""\
# Keys of the key manager's secrets, one per line. Whoever has this file and the database can read every secret;
# who has lost it can read none. The first key encrypts. A new one goes above the others: after the next start of the
# cloud nothing needs those below it.
"""


class Sealed(NamedTuple):
    key_id: str
    data: bytes


class Keyring:
    """Seals with the first key, opens with any. It has none before `load`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: Mapping[str, Fernet] = {}

    def load(self, *, make: bool) -> None:
        """`make`: a file with a new key where there is none; else it stays without keys. Raises ConfigError."""
        if make:
            content = key_file.ensure(self.path, lambda: HEAD + Fernet.generate_key() + b"\n", HOLDS)
        elif self.path.exists():
            content = key_file.read(self.path, HOLDS)
        else:
            return
        lines = [line.strip() for line in content.splitlines()]
        keys = [line for line in lines if line and not line.startswith(b"#")]
        try:
            self._keys = {key_id(key): Fernet(key) for key in keys}
        except ValueError:
            raise ConfigError(f"{self.path}: a line is no key. A key is 32 bytes in URL-safe base64.") from None
        if not keys:
            raise ConfigError(f"{self.path} holds no key.")

    @property
    def ids(self) -> tuple[str, ...]:
        """The one that seals comes first."""
        return tuple(self._keys)

    def seal(self, secret_id: str, payload: bytes) -> Sealed:
        if not self._keys:
            raise Terminal(f"Storing secret {secret_id}: the key manager's key file is missing on the server.")
        newest = self.ids[0]
        # With its id inside, so that a row put in another one's place does not open.
        return Sealed(newest, self._keys[newest].encrypt(uuid.UUID(secret_id).bytes + payload))

    def open(self, secret_id: str, sealed: Sealed) -> bytes:
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise Terminal(
                f"Reading secret {secret_id}: it is encrypted with key {sealed.key_id},"
                " which is not in the key manager's key file on the server."
            )
        try:
            content = key.decrypt(sealed.data)
        except InvalidToken:
            raise Terminal(f"Reading secret {secret_id}: what the database has of it was changed.") from None
        own, payload = content[:16], content[16:]
        if own != uuid.UUID(secret_id).bytes:
            raise Terminal(f"Reading secret {secret_id}: the database has another secret's payload in its place.")
        return payload


def key_id(key: bytes) -> str:
    """Tells keys apart and says nothing about them."""
    return hashlib.sha256(key).hexdigest()[:16]
