"""The amphora: the compute server that serves a load balancer."""

import datetime as dt
import enum
from typing import Annotated, Literal

from msgspec import Struct

from hydria.model.field import INTERNAL
from hydria.model.status import AmphoraStatus


class Replacement(enum.StrEnum):
    """Why an amphora is to be replaced; the worst comes last, and takes the place of a lesser one."""

    LINK = "LINK"
    """The VIP's NIC has no link."""
    SILENCE = "SILENCE"
    """Neither heartbeats nor answers."""
    FAILOVER = "FAILOVER"
    """Somebody asked for it: done also when what else was wrong with it has gone away."""
    SERVER = "SERVER"
    """Its server does not run, or a part of it is gone."""

    @property
    def serves_on(self) -> bool:
        """It goes when its successor is ready. Any other goes first: its VF may be the last one."""
        return self in (Replacement.LINK, Replacement.FAILOVER)

    def outweighs(self, other: "Replacement | None") -> bool:
        order = list(Replacement)
        return other is None or order.index(self) > order.index(other)


class Amphora(Struct, kw_only=True, frozen=True):
    id: str
    loadbalancer_id: str | None = None
    status: AmphoraStatus = AmphoraStatus.PENDING_CREATE
    role: Literal["MASTER", "BACKUP", "STANDALONE"] | None = "STANDALONE"
    compute_id: str | None = None
    lb_network_ip: str | None = None
    vrrp_ip: str | None = None
    ha_ip: str | None = None
    vrrp_port_id: str | None = None
    ha_port_id: str | None = None
    vrrp_interface: str | None = None
    vrrp_id: int | None = None
    vrrp_priority: int | None = None
    cert_expiration: dt.datetime | None = None
    cert_busy: bool = False
    cached_zone: str | None = None
    image_id: str | None = None
    compute_flavor: str | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    last_heartbeat: Annotated[dt.datetime | None, INTERNAL] = None
    heartbeat_sequence: Annotated[int, INTERNAL] = 0
    replace_for: Annotated[Replacement | None, INTERNAL] = None
    """It is to be replaced, and this is why."""
