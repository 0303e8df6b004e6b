"""How many resources of each kind a project may have."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Final

from msgspec import Struct

from hydria.base.limit import Limit
from hydria.model.field import CREATE
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool
from hydria.model.resource import ProjectId, Provisioned

DEPRECATED: Final[Mapping[str, str]] = {"load_balancer": "loadbalancer", "health_monitor": "healthmonitor"}
"""Older spellings that requests may use, and that answers show beside the present ones."""

LIMITED: Final[Mapping[type[Provisioned], str]] = {
    LoadBalancer: "loadbalancer",
    Listener: "listener",
    Pool: "pool",
    Member: "member",
    HealthMonitor: "healthmonitor",
    L7Policy: "l7policy",
    L7Rule: "l7rule",
}
"""What is limited, and by which field."""


class Quota(Struct, kw_only=True, frozen=True):
    """The limits of one project. None: the default, as the configuration says it at the time."""

    KEY: ClassVar[str] = "project_id"

    project_id: Annotated[ProjectId, CREATE]
    loadbalancer: Limit | None = None
    listener: Limit | None = None
    pool: Limit | None = None
    member: Limit | None = None
    healthmonitor: Limit | None = None
    l7policy: Limit | None = None
    l7rule: Limit | None = None


def limits(quota: Quota | None, defaults: Struct) -> dict[str, int]:
    """What holds for a project: its own limits, else the defaults: the configuration's section `quotas`."""
    return {name: default if (own := getattr(quota, name, None)) is None else own for name, default in _of(defaults)}


def _of(defaults: Struct) -> Iterator[tuple[str, int]]:
    """The option of a field has its older spelling."""
    older = {present: spelling for spelling, present in DEPRECATED.items()}
    for name in LIMITED.values():
        yield name, getattr(defaults, f"default_{older.get(name, name)}_quota")
