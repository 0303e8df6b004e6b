"""Bodies and queries in the forms of clients that are not run here: gophercloud, Heat and Horizon.

Terraform and the cloud provider of Kubernetes are made with gophercloud.
Go clients leave out what is empty and say null to unset; Heat leaves out null and still says `tenant_id`; Horizon sends
null for each field that its user left empty.
"""

from collections.abc import Mapping
from typing import Any

import pytest
from api_world import World

pytestmark = pytest.mark.usefixtures("l7_served")

PLACES = {
    "loadbalancer": "/loadbalancers",
    "listener": "/listeners",
    "pool": "/pools",
    "member": "/pools/@pool/members",
    "healthmonitor": "/healthmonitors",
    "l7policy": "/l7policies",
    "rule": "/l7policies/@policy/rules",
}


@pytest.fixture
def ids(world: World) -> dict[str, str]:
    """A load balancer with one of each; `bare` and `empty` are pools without a health monitor."""
    lb = world.load_balancer(name="lb1")
    pool = world.pool(lb, session_persistence={"type": "SOURCE_IP"})
    listener = world.listener(lb, default_pool_id=pool["id"], allowed_cidrs=["192.0.2.0/24"])
    policy = world.policy(listener, action="REDIRECT_TO_URL", redirect_url="http://a.example/")
    made = {
        "lb": lb["id"],
        "pool": pool["id"],
        "bare": world.pool(lb)["id"],
        "empty": world.pool(lb)["id"],
        "listener": listener["id"],
        "member": world.member(pool)["id"],
        "healthmonitor": world.monitor(pool, type="HTTP")["id"],
        "policy": policy["id"],
        "rule": world.rule(policy, type="HEADER", key="X-A")["id"],
        "subnet": world.members,
        "public": world.public,
    }
    world.settle()
    return {**made, "loadbalancer": lb["id"], "l7policy": policy["id"]}


def filled(value: Any, ids: Mapping[str, str]) -> Any:
    """`@name` is the id that it has."""
    if isinstance(value, dict):
        return {key: filled(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, ids) for item in value]
    if isinstance(value, str):
        return "/".join(ids.get(step[1:], step) if step.startswith("@") else step for step in value.split("/"))
    return value


UP = {"admin_state_up": True}
LISTENER = {"loadbalancer_id": "@lb", "protocol": "HTTP", "protocol_port": 8080}
POOL = {"lb_algorithm": "ROUND_ROBIN", "protocol": "HTTP"}
MONITOR = {"pool_id": "@bare", "type": "TCP", "delay": 20, "timeout": 10, "max_retries": 5}
PERSISTENCE = {"cookie_name": None, "persistence_timeout": None, "persistence_granularity": None}
NOT_SHOWN = ("loadbalancer_id", "listener_id", "pool_id", "default_pool", "members", "healthmonitor", "vip_network_id")

CREATED = {
    "gophercloud": {
        "loadbalancer": {"name": "lb2", "vip_subnet_id": "@public", "provider": "amphora", "tags": ["a", "b"], **UP},
        "listener": {
            **LISTENER,
            "name": "listener_0_kube_service_cluster_default_web",
            "connection_limit": -1,
            "timeout_client_data": 50000,
            "timeout_member_connect": 5000,
            "timeout_member_data": 50000,
            "timeout_tcp_inspect": 0,
            "insert_headers": {"X-Forwarded-For": "true"},
            "allowed_cidrs": ["10.0.0.0/8", "192.0.2.0/24"],
            "tags": ["kube_service_cluster_default_web"],
        },
        "pool": {**POOL, "listener_id": "@bare_listener", "session_persistence": {"type": "SOURCE_IP"}, **UP},
        "member": {"address": "192.0.2.20", "protocol_port": 31000, "weight": 0, "backup": False, **UP},
        "healthmonitor": {**MONITOR, "max_retries_down": 3, "name": "monitor"},
        "l7policy": {"listener_id": "@listener", "action": "REDIRECT_TO_POOL", "redirect_pool_id": "@bare", **UP},
        "rule": {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/api", **UP},
    },
    "Heat": {
        "loadbalancer": {
            "name": "stack-lb-4xw2",
            "description": "",
            "vip_subnet_id": "@public",
            "tenant_id": "demo",
            **UP,
        },
        "listener": {**LISTENER, "name": "stack-listener", "description": "", "connection_limit": -1, **UP},
        "pool": {
            **POOL,
            "loadbalancer_id": "@lb",
            "name": "stack-pool",
            "description": "",
            "session_persistence": {"type": "APP_COOKIE", "cookie_name": "session"},
            **UP,
        },
        "member": {"address": "192.0.2.20", "protocol_port": 80, "subnet_id": "@subnet", "weight": 1, **UP},
        "healthmonitor": {**MONITOR, "tenant_id": "demo", **UP},
        "l7policy": {
            "name": "stack-policy",
            "description": "",
            "action": "REJECT",
            "position": 1,
            "listener_id": "@listener",
            **UP,
        },
        "rule": {"type": "FILE_TYPE", "compare_type": "REGEX", "value": "jpg|png", "invert": False, **UP},
    },
    "Horizon": {
        "loadbalancer": {
            "project_id": "demo",
            "vip_subnet_id": "@public",
            "name": "Load Balancer 1",
            "description": None,
            "vip_address": None,
            "availability_zone": None,
            **UP,
        },
        "listener": {
            **LISTENER,
            "name": "Listener 1",
            "description": None,
            "connection_limit": -1,
            "default_tls_container_ref": None,
            "sni_container_refs": None,
            "insert_headers": None,
            "allowed_cidrs": None,
            "tls_ciphers": None,
            **UP,
        },
        "pool": {
            **POOL,
            "session_persistence": None,
            "listener_id": None,
            "loadbalancer_id": "@lb",
            "name": "Pool 1",
            "description": None,
            "tls_enabled": False,
            "tls_ciphers": None,
            **UP,
        },
        "member": {
            "address": "192.0.2.20",
            "protocol_port": 80,
            "subnet_id": "@subnet",
            "weight": None,
            "monitor_address": None,
            "monitor_port": None,
            "backup": None,
            "name": None,
            **UP,
        },
        "healthmonitor": {
            **MONITOR,
            "max_retries_down": 3,
            "http_method": None,
            "url_path": None,
            "expected_codes": None,
            "name": None,
            **UP,
        },
        "l7policy": {
            "listener_id": "@listener",
            "action": "REDIRECT_TO_URL",
            "redirect_url": "http://b.example/",
            "redirect_pool_id": None,
            "position": None,
            "name": None,
            "description": None,
            **UP,
        },
        "rule": {"type": "PATH", "compare_type": "CONTAINS", "value": "/x", "key": None, "invert": False, **UP},
    },
}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param(kind, body, id=f"{client}-{kind}")
        for client, bodies in CREATED.items()
        for kind, body in bodies.items()
    ],
)
def test_created(world: World, ids: dict[str, str], kind: str, body: dict[str, Any]):
    """It is shown as it was asked for."""
    ids["bare_listener"] = world.listener({"id": ids["lb"]}, protocol_port=81)["id"]
    asked = filled(body, ids)
    made = world.post(filled(PLACES[kind], ids), {kind: asked})
    assert made["provisioning_status"] == "PENDING_CREATE"
    assert made["tenant_id"] == made["project_id"] == "demo"
    if asked.get("session_persistence"):
        asked["session_persistence"] = {**PERSISTENCE, **asked["session_persistence"]}
    given = {name: value for name, value in asked.items() if value is not None and name not in NOT_SHOWN}
    assert {name: made[name] for name in given} == given


@pytest.mark.parametrize("kind", CREATED["Horizon"])
def test_null_is_what_it_would_be_if_it_were_left_out(world: World, ids: dict[str, str], kind: str):
    asked = filled(CREATED["Horizon"][kind], ids)
    unlike = {
        "listener": {"protocol_port": 81},
        "member": {"protocol_port": 81},
        "healthmonitor": {"pool_id": "@empty"},
    }
    other = {name: value for name, value in asked.items() if value is not None} | filled(unlike.get(kind, {}), ids)
    path = filled(PLACES[kind], ids)
    null, absent = world.post(path, {kind: asked}), world.post(path, {kind: other})
    left = asked.keys() - other.keys() - {*NOT_SHOWN, "vip_address", "position"}
    assert left
    assert {name: null[name] for name in left} == {name: absent[name] for name in left}


CHANGED = {
    "gophercloud": {
        "loadbalancer": ({"name": "", "description": "", "tags": []}, {"name": "", "tags": []}),
        "listener": (
            {"default_pool_id": None, "insert_headers": {}, "allowed_cidrs": [], "connection_limit": 100},
            {"default_pool_id": None, "insert_headers": {}, "connection_limit": 100},
        ),
        "pool": (
            {"session_persistence": None, "alpn_protocols": None, "tls_versions": None, **UP},
            {"session_persistence": None},
        ),
        "member": ({"weight": 0, "backup": True}, {"weight": 0, "backup": True}),
        "healthmonitor": ({"delay": 30, "timeout": 20, "max_retries": 7}, {"delay": 30, "timeout": 20}),
        "l7policy": (
            {"action": "REDIRECT_TO_POOL", "redirect_pool_id": "@bare", "redirect_url": None},
            {"redirect_pool_id": "@bare", "redirect_url": None},
        ),
        "rule": ({"type": "PATH", "compare_type": "STARTS_WITH", "value": "/b"}, {"value": "/b", "invert": False}),
    },
    "Heat": {
        "loadbalancer": ({"description": "words"}, {"description": "words", "name": "lb1"}),
        "listener": ({"default_pool_id": "@bare"}, {"default_pool_id": "@bare"}),
        "healthmonitor": ({"expected_codes": None, "http_method": "HEAD"}, {"expected_codes": "200"}),
        "l7policy": ({"position": 1, "description": None}, {"position": 1, "description": ""}),
    },
    "Horizon": {
        "loadbalancer": ({"name": None, "description": "words", **UP}, {"name": "", "description": "words"}),
        "listener": (
            {"name": "b", "description": None, "connection_limit": 7, "default_pool_id": None, "insert_headers": {}},
            {"name": "b", "connection_limit": 7, "default_pool_id": None},
        ),
        "pool": (
            {"lb_algorithm": "SOURCE_IP", "session_persistence": None, "name": None, "tls_ciphers": None, **UP},
            {"lb_algorithm": "SOURCE_IP", "session_persistence": None},
        ),
        "member": (
            {"weight": 3, "monitor_address": None, "monitor_port": None, "backup": False, "name": None, **UP},
            {"weight": 3, "monitor_address": None},
        ),
        "rule": (
            {"type": "HEADER", "key": "X-B", "compare_type": "EQUAL_TO", "value": "1", "invert": True, **UP},
            {"key": "X-B", "invert": True},
        ),
    },
}


@pytest.mark.parametrize(
    ("kind", "body", "shown"),
    [pytest.param(kind, *row, id=f"{client}-{kind}") for client, rows in CHANGED.items() for kind, row in rows.items()],
)
def test_changed(world: World, ids: dict[str, str], kind: str, body: dict[str, Any], shown: dict[str, Any]):
    path = filled(f"{PLACES[kind]}/@{kind}", ids)
    world.put(path, {kind: filled(body, ids)})
    found, expected = world.get(path), filled(shown, ids)
    assert {name: found[name] for name in expected} == expected


def test_a_service_of_kubernetes_in_one_request(world: World):
    """Listeners have their default pool in them, with its members and its health monitor."""
    name = "kube_service_cluster_default_web"
    monitor = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 1, "max_retries_down": 3, "name": "monitor_0"}
    member = {"address": "192.0.2.11", "protocol_port": 31000, "name": "node-1", "subnet_id": world.members}
    pool = {**POOL, "protocol": "TCP", "name": "pool_0", "members": [member], "healthmonitor": monitor}
    listener = {
        "name": "listener_0",
        "protocol": "TCP",
        "protocol_port": 80,
        "connection_limit": -1,
        "default_pool": pool,
    }
    body = {
        "name": name,
        "description": "Kubernetes external service default/web from cluster cluster",
        "vip_subnet_id": world.public,
        "tags": [name],
        "listeners": [{**listener, "allowed_cidrs": ["0.0.0.0/0"], "tags": [name]}],
    }
    made = world.post("/loadbalancers", {"loadbalancer": body})
    (found,) = world.get(f"/loadbalancers?name={name}")
    assert found["id"] == made["id"]
    (shown,) = world.get(f"/listeners?loadbalancer_id={made['id']}")
    (its,) = world.get(f"/pools?loadbalancer_id={made['id']}")
    assert (shown["default_pool_id"], shown["tags"]) == (its["id"], [name])
    assert [one["address"] for one in world.get(f"/pools/{its['id']}/members")] == ["192.0.2.11"]
    assert world.get(f"/healthmonitors/{its['healthmonitor_id']}")["max_retries"] == 1


@pytest.mark.parametrize("subnet", [{}, {"subnet_id": None}], ids=["absent", "null"])
def test_all_members_in_one_request(world: World, ids: dict[str, str], subnet: dict[str, None]):
    """Those that are not named go; an empty list empties the pool."""
    path = f"/pools/{ids['pool']}/members"
    nodes = [
        {"address": f"192.0.2.{host}", "protocol_port": 31000, "name": f"node-{host}", "monitor_port": 30000, **subnet}
        for host in (21, 22)
    ]
    assert world.call("PUT", path, {"members": nodes}).status_code == 202
    world.settle()
    found = world.get(path)
    assert [(one["address"], one["monitor_port"], one["subnet_id"]) for one in found] == [
        ("192.0.2.21", 30000, None),
        ("192.0.2.22", 30000, None),
    ]
    assert world.call("PUT", path, {"members": []}).status_code == 202
    world.settle()
    assert world.get(path) == []


@pytest.mark.parametrize(
    "query",
    [
        "name=lb1&limit=10&sort_key=name&sort_dir=desc",
        "project_id=demo&admin_state_up=true&provisioning_status=ACTIVE",
        "tags=a&tags=b",
        "tags-any=a&tags-any=z",
        "not-tags=c",
        "vip_port_id=@port",
    ],
)
def test_listed(world: World, query: str):
    lb = world.load_balancer(name="lb1", tags=["a", "b"])
    world.settle()
    assert [one["id"] for one in world.get(f"/loadbalancers?{query.replace('@port', lb['vip_port_id'])}")] == [lb["id"]]
    world.load_balancer(name="lb2", tags=["c", "d"], admin_state_up=False)
    assert [one["id"] for one in world.get(f"/loadbalancers?{query.replace('@port', lb['vip_port_id'])}")] == [lb["id"]]


def test_quotas_of_terraform(world: World):
    limits = {"loadbalancer": 20, "listener": 40, "pool": 20, "member": 200, "healthmonitor": 1}
    limits |= {"l7policy": 50, "l7rule": 100}
    world.done(world.call("PUT", "/quotas/demo", {"quota": limits}, who="admin"), 202)
    shown = world.get("/quotas/demo")
    assert {name: shown[name] for name in limits} == limits
