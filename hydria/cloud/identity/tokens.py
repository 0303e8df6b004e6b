"""What stands in a token, and its Fernet form. Knows no database: whether a user still may is the service's."""

import base64
import secrets
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.fernet import Fernet, InvalidToken

from hydria.cloud import key_file
from hydria.cloud.identity.errors import missing

KEY_FILE = "fernet.key"


class Payload(msgspec.Struct, array_like=True, frozen=True):
    user_id: str
    project_id: str | None
    methods: list[str]
    issued_at: datetime
    expires_at: datetime
    audit_id: str
    application_credential_id: str | None = None


def new_audit_id() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()


def utc_now() -> datetime:
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Keystone's way to write a time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Cipher:
    """Payload ↔ token text, with the key that `directory` keeps."""

    def __init__(self, directory: Path) -> None:
        self._fernet = Fernet(key_file.ensure(directory / KEY_FILE, Fernet.generate_key, "the key of all tokens"))

    def encode(self, payload: Payload) -> str:
        return self._fernet.encrypt(msgspec.msgpack.encode(payload)).rstrip(b"=").decode()

    def decode(self, token: str) -> Payload:
        """Raises NotFound for what is not a token of ours. Never quotes it: a token is a secret."""
        try:
            text = self._fernet.decrypt(token + "=" * (-len(token) % 4))
            return msgspec.msgpack.decode(text, type=Payload)
        except (InvalidToken, ValueError) as error:
            raise missing("token", "not a recognized Fernet token") from error
