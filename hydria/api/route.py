"""Method, path and action; and what the API's description says of an action and cannot read elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from msgspec import Struct

from hydria.api.call import Answer, Call

Method = Literal["GET", "POST", "PUT", "DELETE"]
Action = Callable[[Call], Answer]
A = TypeVar("A", bound=Callable[..., Any])

Parts = Mapping[str, Mapping[str, tuple[type[Any], bool]]]
"""A collection's singular → field of its answers → collection of what is in it, and whether there may be many."""

_ATTRIBUTE = "hydria_operation"


@dataclass(frozen=True)
class Operation:
    """Of an action of a Collection that is named index, show, create, update or delete everything is known already;
    what is said here comes first.
    """

    summary: str = ""
    status: int | None = None
    """By default 201 of a POST, 204 of a DELETE, else 200."""
    answer: Any = None
    """A type that the answer's body is of: a TypedDict."""
    lists: type[Struct] | None = None
    """The answer is a list of these, with pages and filters, under the path's last word."""
    parts: Parts = field(default_factory=dict)
    """The answer to the POST shows what is below in full."""
    members: bool = False
    """The body is the whole set of a pool's members."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """Query parameters that are true or false, with what they mean."""
    filters: tuple[str, ...] = ()
    """Attributes by which a list can be filtered that is not made of rows."""
    since: str | None = None
    """The version id with which Octavia's API got it; by default its collection's."""
    extension: bool = False
    """Octavia has no such call."""


def operation(**said: Any) -> Callable[[A], A]:
    """Attaches an Operation to an action. (`said`: its fields.)"""

    def attach(action: A) -> A:
        setattr(action, _ATTRIBUTE, Operation(**said))
        return action

    return attach


@dataclass(frozen=True)
class Route:
    method: Method
    path: str
    action: Action

    @property
    def operation(self) -> Operation | None:
        found: Operation | None = getattr(self.action, _ATTRIBUTE, None)
        return found
