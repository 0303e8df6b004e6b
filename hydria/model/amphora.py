"""The amphora: the compute server that serves a load balancer."""

import datetime as dt
from typing import Annotated, Literal

from msgspec import Struct

from hydria.model.field import INTERNAL
from hydria.model.status import AmphoraStatus


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
