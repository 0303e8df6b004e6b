"""What a project may not have: more than its quota."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from api_world import World, a_world

from hydria.api.policy import Policy
from hydria.base.config import Api, Quotas
from hydria.base.errors import Terminal
from hydria.model.served import EVERYTHING

TITLES = {
    "loadbalancer": "Load Balancer",
    "listener": "Listener",
    "pool": "Pool",
    "member": "Member",
    "healthmonitor": "Health Monitor",
    "l7policy": "L7 Policy",
    "l7rule": "L7 Rule",
}
PATHS = {
    "loadbalancer": "/loadbalancers",
    "listener": "/listeners",
    "pool": "/pools",
    "member": "/pools/{pool}/members",
    "healthmonitor": "/healthmonitors",
    "l7policy": "/l7policies",
    "l7rule": "/l7policies/{l7policy}/rules",
}


@pytest.fixture
def world(tmp_path: Path, empty_database: Path, default_policy: Policy) -> Iterator[World]:
    with a_world(tmp_path, empty_database, default_policy, Api(), EVERYTHING) as made:
        yield made


@pytest.fixture
def ids(world: World) -> dict[str, str]:
    """One of each, and a pool without a health monitor."""
    lb = world.load_balancer()
    listener, pool = world.listener(lb), world.pool(lb)
    policy = world.policy(listener)
    made = {"loadbalancer": lb, "listener": listener, "pool": pool, "l7policy": policy, "l7rule": world.rule(policy)}
    made |= {"member": world.member(pool), "healthmonitor": world.monitor(pool)}
    return {kind: row["id"] for kind, row in made.items()}


def another(world: World, ids: dict[str, str], kind: str, **values: Any) -> Any:
    """The answer to a request for one more of that kind."""
    bodies: dict[str, Callable[[], dict[str, Any]]] = {
        "loadbalancer": lambda: {"vip_subnet_id": world.public},
        "listener": lambda: {"loadbalancer_id": ids["loadbalancer"], "protocol": "HTTP", "protocol_port": 81},
        "pool": lambda: {"loadbalancer_id": ids["loadbalancer"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"},
        "member": lambda: {"address": "192.0.2.77", "protocol_port": 80},
        "healthmonitor": lambda: {"pool_id": ids["pool"], "type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2},
        "l7policy": lambda: {"listener_id": ids["listener"], "action": "REJECT"},
        "l7rule": lambda: {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/x"},
    }
    root = "rule" if kind == "l7rule" else kind
    return world.call("POST", PATHS[kind].format(**ids), {root: {**bodies[kind](), **values}})


def limit(world: World, project: str = "demo", **limits: int) -> None:
    world.done(world.call("PUT", f"/quotas/{project}", {"quota": limits}, who="admin"), 202)


def met(world: World, answer: Any, kind: str, before: Any) -> None:
    world.refused(answer, 403, f"Quota has been met for resources: {TITLES[kind]}")
    assert world.rows() == before


@pytest.mark.parametrize("kind", TITLES)
def test_what_a_project_has_enough_of(world: World, ids: dict[str, str], kind: str):
    if kind == "healthmonitor":  # a pool has one at most
        ids["pool"] = another(world, ids, "pool").json()["pool"]["id"]
    limit(world, **{kind: 1})
    before = world.rows()
    met(world, another(world, ids, kind), kind, before)
    limit(world, **{kind: 2})
    assert another(world, ids, kind).status_code == 201


@pytest.mark.parametrize("kind", TITLES)
def test_nothing_at_all(world: World, ids: dict[str, str], kind: str):
    """What is there stays and can be changed."""
    limit(world, **{kind: 0})
    root = "rule" if kind == "l7rule" else kind
    world.put(f"{PATHS[kind].format(**ids)}/{ids[kind]}", {root: {"admin_state_up": False}})
    if kind == "healthmonitor":
        ids["pool"] = another(world, ids, "pool").json()["pool"]["id"]
    before = world.rows()
    met(world, another(world, ids, kind), kind, before)


@pytest.mark.parametrize("kind", TITLES)
def test_what_is_deleted_counts_until_it_is_gone(world: World, ids: dict[str, str], kind: str):
    limit(world, **{kind: 1})
    world.delete(f"{PATHS[kind].format(**ids)}/{ids[kind]}{'?cascade=true' if kind == 'loadbalancer' else ''}")
    before = world.rows()
    met(world, another(world, ids, kind), kind, before)
    world.settle()
    assert another(world, ids, kind).status_code == 201


def graph(world: World) -> dict[str, Any]:
    """2 listeners, 3 pools, 4 members, 2 health monitors, 2 policies, 3 rules."""
    monitor = {"type": "TCP", "delay": 5, "timeout": 3, "max_retries": 2}
    plain = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    members = [{"address": f"192.0.2.{n}", "protocol_port": 80} for n in (1, 2)]
    rule = {"type": "PATH", "compare_type": "STARTS_WITH", "value": "/x"}
    to_pool = {
        "action": "REDIRECT_TO_POOL",
        "redirect_pool": {**plain, "name": "r", "members": members},
        "rules": [rule],
    }
    first = {"protocol": "HTTP", "protocol_port": 80, "default_pool": {**plain, "name": "d", "healthmonitor": monitor}}
    second = {"protocol": "HTTP", "protocol_port": 81, "l7policies": [{"action": "REJECT", "rules": [rule, rule]}]}
    return {
        "vip_subnet_id": world.public,
        "listeners": [{**first, "l7policies": [to_pool]}, second],
        "pools": [{**plain, "name": "p", "members": members, "healthmonitor": monitor}],
    }


OF_GRAPH = {
    "loadbalancer": 1, "listener": 2, "pool": 3, "member": 4, "healthmonitor": 2, "l7policy": 2, "l7rule": 3,
}  # fmt: skip


def test_a_whole_graph_that_just_fits(world: World):
    limit(world, **OF_GRAPH)
    assert world.call("POST", "/loadbalancers", {"loadbalancer": graph(world)}).status_code == 201
    before = world.rows()
    met(world, world.call("POST", "/loadbalancers", {"loadbalancer": graph(world)}), "loadbalancer", before)


@pytest.mark.parametrize("kind", TITLES)
def test_a_whole_graph_is_counted_before_anything_is_made(world: World, kind: str):
    limit(world, **{**OF_GRAPH, kind: OF_GRAPH[kind] - 1})
    before = world.rows()
    world.cloud.interruptions.calls.clear()
    met(world, world.call("POST", "/loadbalancers", {"loadbalancer": graph(world)}), kind, before)
    assert "create_port" not in world.cloud.interruptions.calls


@pytest.mark.parametrize("kind", ["pool", "member", "healthmonitor"])
def test_what_a_listener_brings_along_is_counted(world: World, ids: dict[str, str], kind: str):
    (listener, _), monitor = graph(world)["listeners"], graph(world)["pools"][0]["healthmonitor"]
    pool = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "healthmonitor": monitor}
    member = {"address": "192.0.2.1", "protocol_port": 80}
    limit(world, **{kind: 1})
    before = world.rows()
    body = {**listener, "protocol_port": 99, "default_pool": {**pool, "members": [member]}, "l7policies": []}
    met(world, another(world, ids, "listener", **body), kind, before)


def batch(world: World, ids: dict[str, str], *addresses: int, query: str = "") -> Any:
    members = [{"address": f"192.0.2.{n}", "protocol_port": 80} for n in addresses]
    return world.call("PUT", f"/pools/{ids['pool']}/members{query}", {"members": members})


@pytest.mark.parametrize(
    ("addresses", "query", "status"),
    [
        pytest.param((1, 2, 3), "", 202, id="the same"),
        pytest.param((4, 5, 6), "", 202, id="as many others"),
        pytest.param((1, 4), "", 202, id="fewer"),
        pytest.param((1, 4, 5, 6), "", 403, id="more"),
        pytest.param((1, 2, 3, 4), "", 403, id="one more"),
        pytest.param((1, 2), "?additive_only=true", 202, id="known ones alone"),
        pytest.param((4,), "?additive_only=true", 403, id="one beside those"),
    ],
)
def test_of_a_batch_the_growth_counts(
    world: World, ids: dict[str, str], addresses: tuple[int, ...], query: str, status: int
):
    assert batch(world, ids, 1, 2, 3).status_code == 202
    world.settle()
    limit(world, member=3)
    before = world.rows()
    answer = batch(world, ids, *addresses, query=query)
    if status == 403:
        met(world, answer, "member", before)
    else:
        assert answer.status_code == status, answer.text


def test_members_of_all_pools_count_together(world: World, ids: dict[str, str]):
    limit(world, member=1)
    other = {**ids, "pool": another(world, ids, "pool").json()["pool"]["id"]}
    before = world.rows()
    met(world, another(world, other, "member"), "member", before)


def test_what_others_have_does_not_count(world: World, ids: dict[str, str]):
    del ids
    limit(world, "other", loadbalancer=1)
    body = {"loadbalancer": {"vip_subnet_id": world.public, "project_id": "other"}}
    assert world.call("POST", "/loadbalancers", body, who="admin").status_code == 201
    before = world.rows()
    met(world, world.call("POST", "/loadbalancers", body, who="admin"), "loadbalancer", before)
    assert another(world, {}, "loadbalancer").status_code == 201


def test_below_a_load_balancer_its_project_counts_whoever_asks(world: World, ids: dict[str, str]):
    limit(world, pool=1)
    before = world.rows()
    body = {"loadbalancer_id": ids["loadbalancer"], "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    met(world, world.call("POST", "/pools", {"pool": body}, who="admin"), "pool", before)


@pytest.mark.parametrize("own", [None, 2], ids=["of the configuration", "its own"])
def test_a_limit_holds(tmp_path: Path, empty_database: Path, default_policy: Policy, own: int | None):
    one = Quotas(default_load_balancer_quota=1)
    with a_world(tmp_path, empty_database, default_policy, Api(), quotas=one) as world:
        if own is not None:
            limit(world, loadbalancer=own)
        for _ in range(own or 1):
            assert another(world, {}, "loadbalancer").status_code == 201
        before = world.rows()
        met(world, another(world, {}, "loadbalancer"), "loadbalancer", before)


def test_a_port_that_the_cloud_refuses_takes_the_count_back(world: World):
    limit(world, loadbalancer=1)
    world.cloud.interruptions.fail["create_port"] = [Terminal("No more IP addresses available on network x.")]
    assert another(world, {}, "loadbalancer").status_code == 409
    assert another(world, {}, "loadbalancer").status_code == 201
