"""PUT of a pool's whole set of members."""

from typing import Any

import pytest
from api_world import World


@pytest.fixture
def pool(world: World):
    made = world.pool(world.load_balancer())
    for number in (1, 2, 3):
        world.member(made, address=f"192.0.2.{number}", weight=number)
    world.settle()
    return made


def put(world: World, pool: Any, members: Any, query: str = ""):
    body = {"members": [{"protocol_port": 80, **values} for values in members]}
    answer = world.call("PUT", f"/pools/{pool['id']}/members{query}", body)
    assert (answer.status_code, answer.content) == (202, b""), answer.text
    shown = world.get(f"/pools/{pool['id']}/members")
    return {item["address"][-1]: (item["weight"], item["provisioning_status"]) for item in shown}


def test_what_is_not_named_goes(world: World, pool: Any):
    asked = [{"address": "192.0.2.2", "weight": 20}, {"address": "192.0.2.3"}, {"address": "192.0.2.4"}]
    assert put(world, pool, asked) == {
        "1": (1, "PENDING_DELETE"),
        "2": (20, "PENDING_UPDATE"),
        "3": (3, "ACTIVE"),
        "4": (1, "PENDING_CREATE"),
    }


def test_what_was_never_served_is_still_to_be_created(world: World):
    pool = world.pool(world.load_balancer())
    put(world, pool, [{"address": "192.0.2.1"}, {"address": "192.0.2.2"}])
    seen = put(world, pool, [{"address": "192.0.2.1", "weight": 7}, {"address": "192.0.2.2"}])
    assert seen == {"1": (7, "PENDING_CREATE"), "2": (1, "PENDING_CREATE")}


def test_additive_only_keeps_it(world: World, pool: Any):
    seen = put(world, pool, [{"address": "192.0.2.4"}], "?additive_only=true")
    assert seen == {"1": (1, "ACTIVE"), "2": (2, "ACTIVE"), "3": (3, "ACTIVE"), "4": (1, "PENDING_CREATE")}


def test_the_same_set_again_only_wakes_the_controller(world: World, pool: Any):
    asked = [{"address": f"192.0.2.{number}", "weight": number} for number in (1, 2, 3)]
    before = world.rows()
    assert {status for _, status in put(world, pool, asked).values()} == {"ACTIVE"}
    after = world.rows()
    assert after["member"] == before["member"]
    assert after["load_balancer"] != before["load_balancer"]


def test_nothing_into_an_empty_pool_is_nothing(world: World):
    empty = world.pool(world.load_balancer())
    before = world.rows()
    put(world, empty, [])
    assert world.rows() == before


def test_an_empty_set_empties_the_pool(world: World, pool: Any):
    assert {status for _, status in put(world, pool, []).values()} == {"PENDING_DELETE"}


def test_a_member_that_was_just_deleted_comes_back_as_a_new_one(world: World, pool: Any):
    put(world, pool, [])
    put(world, pool, [{"address": "192.0.2.1"}])
    shown = world.get(f"/pools/{pool['id']}/members?address=192.0.2.1")
    assert sorted(item["provisioning_status"] for item in shown) == ["PENDING_CREATE", "PENDING_DELETE"]


def test_vfs_where_the_flavor_allows_them(world: World):
    pool = world.pool(world.load_balancer(flavor_id=world.flavor()["id"]))
    put(world, pool, [{"address": "192.0.2.1", "request_sriov": True}, {"address": "192.0.2.2"}])
    shown = world.get(f"/pools/{pool['id']}/members")
    assert [item["vnic_type"] for item in shown] == ["direct", "normal"]


def test_a_thousand(world: World):
    pool = world.pool(world.load_balancer())
    asked = [{"address": f"10.0.{number // 250}.{number % 250 + 1}"} for number in range(1000)]
    put(world, pool, asked)
    assert len(world.get(f"/pools/{pool['id']}/members")) == 1000
