"""Secrets at rest in the database: sealed with a key that is not in the database."""

import functools
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from hydria.base.errors import Terminal
from hydria.drivers import certificates

KEY = "sealing.key"


@functools.cache
def seal(directory: Path) -> "Seal":
    """One per process: the key is read once."""
    return Seal(directory)


class Seal:
    """The key is made when it is first needed. All processes that share a database need the same one."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def close(self, content: bytes) -> str:
        return self._fernet.encrypt(content).decode()

    def open(self, sealed: str) -> bytes:
        """Raises Terminal."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            path = self._directory / KEY
            raise Terminal(f"Opening a secret of the database: {path} is not the key that sealed it.") from None

    @functools.cached_property
    def _fernet(self) -> Fernet:
        return Fernet(certificates.ensure_secret(self._directory, KEY, Fernet.generate_key))
