"""How many of each resource a project may have."""

from typing import Annotated

from msgspec import Meta, Struct

Limit = Annotated[int, Meta(ge=-1, le=2_000_000_000)]
"""-1: no limit."""


class Quota(Struct, kw_only=True, frozen=True):
    """A project's own limits; None: the default of the configuration. A project without any has no row."""

    id: str
    """The project's."""
    loadbalancer: Limit | None = None
    listener: Limit | None = None
    pool: Limit | None = None
    member: Limit | None = None
    healthmonitor: Limit | None = None
    l7policy: Limit | None = None
    l7rule: Limit | None = None
