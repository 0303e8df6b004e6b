"""The one tree of errors.

    HydriaError                    what was attempted, on which object, what came back
    ├── RequestError               the caller's fault: a 4xx with a text for people
    │   ├── Invalid           400  a field's value; `field` names it
    │   ├── Unauthorized      401
    │   ├── Forbidden         403
    │   ├── NotFound          404
    │   ├── NotAcceptable     406
    │   ├── Conflict          409
    │   └── Unsupported       501  well formed, yet this provider does not do it
    ├── Retryable                  something outside did not work this time: try again
    └── Terminal                   trying again cannot help before somebody changes something

Nothing else is raised on purpose. Who catches decides by type: the API's error mapper turns RequestError into a
fault body, the controller's loop turns Retryable into back-off and Terminal into ERROR with a reason.
"""

from typing import ClassVar


class HydriaError(Exception):
    """Base of all. `str(error)` is a sentence that may be shown to a user."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"


class RequestError(HydriaError):
    """The request cannot be done as it stands."""

    status: ClassVar[int] = 400


class Invalid(RequestError):
    """A value is not acceptable. `field` is the API's name of the attribute, where one is to blame."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


def invalid_field(field: str, value: object, reason: str) -> Invalid:
    """The wording that clients of Octavia look for."""
    return Invalid(f"Invalid input for field/attribute {field}. Value: '{value}'. {reason}", field=field)


class Unauthorized(RequestError):
    status = 401


class Forbidden(RequestError):
    status = 403


class NotFound(RequestError):
    status = 404


def not_found(kind: str, id_: str) -> NotFound:
    return NotFound(f"{kind} {id_} not found.")


class NotAcceptable(RequestError):
    status = 406


class Conflict(RequestError):
    status = 409


class Unsupported(RequestError):
    status = 501


class Retryable(HydriaError):
    """A cloud, an agent or the database did not answer, or said "later"."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after
        """Seconds after which it is worth trying again; None leaves it to the caller's back-off."""


class Terminal(HydriaError):
    """It will fail again in the same way: no capacity, refused by policy, a missing image."""
