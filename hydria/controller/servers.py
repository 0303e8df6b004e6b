"""Whether a server may still answer, by what the cloud says of it. Pure."""

from hydria.drivers.cloud import Server

_ALIVE = frozenset({"BUILD", "ACTIVE", "REBOOT", "HARD_REBOOT", "MIGRATING", "PAUSED", "SUSPENDED"})
"""Nova's statuses of a server that may answer yet. One of any other status is replaced."""


def why_dead(server: Server | None) -> str | None:
    """A sentence about why it will never answer again; None: it may."""
    if server is None:
        return "its server is gone."
    if server.status not in _ALIVE:
        return f"its server is {server.status}. {server.fault or ''}".rstrip()
    return None
