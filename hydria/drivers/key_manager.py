"""What Hydria needs of a key manager. Implementations: barbican.py; fake_key_manager.py for unit tests and `--noop`.

A reference is the URL of a secret or a container, as users copy it from the key manager. Every call may raise
Retryable (no answer, 5xx, 429) and Unauthorized besides what is said at it.
"""

from typing import Protocol

from hydria.base.errors import Terminal
from hydria.drivers.tls_material import Certificate


class CannotRead(Terminal):
    """What `ref` names is not there, not for this user, or not what it should be. `reason` never quotes a secret."""

    def __init__(self, ref: str, reason: str) -> None:
        super().__init__(f"Reading {ref} from the key manager: {reason}")
        self.ref, self.reason = ref, reason


class KeyManager(Protocol):
    def seen_by(self, token: str) -> "KeyManager":
        """The same key manager with the rights of the token's owner."""
        ...

    def certificate(self, ref: str) -> Certificate:
        """A certificate container, or a secret that holds a PKCS12 bundle. Raises CannotRead."""
        ...

    def secret(self, ref: str) -> bytes:
        """The payload of a secret, whatever it is. Raises CannotRead."""
        ...
