"""Quotas as they are shown and changed. What they refuse is in test_quotas_met.py."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_world import World, a_world

from hydria.api.policy import Policy
from hydria.base.config import Api, Quotas

KINDS = ("loadbalancer", "listener", "pool", "member", "healthmonitor", "l7policy", "l7rule")
OLDER = {"load_balancer": "loadbalancer", "health_monitor": "healthmonitor"}
DEFAULTS = Quotas(default_pool_quota=10, default_load_balancer_quota=4)


@pytest.fixture
def world(tmp_path: Path, empty_database: Path, default_policy: Policy) -> Iterator[World]:
    with a_world(tmp_path, empty_database, default_policy, Api(), quotas=DEFAULTS) as made:
        yield made


def limits(project: str = "demo", **own: int) -> dict[str, Any]:
    """As an answer has them: both spellings, and the defaults for the rest."""
    named = {**dict.fromkeys(KINDS, -1), "pool": 10, "loadbalancer": 4, **own}
    owner = {"project_id": project, "tenant_id": project}
    return {**owner, **named, **{older: named[present] for older, present in OLDER.items()}}


def put(world: World, project: str = "demo", **values: Any) -> Any:
    return world.done(world.call("PUT", f"/quotas/{project}", {"quota": values}, who="admin"), 202)


def test_a_project_without_limits_of_its_own_has_the_defaults(world: World):
    assert world.get("/quotas/demo") == limits()
    assert world.get("/quotas/demo/default") == limits()
    assert world.get("/quotas/defaults") == limits()
    assert world.get("/quotas", who="admin") == []


@pytest.mark.parametrize(
    ("values", "own"),
    [
        pytest.param({"pool": 3}, {"pool": 3}, id="one"),
        pytest.param({"pool": 0}, {"pool": 0}, id="none of it"),
        pytest.param({"pool": -1}, {"pool": -1}, id="any number"),
        pytest.param({"member": 2_000_000_000}, {"member": 2_000_000_000}, id="the most"),
        pytest.param({"member": "-1", "pool": "7"}, {"pool": 7}, id="numbers as text"),
        pytest.param({"load_balancer": 2}, {"loadbalancer": 2}, id="older spelling"),
        pytest.param({"loadbalancer": 2}, {"loadbalancer": 2}, id="present spelling"),
        pytest.param({"load_balancer": 2, "loadbalancer": 2}, {"loadbalancer": 2}, id="both, the same"),
        pytest.param({"load_balancer": "2", "loadbalancer": 2}, {"loadbalancer": 2}, id="both, one as text"),
        pytest.param({"health_monitor": 5}, {"healthmonitor": 5}, id="health monitors, older spelling"),
        pytest.param(dict.fromkeys(KINDS, 6), dict.fromkeys(KINDS, 6), id="all"),
        pytest.param({"l7policy": 1, "l7rule": 2}, {"l7policy": 1, "l7rule": 2}, id="L7"),
        pytest.param({}, {}, id="nothing"),
    ],
)
def test_a_put_says_which(world: World, values: dict[str, Any], own: dict[str, int]):
    assert put(world, **values) == limits(**own)
    assert world.get("/quotas/demo") == limits(**own)
    assert world.get("/quotas/other", who="other") == limits("other")
    assert world.get("/quotas/demo/default") == limits()


def test_what_a_put_leaves_out_stays(world: World):
    put(world, pool=3, member=5)
    assert put(world, pool=4, listener=1) == limits(pool=4, member=5, listener=1)


@pytest.mark.parametrize("name", ["loadbalancer", "load_balancer"])
def test_null_brings_the_default_back(world: World, name: str):
    put(world, loadbalancer=1, member=5)
    assert put(world, **{name: None}) == limits(member=5)
    assert [row["project_id"] for row in world.get("/quotas", who="admin")] == ["demo"]


def test_with_nothing_of_its_own_left_a_project_is_not_listed(world: World):
    put(world, loadbalancer=1)
    put(world, loadbalancer=None)
    assert world.get("/quotas", who="admin") == []


def test_a_limit_that_equals_the_default_stays_when_the_default_changes(world: World):
    """Octavia's way: what is said once holds."""
    put(world, pool=10)
    assert [row["project_id"] for row in world.get("/quotas?pool=10", who="admin")] == ["demo"]


def test_delete_brings_all_defaults_back(world: World):
    put(world, loadbalancer=1, member=5)
    for _ in range(2):  # the second has nothing to do
        answer = world.call("DELETE", "/quotas/demo", who="admin")
        assert (answer.status_code, answer.content) == (202, b"")
        assert world.get("/quotas/demo") == limits()
    assert world.get("/quotas", who="admin") == []


def test_a_list_has_whose_they_are_and_the_defaults_for_what_was_not_said(world: World):
    put(world, member=5)
    put(world, "other", pool=1)
    demo, other = limits(member=5), limits("other", pool=1)
    assert world.get("/quotas", who="admin") == [demo, other]
    assert world.get("/quotas", who="demo") == [demo]
    assert world.get("/quotas?pool=10", who="admin") == [demo]
    assert world.get("/quotas?load_balancer=4&member=-1", who="admin") == [other]
    assert world.get("/quotas?sort=pool", who="admin") == [other, demo]
    assert world.get("/quotas?sort=pool&limit=1&marker=other", who="admin") == [demo]
    assert world.get("/quotas?fields=member&fields=load_balancer", who="demo") == [{"member": 5, "load_balancer": 4}]
    assert world.get("/quotas/demo?fields=member", who="demo") == {"member": 5}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        pytest.param({"quota": {"pool": -2}}, "pool", id="below -1"),
        pytest.param({"quota": {"pool": 2_000_000_001}}, "pool", id="beyond the most"),
        pytest.param({"quota": {"pool": "-2"}}, "pool", id="below -1, as text"),
        pytest.param({"quota": {"pool": "9" * 10}}, "pool", id="beyond the most, as text"),
        pytest.param({"quota": {"pool": "9" * 30}}, "pool", id="a long number"),
        pytest.param({"quota": {"pool": "many"}}, "pool", id="no number"),
        pytest.param({"quota": {"pool": ""}}, "pool", id="empty"),
        pytest.param({"quota": {"pool": 1.5}}, "pool", id="half a one"),
        pytest.param({"quota": {"pool": True}}, "pool", id="a boolean"),
        pytest.param({"quota": {"pool": [1]}}, "pool", id="a list"),
        pytest.param({"quota": {"health_monitor": -2}}, "healthmonitor", id="older spelling"),
        pytest.param({"quota": {"load_balancer": 1, "loadbalancer": 2}}, "load_balancer", id="spellings differ"),
        pytest.param({"quota": {"health_monitor": None, "healthmonitor": 2}}, "health_monitor", id="one is null"),
        pytest.param({"quota": {"amphora": 1}}, "amphora", id="not limited"),
        pytest.param({"quota": {"pool": 1, "project_id": "other"}}, "project_id", id="another's"),
        pytest.param({"quota": None}, "quota", id="null"),
        pytest.param({"quota": [1]}, "quota", id="no object"),
        pytest.param({}, "quota", id="no root key"),
        pytest.param({"quota": {"pool": 1}, "more": 1}, "more", id="more beside it"),
    ],
)
def test_bad_input_changes_nothing(world: World, body: Any, named: str):
    put(world, member=5)
    before = world.rows()
    world.refused(world.call("PUT", "/quotas/demo", body, who="admin"), 400, named)
    assert world.rows() == before


@pytest.mark.parametrize("request_", ["GET /quotas/@", "GET /quotas/@/default", "PUT /quotas/@", "DELETE /quotas/@"])
def test_an_id_that_no_project_can_have(world: World, request_: str):
    before = world.rows()
    method, path = request_.replace("@", "x" * 37).split()
    body = {"quota": {"pool": 1}} if method == "PUT" else None
    world.refused(world.call(method, path, body, who="admin"), 400, "project_id")
    assert world.rows() == before


@pytest.mark.parametrize(
    ("request_", "who", "status"),
    [
        pytest.param("GET /quotas/demo", "demo", 200, id="own"),
        pytest.param("GET /quotas/demo", "demo-reader", 200, id="own, reader"),
        pytest.param("GET /quotas/demo", "demo-nobody", 403, id="own, no role"),
        pytest.param("GET /quotas/demo", "other", 403, id="another's"),
        pytest.param("GET /quotas/demo", "admin", 200, id="operator"),
        pytest.param("GET /quotas/demo/default", "demo-reader", 200, id="own default"),
        pytest.param("GET /quotas/demo/default", "other", 403, id="another's default"),
        pytest.param("GET /quotas/defaults", "other", 200, id="defaults"),
        pytest.param("GET /quotas/defaults", "unscoped", 403, id="defaults, no project"),
        pytest.param("GET /quotas", "demo-nobody", 403, id="list, no role"),
        pytest.param("GET /quotas?project_id=demo", "other", 403, id="list, another's"),
        pytest.param("GET /quotas?project_id=demo", "demo", 200, id="list, own"),
        pytest.param("PUT /quotas/demo", "demo", 403, id="change one's own"),
        pytest.param("PUT /quotas/demo", "admin", 202, id="operator changes"),
        pytest.param("DELETE /quotas/demo", "demo", 403, id="reset one's own"),
        pytest.param("DELETE /quotas/demo", "admin", 202, id="operator resets"),
    ],
)
def test_whose_may_be_seen_and_changed(world: World, request_: str, who: str, status: int):
    put(world, pool=3)
    before = world.rows()
    method, path = request_.split()
    answer = world.call(method, path, {"quota": {"pool": 5}} if method == "PUT" else None, who=who)
    assert answer.status_code == status, answer.text
    assert (world.rows() == before) == (status != 202)


def test_others_see_no_row_of_a_project_that_is_not_theirs(world: World):
    put(world, pool=3)
    assert world.get("/quotas", who="other") == []
