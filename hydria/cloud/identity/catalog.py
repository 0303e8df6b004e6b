"""The service catalogue: which services there are and where. Fixed by the configuration."""

import uuid
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from hydria.base.config import Cloud

INTERFACES = ("admin", "internal", "public")
_IDS = uuid.UUID("3bd6e3a4-3f0b-5c6e-9a2f-6d2a8d1f7c11")
"""Name space of the catalogue's ids, which so stay the same over a restart."""


class Endpoint(Struct, kw_only=True):
    id: str
    interface: str
    region_id: str
    region: str
    service_id: str
    url: str
    enabled: bool = True


class Service(Struct, kw_only=True):
    id: str
    type: str
    name: str
    description: str = ""
    enabled: bool = True
    endpoints: list[Endpoint]


def public_url(cloud: Cloud) -> str:
    return cloud.public_url.rstrip("/") or f"http://{cloud.bind_host}:{cloud.bind_port}"


def services(cloud: Cloud) -> list[Service]:
    url = public_url(cloud)
    return [
        _service(cloud.region_name, "identity", "keystone", f"{url}/identity/v3/"),
        _service(cloud.region_name, "compute", "nova", f"{url}/compute/v2.1"),
        _service(cloud.region_name, "network", "neutron", f"{url}/networking"),
        _service(cloud.region_name, "image", "glance", f"{url}/image"),
        _service(cloud.region_name, "key-manager", "barbican", f"{url}/key-manager"),
        _service(cloud.region_name, "placement", "placement", f"{url}/placement"),
        _service(cloud.region_name, "load-balancer", "octavia", cloud.load_balancer_url.rstrip("/")),
    ]


def _service(region: str, type_: str, name: str, url: str) -> Service:
    id_ = _id(type_)
    endpoints = [
        Endpoint(
            id=_id(f"{type_} {interface}"),
            interface=interface,
            region_id=region,
            region=region,
            service_id=id_,
            url=url,
        )
        for interface in INTERFACES
    ]
    return Service(id=id_, type=type_, name=name, endpoints=endpoints)


def _id(name: str) -> str:
    return uuid.uuid5(_IDS, name).hex


def in_token(all_services: Sequence[Service]) -> list[dict[str, Any]]:
    """The shorter form that tokens and GET /auth/catalog have."""
    keys = ("id", "interface", "region_id", "region", "url")
    return [
        {
            "id": service.id,
            "type": service.type,
            "name": service.name,
            "endpoints": [{key: getattr(endpoint, key) for key in keys} for endpoint in service.endpoints],
        }
        for service in all_services
    ]
