"""A pool knows the listeners that reach it: as their default pool, or by a policy that is in use."""

from typing import Any

import pytest
from api_world import World

pytestmark = pytest.mark.usefixtures("l7_served")


def listeners_of(world: World, pool: Any) -> list[str]:
    return [one["id"] for one in world.get(f"/pools/{pool['id']}")["listeners"]]


def redirecting(world: World, listener: Any, pool: Any, **values: Any) -> Any:
    return world.policy(listener, action="REDIRECT_TO_POOL", redirect_pool_id=pool["id"], **values)


def test_listeners_of_a_pool(world: World):
    lb = world.load_balancer()
    pool = world.pool(lb)
    default = world.listener(lb, default_pool_id=pool["id"])
    plain, ruled, idle, off = (world.listener(lb, protocol_port=port) for port in (81, 82, 83, 84))
    for listener in (default, ruled, ruled):
        world.rule(redirecting(world, listener, pool))
    redirecting(world, idle, pool)
    world.rule(redirecting(world, off, pool, admin_state_up=False))
    assert listeners_of(world, pool) == [default["id"], ruled["id"]]
    assert [one["listeners"] for one in world.get("/pools")] == [[{"id": default["id"]}, {"id": ruled["id"]}]]
    found = {each["id"]: world.get(f"/pools?listeners={each['id']}") for each in (default, plain, ruled, idle, off)}
    assert {id_ for id_, pools in found.items() if pools} == {default["id"], ruled["id"]}
