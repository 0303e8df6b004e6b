"""Hashes of passwords and of application credentials' secrets."""

import base64
import functools
import hashlib

import bcrypt

ROUNDS = 10
"""About 50 ms per login: the passwords are generated ones, and each `openstack` command logs in anew."""


def hash_password(password: str) -> str:
    return bcrypt.hashpw(_digest(password), bcrypt.gensalt(ROUNDS)).decode()


def matches(password: str, hashed: str | None) -> bool:
    """None, for a user that there is not, takes as long as a wrong password, so that time tells no names."""
    right = bcrypt.checkpw(_digest(password), (hashed or _nobody()).encode())
    return right and hashed is not None


def _digest(password: str) -> bytes:
    """72 bytes are all that bcrypt reads, and it stops at a zero byte: give it a digest that has neither."""
    return base64.b64encode(hashlib.sha256(password.encode()).digest())


@functools.cache
def _nobody() -> str:
    return hash_password("")
