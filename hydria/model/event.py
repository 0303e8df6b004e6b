"""A dated reason that users are shown."""

import datetime as dt
from typing import Literal

from msgspec import Struct


class Event(Struct, kw_only=True, frozen=True):
    id: str
    loadbalancer_id: str
    resource_type: Literal[
        "loadbalancer", "listener", "pool", "member", "healthmonitor", "l7policy", "l7rule", "amphora"
    ]
    resource_id: str
    level: Literal["INFO", "WARNING", "ERROR"]
    reason: str
    """A sentence that says what happened, to what, and what a user or operator can do about it."""
    created_at: dt.datetime
