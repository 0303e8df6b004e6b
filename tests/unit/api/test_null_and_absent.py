"""PUT: what is absent stays, null is the default again. For every field of every resource, from the structs."""

from typing import Any

import pytest
from api_world import World

from hydria.model import field
from hydria.model.flavor import Flavor, FlavorProfile
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool

RESOURCES: dict[str, type[Any]] = {
    "loadbalancer": LoadBalancer,
    "listener": Listener,
    "pool": Pool,
    "member": Member,
    "healthmonitor": HealthMonitor,
    "l7policy": L7Policy,
    "rule": L7Rule,
    "flavor": Flavor,
    "flavorprofile": FlavorProfile,
}
FIELDS = [
    pytest.param(kind, entry, id=f"{kind}-{entry.name}")
    for kind, resource in RESOURCES.items()
    for entry in field.fields(resource)
    if entry.access is field.Access.UPDATE
]
OTHER: dict[str, Any] = {
    "name": "n", "description": "d", "tags": ["t"], "admin_state_up": False, "connection_limit": 7,
    "insert_headers": {"X-Forwarded-For": "true"}, "allowed_cidrs": ["192.0.2.0/24"], "timeout_client_data": 1,
    "timeout_member_connect": 1, "timeout_member_data": 1, "timeout_tcp_inspect": 1, "weight": 7, "backup": True,
    "monitor_address": "192.0.2.99", "monitor_port": 99, "session_persistence": {"type": "HTTP_COOKIE"},
    "max_retries_down": 7, "http_method": "HEAD", "url_path": "/x", "expected_codes": "201", "http_version": 1.1,
    "invert": True, "key": "k", "enabled": False, "position": 1,
}  # fmt: skip
"""Values beside the default, of fields that may have one by themselves here."""
SHOWN: dict[str, Any] = {
    "allowed_cidrs": None, "http_method": "GET", "url_path": "/", "expected_codes": "200", "position": 2,
    "tls_ciphers": ..., "tls_versions": ..., "alpn_protocols": ...,
}  # fmt: skip
"""What answers show for null where that is not the struct's default; ...: whatever was shown before."""


@pytest.fixture(scope="module")
def paths(shared_world: World, l7_served: None) -> dict[str, str]:
    del l7_served
    world = shared_world
    lb = world.load_balancer()
    pool = world.pool(lb)
    listener = world.listener(lb)
    policies = [world.policy(listener) for _ in range(2)]
    monitor = world.monitor(pool, type="HTTP")
    flavor = world.flavor("{}", name="first")
    profile = world.flavor("{}", name="second")["flavor_profile_id"]
    return {
        "loadbalancer": f"/loadbalancers/{lb['id']}",
        "listener": f"/listeners/{listener['id']}",
        "pool": f"/pools/{pool['id']}",
        "member": f"/pools/{pool['id']}/members/{world.member(pool)['id']}",
        "healthmonitor": f"/healthmonitors/{monitor['id']}",
        "l7policy": f"/l7policies/{policies[1]['id']}",
        "rule": f"/l7policies/{policies[0]['id']}/rules/{world.rule(policies[0])['id']}",
        "flavor": f"/flavors/{flavor['id']}",
        "flavorprofile": f"/flavorprofiles/{profile}",
    }


def own(answer: Any, kind: str) -> dict[str, Any]:
    return {entry.name: answer[entry.name] for entry in field.fields(RESOURCES[kind]) if entry.name in answer
            if entry.access is field.Access.UPDATE}  # fmt: skip


@pytest.mark.parametrize(("kind", "entry"), FIELDS)
def test_null_is_the_default_and_absent_is_unchanged(
    shared_world: World, paths: dict[str, str], kind: str, entry: field.Field
):
    world, path, name = shared_world, paths[kind], entry.name
    before = own(world.get(path, who="admin"), kind)
    if entry.required:
        text = f"Invalid input for field/attribute {name}"
        world.refused(world.call("PUT", path, {kind: {name: None}}, who="admin"), 400, text)
        assert own(world.get(path, who="admin"), kind) == before
        return
    if name in OTHER:
        changed = own(world.put(path, {kind: {name: OTHER[name]}}, who="admin"), kind)
        assert changed == {**before, name: changed[name]}
        assert world.get(path, who="admin")[name] == changed[name] != before[name]
        assert own(world.put(path, {kind: {}}, who="admin"), kind) == changed
    default = SHOWN.get(name, entry.default_value())
    again = own(world.put(path, {kind: {name: None}}, who="admin"), kind)
    assert again == {**before, name: before[name] if default is ... else default}


@pytest.mark.parametrize("kind", RESOURCES)
def test_what_is_not_mutable_is_unknown_to_put(shared_world: World, paths: dict[str, str], kind: str):
    before = shared_world.rows()
    for entry in field.fields(RESOURCES[kind]):
        if entry.access is not field.Access.UPDATE:
            answer = shared_world.call("PUT", paths[kind], {kind: {entry.name: None}}, who="admin")
            shared_world.refused(answer, 400, f"Unknown attribute for argument body: {entry.name}")
    assert shared_world.rows() == before


@pytest.mark.parametrize("kind", RESOURCES)
def test_tenant_id_is_echoed_where_there_is_a_project(shared_world: World, paths: dict[str, str], kind: str):
    answer = shared_world.get(paths[kind], who="admin")
    assert answer.get("tenant_id") == answer.get("project_id")
    assert ("tenant_id" in answer) == ("project_id" in {entry.name for entry in field.fields(RESOURCES[kind])})
