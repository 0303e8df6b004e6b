"""Of a request with two faults the earlier check speaks: body, parent, policy, sense, VFs, quota, state, provider.

So nobody learns by a write more than by a read, and what is told does not depend on what was looked at first.
"""

from collections.abc import Callable
from typing import Any

import pytest
from api_world import NOBODY, World

from hydria.base.config import Api

LISTENER = {"protocol": "HTTP", "protocol_port": 80}
POOL = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
MONITOR = {"type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
MEMBER = {"address": "192.0.2.1", "protocol_port": 80}
RULE = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}

WRITES: dict[str, tuple[str, Callable[[str], Any], str]] = {  # path of the write, its body for a parent, which parent
    "listeners": ("/listeners", lambda p: {"listener": {**LISTENER, "loadbalancer_id": p}}, "lb"),
    "pools": ("/pools", lambda p: {"pool": {**POOL, "loadbalancer_id": p}}, "lb"),
    "healthmonitors": ("/healthmonitors", lambda p: {"healthmonitor": {**MONITOR, "pool_id": p}}, "pool"),
    "l7policies": ("/l7policies", lambda p: {"l7policy": {"action": "REJECT", "listener_id": p}}, "listener"),
    "members": ("/pools/@/members", lambda _: {"member": MEMBER}, "pool"),
    "batch": ("/pools/@/members", lambda _: {"members": [MEMBER]}, "pool"),
    "rules": ("/l7policies/@/rules", lambda _: {"rule": RULE}, "policy"),
}


@pytest.fixture(params=[False, True], ids=["merging", "strict"])
def api(request: pytest.FixtureRequest) -> Api:
    return Api(strict_immutable=request.param)


@pytest.fixture
def tree(world: World, l7_served: None) -> dict[str, Any]:
    del l7_served
    lb = world.load_balancer()
    world.settle()
    pool = world.pool(lb)
    world.settle()
    listener = world.listener(lb)
    world.settle()
    policy = world.policy(listener)
    world.settle()
    return {"lb": lb["id"], "pool": pool["id"], "listener": listener["id"], "policy": policy["id"]}


def refused(world: World, kind: str, parent: str, who: str, spoil: Callable[[Any], Any] | None) -> int:
    path, body, _ = WRITES[kind]
    content = body(parent)
    if spoil is not None:
        (root,) = content
        content = {root: spoil(content[root])}
    before = world.rows()
    answer = world.call("PUT" if kind == "batch" else "POST", path.replace("@", parent), content, who=who)
    assert answer.status_code >= 400, answer.text
    assert world.rows() == before
    status: int = answer.status_code
    return status


def unknown(value: Any) -> Any:
    return [{**item, "colour": "red"} for item in value] if isinstance(value, list) else {**value, "colour": "red"}


@pytest.mark.parametrize("kind", WRITES)
def test_body_before_parent_before_policy(world: World, tree: dict[str, Any], kind: str):
    parent = tree[WRITES[kind][2]]
    assert refused(world, kind, NOBODY, "other", unknown) == 400
    assert refused(world, kind, parent, "other", unknown) == 400
    assert refused(world, kind, NOBODY, "other", None) == 404
    assert refused(world, kind, parent, "other", None) == 403
    assert refused(world, kind, parent, "demo-reader", None) == 403


SENSELESS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "listeners": (lambda value: {**value, "protocol": "TCP", "insert_headers": {"X-Forwarded-For": "true"}}, 400),
    "pools": (lambda value: {**value, "members": [{**MEMBER, "subnet_id": NOBODY}]}, 400),
    "healthmonitors": (lambda value: {**value, "http_method": "GET"}, 400),
    "l7policies": (lambda value: {**value, "action": "REDIRECT_TO_POOL"}, 400),
    "members": (lambda value: {**value, "subnet_id": NOBODY}, 400),
    "batch": (lambda value: [{**item, "subnet_id": NOBODY} for item in value], 404),
    "rules": (lambda value: {**value, "type": "FILE_TYPE", "compare_type": "CONTAINS"}, 400),
}


@pytest.mark.parametrize("kind", WRITES)
def test_policy_before_sense_before_state(world: World, tree: dict[str, Any], kind: str):
    parent, (spoil, status) = tree[WRITES[kind][2]], SENSELESS[kind]
    assert refused(world, kind, parent, "other", spoil) == 403
    assert refused(world, kind, parent, "demo", spoil) == status
    world.delete(f"/loadbalancers/{tree['lb']}?cascade=true")
    assert refused(world, kind, parent, "other", spoil) == 403
    assert refused(world, kind, parent, "demo", spoil) == status
    assert refused(world, kind, parent, "demo", None) == 409


@pytest.mark.parametrize("kind", WRITES)
def test_sense_before_quota_before_state(world: World, tree: dict[str, Any], kind: str):
    full = dict.fromkeys(("listener", "pool", "healthmonitor", "l7policy", "member", "l7rule"), 0)
    world.done(world.call("PUT", "/quotas/demo", {"quota": full}, who="admin"), 202)
    parent, (spoil, status) = tree[WRITES[kind][2]], SENSELESS[kind]
    world.delete(f"/loadbalancers/{tree['lb']}?cascade=true")
    assert refused(world, kind, parent, "demo", spoil) == status
    assert refused(world, kind, parent, "demo", None) == 403


@pytest.mark.parametrize("kind", ["members", "batch", "pools"])
def test_a_vf_that_is_not_allowed_before_state(world: World, tree: dict[str, Any], kind: str):
    direct = {**MEMBER, "request_sriov": True}

    def spoil(value: Any) -> Any:
        match kind:
            case "members":
                return direct
            case "batch":
                return [direct]
        return {**value, "members": [direct]}

    world.delete(f"/loadbalancers/{tree['lb']}?cascade=true")
    assert refused(world, kind, tree[WRITES[kind][2]], "demo", spoil) == 400


@pytest.mark.parametrize("kind", WRITES)
def test_a_pending_load_balancer_takes_writes_unless_it_is_strict(
    world: World, api: Api, tree: dict[str, Any], kind: str
):
    world.put(f"/loadbalancers/{tree['lb']}", {"loadbalancer": {"name": "now pending"}})
    parent = tree[WRITES[kind][2]]
    if api.strict_immutable:
        assert refused(world, kind, parent, "demo", None) == 409
        return
    path, body, _ = WRITES[kind]
    if kind == "listeners":
        return  # port 80 is taken in this tree
    answer = world.call("PUT" if kind == "batch" else "POST", path.replace("@", parent), body(parent))
    assert answer.status_code in {201, 202}, answer.text
