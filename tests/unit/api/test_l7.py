"""L7 policies and their rules: what is stored, shown, merged and taken along."""

from typing import Any

import pytest
from api_world import World, served

from hydria.base.config import Api

pytestmark = pytest.mark.usefixtures("l7_served")
REDIRECTS = ("redirect_pool_id", "redirect_url", "redirect_prefix", "redirect_http_code")


@pytest.fixture
def listener(world: World):
    return world.listener(world.load_balancer())


@pytest.fixture
def pool(world: World, listener: Any):
    return world.pool(listener["loadbalancers"][0])


def redirects(policy: Any):
    return {name: policy[name] for name in REDIRECTS if policy[name] is not None}


def test_what_is_shown(world: World, listener: Any):
    policy = world.policy(listener, name="p", description="d", tags=["t"], tenant_id="demo")
    rule = world.rule(policy, type="HEADER", key="X-Colour", value="blue", invert=True, tags=["u"])
    statuses = {"operating_status": "OFFLINE", "provisioning_status": "PENDING_CREATE", "admin_state_up": True}
    whose = {"project_id": "demo", "tenant_id": "demo", "updated_at": None}
    assert world.get(f"/l7policies/{policy['id']}") == {
        **statuses,
        **whose,
        **dict.fromkeys(REDIRECTS),
        "id": policy["id"],
        "created_at": policy["created_at"],
        "name": "p",
        "description": "d",
        "tags": ["t"],
        "listener_id": listener["id"],
        "action": "REJECT",
        "position": 1,
        "rules": [{"id": rule["id"]}],
    }
    assert world.get(f"/l7policies/{policy['id']}/rules/{rule['id']}") == {
        **statuses,
        **whose,
        "id": rule["id"],
        "created_at": rule["created_at"],
        "type": "HEADER",
        "compare_type": "STARTS_WITH",
        "key": "X-Colour",
        "value": "blue",
        "invert": True,
        "tags": ["u"],
    }
    assert world.get(f"/listeners/{listener['id']}")["l7policies"] == [{"id": policy["id"]}]


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        pytest.param({"action": "REJECT"}, {}, id="REJECT"),
        pytest.param({"action": "REDIRECT_TO_POOL"}, {"redirect_pool_id": "@pool"}, id="pool"),
        pytest.param({"action": "REDIRECT_TO_URL"}, {"redirect_url": "http://a/", "redirect_http_code": 302}, id="URL"),
        pytest.param(
            {"action": "REDIRECT_PREFIX", "redirect_http_code": 308},
            {"redirect_prefix": "https://b", "redirect_http_code": 308},
            id="prefix",
        ),
    ],
)
def test_what_the_action_does_not_need_is_dropped(world: World, listener: Any, pool: Any, values: Any, shown: Any):
    given = {"redirect_pool_id": pool["id"], "redirect_url": "http://a/", "redirect_prefix": "https://b", **values}
    shown = {name: pool["id"] if value == "@pool" else value for name, value in shown.items()}
    made = world.policy(listener, **given)
    assert redirects(made) == shown
    changed = world.put(f"/l7policies/{world.policy(listener)['id']}", {"l7policy": given})
    assert (changed["action"], redirects(changed)) == (values["action"], shown)


def test_a_put_changes_action_and_target(world: World, listener: Any, pool: Any):
    path = f"/l7policies/{world.policy(listener)['id']}"

    def put(**values: Any) -> Any:
        changed = world.put(path, {"l7policy": values})
        return changed["action"], redirects(changed)

    assert put(redirect_url="http://a") == (
        "REDIRECT_TO_URL",
        {"redirect_url": "http://a", "redirect_http_code": 302},
    )
    assert put(redirect_http_code=301)[1]["redirect_http_code"] == 301
    assert put(name="still") == ("REDIRECT_TO_URL", {"redirect_url": "http://a", "redirect_http_code": 301})
    assert put(redirect_http_code=None)[1]["redirect_http_code"] == 302
    assert put(redirect_pool_id=pool["id"]) == ("REDIRECT_TO_POOL", {"redirect_pool_id": pool["id"]})
    assert put(action="REJECT") == ("REJECT", {})


def test_a_rule_is_checked_whole_when_it_changes(world: World, listener: Any):
    policy = world.policy(listener)
    rule = world.rule(policy)
    path = f"/l7policies/{policy['id']}/rules/{rule['id']}"
    for values, field in (
        ({"type": "COOKIE"}, "key"),
        ({"type": "FILE_TYPE"}, "compare_type"),
        ({"compare_type": "REGEX", "value": "("}, "value"),
        ({"value": None}, "value"),
        ({"name": "x"}, "name"),
        ({"l7policy_id": policy["id"]}, "l7policy_id"),
    ):
        world.refused(world.call("PUT", path, {"rule": values}), 400, field)
    changed = world.put(path, {"rule": {"type": "COOKIE", "key": "colour", "value": "blue"}})
    assert (changed["type"], changed["key"], changed["compare_type"]) == ("COOKIE", "colour", "STARTS_WITH")
    changed = world.put(path, {"rule": {"type": "PATH", "key": None, "invert": True}})
    assert (changed["type"], changed["key"], changed["invert"]) == ("PATH", None, True)


def test_at_most_fifty_rules(world: World, listener: Any):
    one = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/a"}
    policy = world.policy(listener, rules=[one] * 50)
    assert len(policy["rules"]) == 50
    path = f"/l7policies/{policy['id']}/rules"
    world.refused(world.call("POST", path, {"rule": one}), 409, "Too many rules")
    world.delete(f"{path}/{policy['rules'][0]['id']}")
    world.post(path, {"rule": one})
    world.refused(world.call("POST", path, {"rule": one}), 409, "Too many rules")


def test_a_pool_in_use_stays(world: World, listener: Any, pool: Any):
    policy = world.policy(listener, redirect_pool_id=pool["id"], action="REDIRECT_TO_POOL")
    before = world.rows()
    world.refused(world.call("DELETE", f"/pools/{pool['id']}"), 409, f"in use by L7 policy {policy['id']}")
    assert world.rows() == before
    world.delete(f"/l7policies/{policy['id']}")
    world.delete(f"/pools/{pool['id']}")


def test_what_goes_with_a_policy_and_with_a_listener(world: World, listener: Any, pool: Any):
    policy, other = (world.policy(listener, redirect_pool_id=pool["id"], action="REDIRECT_TO_POOL") for _ in range(2))
    paths = [f"/l7policies/{one['id']}/rules/{world.rule(one)['id']}" for one in (policy, other)]
    world.settle()
    world.delete(f"/l7policies/{policy['id']}")
    assert [world.get(path)["provisioning_status"] for path in paths] == ["PENDING_DELETE", "ACTIVE"]
    for method, body in (("PUT", {"rule": {}}), ("DELETE", None)):
        world.refused(world.call(method, paths[0], body), 409, "immutable")
    body = {"rule": {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/a"}}
    world.refused(world.call("POST", f"/l7policies/{policy['id']}/rules", body), 409, "immutable")
    world.delete(f"/listeners/{listener['id']}")
    assert world.get(paths[1])["provisioning_status"] == "PENDING_DELETE"
    assert world.get(f"/l7policies/{other['id']}")["provisioning_status"] == "PENDING_DELETE"
    body = {"l7policy": {"listener_id": listener["id"], "action": "REJECT"}}
    world.refused(world.call("POST", "/l7policies", body), 409, "immutable")
    world.delete(f"/pools/{pool['id']}")
    world.settle()
    assert world.get("/l7policies") == []


def test_cascade(world: World, listener: Any):
    policy = world.policy(listener)
    path = f"/l7policies/{policy['id']}/rules/{world.rule(policy)['id']}"
    world.delete(f"/loadbalancers/{listener['loadbalancers'][0]['id']}?cascade=true")
    assert world.get(path)["provisioning_status"] == "PENDING_DELETE"


def test_writes_are_merged(world: World, listener: Any):
    policy = world.policy(listener)
    path = f"/l7policies/{policy['id']}"
    rule = f"{path}/rules/{world.rule(policy)['id']}"
    assert world.put(rule, {"rule": {"value": "/x"}})["provisioning_status"] == "PENDING_CREATE"
    world.settle()
    changed = world.put(path, {"l7policy": {"name": None, "admin_state_up": False}})
    assert (changed["provisioning_status"], changed["name"], changed["admin_state_up"]) == ("PENDING_UPDATE", "", False)
    assert world.put(rule, {"rule": {"value": "/y"}})["provisioning_status"] == "PENDING_UPDATE"


def test_policies_of_a_new_listener(world: World):
    """Positions are asked for one after the other, and pools by name or as a whole."""
    lb = world.load_balancer()
    there = world.pool(lb)
    new = {"name": "new", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    rule = {"type": "PATH", "compare_type": "REGEX", "value": "a"}
    policies = [
        {"name": "b", "action": "REJECT", "rules": [rule]},
        {"name": "c", "action": "REDIRECT_TO_POOL", "redirect_pool": {"name": "new"}},
        {"name": "a", "action": "REDIRECT_TO_POOL", "redirect_pool_id": there["id"], "position": 1},
        {"name": "d", "action": "REDIRECT_TO_POOL", "redirect_pool": {**new, "name": "its own"}, "position": 9},
    ]
    listener = world.listener(lb, default_pool=new, l7policies=policies)
    shown = world.get(f"/l7policies?sort=position&listener_id={listener['id']}")
    assert [(one["name"], one["position"]) for one in shown] == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]
    assert listener["l7policies"] == [{"id": one["id"]} for one in shown]
    assert [one["redirect_pool_id"] for one in shown[:3]] == [there["id"], None, listener["default_pool_id"]]
    assert world.get(f"/pools/{shown[3]['redirect_pool_id']}")["name"] == "its own"
    assert len(shown[1]["rules"]) == 1


def graph(**of_policy: Any):
    rule = {"type": "PATH", "compare_type": "REGEX", "value": "a"}
    named = {"name": "blue", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    policy = {"action": "REDIRECT_TO_POOL", "redirect_pool": {**named, "name": "green"}, "rules": [rule], **of_policy}
    policies = [policy, {"action": "REDIRECT_TO_POOL", "redirect_pool": {"name": "blue"}, "position": 1}]
    return {"listeners": [{"protocol": "HTTP", "protocol_port": 80, "l7policies": policies}], "pools": [named]}


def test_policies_of_a_whole_graph(world: World):
    lb = world.load_balancer(**graph())
    (listener,) = lb["listeners"]
    first, second = listener["l7policies"]
    pools = {pool["id"]: pool["name"] for pool in lb["pools"]}
    assert [pools[one["redirect_pool_id"]] for one in (first, second)] == ["blue", "green"]
    assert [one["position"] for one in (first, second)] == [1, 2]
    assert (first["rules"], second["rules"][0]["value"]) == ([], "a")
    assert world.get(f"/l7policies/{second['id']}")["rules"] == [{"id": second["rules"][0]["id"]}]
    (shown,) = world.get(f"/loadbalancers/{lb['id']}/status")["loadbalancer"]["listeners"]
    assert [pool["name"] for pool in shown["pools"]] == ["green"]  # blue's policy has no rules: it never applies
    world.rule(first)
    (shown,) = world.get(f"/loadbalancers/{lb['id']}/status")["loadbalancer"]["listeners"]
    assert [pool["name"] for pool in shown["pools"]] == ["blue", "green"]


NESTED: dict[str, tuple[dict[str, Any], int, str]] = {
    "no such pool": ({"redirect_pool": {"name": "red"}}, 400, "No pool of this request"),
    "pool of another protocol": (
        {"redirect_pool": {"name": "tcp", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}},
        400,
        "not a valid option for protocol",
    ),
    "pool's name twice": (
        {"redirect_pool": {"name": "blue", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}},
        400,
        "uniquely",
    ),
    "pool's bad member": (
        {"redirect_pool": {"name": "x", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": [{}]}},
        400,
        "address",
    ),
    "no pool": ({"redirect_pool": None}, 400, "redirect_pool_id"),
    "both": ({"redirect_pool_id": "4f7a2f6e-1111-4000-8000-000000000000"}, 400, "Only one of redirect_pool"),
    "a pool that is not there": (
        {"redirect_pool": None, "redirect_pool_id": "4f7a2f6e-1111-4000-8000-000000000000"},
        404,
        "Pool",
    ),
    "listener_id": ({"listener_id": "4f7a2f6e-1111-4000-8000-000000000000"}, 400, "listener_id"),
    "URL": ({"action": "REDIRECT_TO_URL", "redirect_url": "ftp://a"}, 400, "redirect_url"),
    "line break": ({"rules": [{"type": "PATH", "compare_type": "REGEX", "value": "a\nb"}]}, 400, "value"),
    "expression": ({"rules": [{"type": "PATH", "compare_type": "REGEX", "value": "("}]}, 400, "regular expression"),
    "rule without key": ({"rules": [{"type": "HEADER", "compare_type": "REGEX", "value": "a"}]}, 400, "key"),
    "too many rules": ({"rules": [{"type": "PATH", "compare_type": "REGEX", "value": "a"}] * 51}, 409, "Too many"),
    "position": ({"position": 0}, 400, "position"),
}


@pytest.mark.parametrize("case", NESTED)
def test_a_graph_is_checked_like_single_requests(world: World, case: str):
    values, status, text = NESTED[case]
    before = world.rows()
    body = {"vip_subnet_id": world.public, **graph(**values)}
    world.refused(world.call("POST", "/loadbalancers", {"loadbalancer": body}), status, text)
    assert world.rows() == before


@pytest.mark.parametrize(
    ("protocol", "status", "text"),
    [("TCP", 501, "listener of protocol TCP"), ("HTTPS", 501, "listener of protocol HTTPS"), ("UDP", 501, "UDP")],
)
def test_listeners_of_other_protocols(world: World, protocol: str, status: int, text: str):
    with served("listener protocol", "HTTP", "HTTPS", "TCP", "UDP", "PROMETHEUS"):
        lb = world.load_balancer()
        listener = world.listener(lb, protocol=protocol)
        body = {"listener_id": listener["id"], "action": "REJECT"}
        world.refused(world.call("POST", "/l7policies", {"l7policy": body}), status, text)
        nested = {"loadbalancer_id": lb["id"], "protocol": protocol, "protocol_port": 81, "l7policies": [
            {"action": "REJECT"}]}  # fmt: skip
        world.refused(world.call("POST", "/listeners", {"listener": nested}), status, text)


def test_a_prometheus_listener_has_no_policies(world: World):
    with served("listener protocol", "HTTP", "PROMETHEUS"):
        listener = world.listener(world.load_balancer(), protocol="PROMETHEUS")
        body = {"listener_id": listener["id"], "action": "REJECT"}
        world.refused(world.call("POST", "/l7policies", {"l7policy": body}), 400, "can have no L7 policies")


class TestStrict:
    @pytest.fixture
    def api(self):
        return Api(strict_immutable=True)

    def test_only_an_active_load_balancer_takes_writes(self, world: World):
        lb = world.load_balancer()
        world.settle()
        listener = world.listener(lb)
        text = f"Load Balancer {lb['id']} is immutable and cannot be updated."
        body = {"l7policy": {"listener_id": listener["id"], "action": "REJECT"}}
        world.refused(world.call("POST", "/l7policies", body), 409, text)
        world.settle()
        policy = world.policy(listener)
        path = f"/l7policies/{policy['id']}"
        for method, there, content in (
            ("PUT", path, {"l7policy": {}}),
            ("DELETE", path, None),
            ("POST", f"{path}/rules", {"rule": {"type": "PATH", "compare_type": "REGEX", "value": "a"}}),
        ):
            world.refused(world.call(method, there, content), 409, text)
