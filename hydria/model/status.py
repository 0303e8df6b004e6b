"""Provisioning and operating statuses, and how one follows from others."""

import enum
from collections.abc import Iterable


class ProvisioningStatus(enum.StrEnum):
    ACTIVE = "ACTIVE"
    PENDING_CREATE = "PENDING_CREATE"
    PENDING_UPDATE = "PENDING_UPDATE"
    PENDING_DELETE = "PENDING_DELETE"
    ERROR = "ERROR"
    DELETED = "DELETED"

    @property
    def pending(self) -> bool:
        return self.name.startswith("PENDING_")


class OperatingStatus(enum.StrEnum):
    ONLINE = "ONLINE"
    DRAINING = "DRAINING"
    OFFLINE = "OFFLINE"
    DEGRADED = "DEGRADED"
    ERROR = "ERROR"
    NO_MONITOR = "NO_MONITOR"


class AmphoraStatus(enum.StrEnum):
    BOOTING = "BOOTING"
    ALLOCATED = "ALLOCATED"
    PENDING_CREATE = "PENDING_CREATE"
    PENDING_DELETE = "PENDING_DELETE"
    DELETED = "DELETED"
    ERROR = "ERROR"


_WORST_FIRST = (OperatingStatus.ERROR, OperatingStatus.DEGRADED)


def worst(statuses: Iterable[OperatingStatus]) -> OperatingStatus:
    """Of a load balancer, from those of its pools and listeners: ERROR > DEGRADED > ONLINE."""
    present = set(statuses)
    return next((status for status in _WORST_FIRST if status in present), OperatingStatus.ONLINE)


def pool_status(pool: OperatingStatus, members: Iterable[OperatingStatus]) -> OperatingStatus:
    """A pool with some members in ERROR is DEGRADED, with all of them ERROR."""
    present = list(members)
    if OperatingStatus.ERROR not in present:
        return pool
    return OperatingStatus.ERROR if all(m is OperatingStatus.ERROR for m in present) else OperatingStatus.DEGRADED
