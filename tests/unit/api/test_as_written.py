"""What clients write in other ways than we would: numbers as text, addresses in long form."""

from typing import Any

import pytest
from api_world import World

LONG, SHORT = "2001:db8:0:0:0:0:0:1", "2001:db8::1"


@pytest.fixture
def pool(world: World):
    return world.pool(world.load_balancer())


@pytest.mark.parametrize("written", [LONG, SHORT, "2001:DB8::1", "192.0.2.10"])
def test_addresses_of_a_member_are_shown_as_written(world: World, pool: Any, written: str):
    made = world.member(pool, address=written, monitor_address=written)
    assert (made["address"], made["monitor_address"]) == (written, written)
    assert world.get(f"/pools/{pool['id']}/members?address={written}") == [made]


def test_one_address_is_one_member_however_it_is_written(world: World, pool: Any):
    made = world.member(pool, address=LONG)
    again = {"member": {"address": SHORT, "protocol_port": 80}}
    world.refused(world.call("POST", f"/pools/{pool['id']}/members", again), 409, "Another member")
    batch = {"members": [{"address": SHORT, "protocol_port": 80, "weight": 7}]}
    world.done(world.call("PUT", f"/pools/{pool['id']}/members", batch), 202)
    (member,) = world.get(f"/pools/{pool['id']}/members")
    assert (member["id"], member["address"], member["weight"]) == (made["id"], LONG, 7)


@pytest.mark.parametrize(
    ("written", "shown"), [({"protocol_port": "81"}, 81), ({"protocol_port": 81}, 81)], ids=["text", "number"]
)
def test_a_number_may_be_text(world: World, written: dict[str, Any], shown: int):
    made = world.listener(world.load_balancer(), admin_state_up="true", connection_limit="5", **written)
    assert (made["protocol_port"], made["connection_limit"], made["admin_state_up"]) == (shown, 5, True)


@pytest.mark.parametrize("value", ["", "many", "80.5", "0x50", "70000"])
def test_other_text_is_no_number(world: World, value: str):
    body = {"loadbalancer_id": world.load_balancer()["id"], "protocol": "HTTP", "protocol_port": value}
    world.refused(world.call("POST", "/listeners", {"listener": body}), 400, "protocol_port")
