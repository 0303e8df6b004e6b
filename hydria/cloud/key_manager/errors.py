"""The key manager's errors, in Barbican's words where clients look for them."""

from hydria.base.errors import Forbidden, Invalid, RequestError


class TooLarge(RequestError):
    status = 413


class UnsupportedMediaType(RequestError):
    status = 415


def mismatch(schema: str, reason: str, field: str) -> Invalid:
    """`schema`: what the document should have been, e.g. Secret. `reason` quotes no payload."""
    return Invalid(
        f"Provided object does not match schema '{schema}': {reason}. Invalid property: '{field}'", field=field
    )


def not_allowed(operation: str) -> Forbidden:
    """`operation`: what was attempted, e.g. Secret retrieval."""
    return Forbidden(f"{operation} attempt not allowed - please review your user/project privileges")
