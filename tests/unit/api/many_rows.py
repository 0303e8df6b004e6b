"""Rows of everything, for lists: many of each kind."""

import datetime as dt
import uuid
from typing import Any

from api_world import World

from hydria.model.amphora import Amphora
from hydria.model.availability_zone import AvailabilityZone, AvailabilityZoneProfile
from hydria.model.event import Event
from hydria.model.flavor import Flavor, FlavorProfile
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import AdditionalVip, LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool, SessionPersistence
from hydria.model.quota import Quota
from hydria.store import resources

MANY = 200
START = dt.datetime.fromisoformat("2026-01-01T00:00:00")


def new_id() -> str:
    return str(uuid.uuid4())


def fill(world: World) -> dict[str, str]:
    """MANY rows of everything, each other one with whatever may be null or empty filled in."""
    lbs = [LoadBalancer(id=new_id(), project_id="demo", name=f"lb{n % 7}", **_vips(n)) for n in range(MANY)]
    own: dict[str, Any] = {"project_id": "demo"}
    lb = lbs[0].id
    pools = [Pool(id=new_id(), loadbalancer_id=lb, protocol="UDP", lb_algorithm="SOURCE_IP", **own, **_pool(n))
             for n in range(MANY)]  # fmt: skip
    listeners = [Listener(id=new_id(), loadbalancer_id=lb, protocol="HTTP", protocol_port=n + 1, **own,
                          **_listener(n, pools[n].id)) for n in range(MANY)]  # fmt: skip
    members = [Member(id=new_id(), pool_id=pools[0].id, address=f"192.0.2.{n}", protocol_port=80, **own,
                      **_member(n)) for n in range(MANY)]  # fmt: skip
    monitors = [HealthMonitor(id=new_id(), pool_id=pools[n].id, type="HTTP", delay=n, timeout=1, max_retries=1, **own,
                              **_monitor(n)) for n in range(MANY)]  # fmt: skip
    policies = [L7Policy(id=new_id(), listener_id=listeners[0].id, action="REJECT", position=n + 1, **own,
                         **_policy(n, pools[0].id)) for n in range(MANY)]  # fmt: skip
    l7rules = [L7Rule(id=new_id(), l7policy_id=policies[0].id, type="HEADER", compare_type="REGEX", value=f"v{n % 3}",
                      key="k" if n % 2 else None, **own) for n in range(MANY)]  # fmt: skip
    profiles = [FlavorProfile(id=new_id(), name=f"p{n}", provider_name="amphora", flavor_data="{}")
                for n in range(MANY)]  # fmt: skip
    flavors = [Flavor(id=new_id(), name=f"f{n}", flavor_profile_id=profiles[0].id) for n in range(MANY)]
    amphorae = [Amphora(id=new_id(), loadbalancer_id=lb, vrrp_id=n if n % 2 else None) for n in range(MANY)]
    events = [Event(id=new_id(), loadbalancer_id=lb, resource_type="pool", resource_id=lb, level="ERROR", reason="why",
                    created_at=START + dt.timedelta(seconds=n % 60)) for n in range(MANY)]  # fmt: skip
    zone_profiles = [AvailabilityZoneProfile(id=new_id(), name=f"p{n % 7}", provider_name="amphora",
                                             availability_zone_data="{}") for n in range(MANY)]  # fmt: skip
    zones = [AvailabilityZone(name=f"zone{n}", enabled=n % 3 > 0, description=f"d{n % 7}" if n % 2 else "",
                              availability_zone_profile_id=zone_profiles[n % 5].id) for n in range(MANY)]  # fmt: skip
    quotas = [Quota(project_id=f"project{n}", **_quota(n)) for n in range(MANY)]
    with world.services.database.write() as tx:
        for rows in (zone_profiles, zones, quotas):
            resources.insert_all(tx, rows)  # type: ignore[arg-type]
        for rows in (profiles, flavors, lbs, pools, listeners, members, monitors, policies, l7rules, amphorae, events):
            resources.insert_all(tx, rows)  # type: ignore[arg-type]
    return {"lb": lb, "pool": pools[0].id, "policy": policies[0].id}


def _vips(n: int) -> Any:
    if not n % 2:
        return {}
    more = AdditionalVip(subnet_id=new_id(), ip_address="192.0.2.9")
    return {
        "vip_address": f"192.0.2.{n}", "vip_subnet_id": new_id(), "vip_network_id": new_id(), "vip_port_id": new_id(),
        "vip_qos_policy_id": new_id(), "provider": "amphora", "availability_zone": f"zone{n}",
        "additional_vips": [more], "vip_sg_ids": [new_id(), new_id()], "tags": ["blue", "red"],
    }  # fmt: skip


def _pool(n: int) -> Any:
    persistence = SessionPersistence(type="SOURCE_IP", persistence_timeout=n)
    return {"session_persistence": persistence, "tls_versions": ["TLSv1.2"], "tls_enabled": True} if n % 2 else {}


def _listener(n: int, pool_id: str) -> Any:
    if not n % 2:
        return {}
    return {
        "default_pool_id": pool_id, "insert_headers": {"X-Forwarded-For": "true"}, "allowed_cidrs": ["192.0.2.0/24"],
        "sni_container_refs": ["http://x/1"], "hsts_max_age": n, "alpn_protocols": ["h2", "http/1.1"],
    }  # fmt: skip


def _member(n: int) -> Any:
    more = {"subnet_id": new_id(), "monitor_address": "192.0.2.1", "monitor_port": n, "backup": True}
    return more if n % 2 else {}


def _monitor(n: int) -> Any:
    return {"http_version": 1.1, "url_path": "/a", "expected_codes": "200", "domain_name": "a.b"} if n % 2 else {}


def _policy(n: int, pool_id: str) -> Any:
    return {"redirect_pool_id": pool_id, "redirect_http_code": 302} if n % 2 else {}


def _quota(n: int) -> Any:
    """None, where the default holds: 10 pools."""
    return {"loadbalancer": n, "pool": 10, "member": -1} if n % 2 else {"pool": None if n % 4 else 9, "l7rule": 7}
