"""What a request costs in SQL does not grow with the number of rows that it is about."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from api_world import World

pytestmark = pytest.mark.usefixtures("l7_served")


@contextlib.contextmanager
def statements(world: World) -> Iterator[list[str]]:
    counted: list[str] = []

    def count(*arguments: Any) -> None:
        counted.append(arguments[2])

    engine = world.services.database._engine
    sa.event.listen(engine, "before_cursor_execute", count)
    yield counted
    sa.event.remove(engine, "before_cursor_execute", count)


@pytest.fixture(scope="module")
def balancer(shared_world: World) -> Any:
    """A load balancer with several of everything."""
    lb = shared_world.load_balancer()
    for number in range(1, 4):
        pool = shared_world.pool(lb)
        listener = shared_world.listener(lb, protocol_port=number, default_pool_id=pool["id"])
        shared_world.monitor(pool)
        shared_world.policy(listener)
    last = shared_world.policy(listener)
    for number in range(1, 4):
        shared_world.member(pool, protocol_port=number)
        shared_world.rule(last, value=f"/{number}")
    for _ in range(3):
        shared_world.load_balancer()
        shared_world.flavor("{}")
    return {"pool": pool["id"], "policy": last["id"]}


@pytest.mark.parametrize(
    "path",
    [
        "/loadbalancers",
        "/listeners",
        "/pools",
        "/pools/@pool/members",
        "/healthmonitors",
        "/l7policies",
        "/l7policies/@policy/rules",
        "/flavors",
        "/flavorprofiles",
    ],
)
def test_a_page_takes_as_many_whatever_its_length(shared_world: World, balancer: Any, path: str):
    for name, id_ in balancer.items():
        path = path.replace(f"@{name}", id_)
    with statements(shared_world) as short:
        assert len(shared_world.get(f"{path}?limit=1", who="admin")) == 1
    with statements(shared_world) as whole:
        assert len(shared_world.get(path, who="admin")) >= 3
    assert len(whole) == len(short)


def members(count: int, weight: int = 1) -> Any:
    return {"members": [{"address": f"10.0.0.{n + 1}", "protocol_port": 80, "weight": weight} for n in range(count)]}


@pytest.mark.parametrize(
    ("there", "asked", "weight"),
    [
        pytest.param(False, True, 1, id="create"),
        pytest.param(True, True, 2, id="change"),
        pytest.param(True, True, 1, id="the same again"),
        pytest.param(True, False, 1, id="delete"),
    ],
)
def test_a_batch_takes_as_many_whatever_its_length(world: World, there: bool, asked: bool, weight: int):
    def cost(count: int) -> int:
        pool = world.pool(world.load_balancer())
        path = f"/pools/{pool['id']}/members"
        assert world.call("PUT", path, members(count * there)).status_code == 202
        world.settle()
        with statements(world) as counted:
            assert world.call("PUT", path, members(count * asked, weight)).status_code == 202
        return len(counted)

    assert cost(50) == cost(1)
