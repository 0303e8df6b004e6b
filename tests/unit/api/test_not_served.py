"""What is not served is refused after everything else that may be wrong with a request, and changes nothing."""

from typing import Any

import pytest
from api_world import World, refuse

UDP = {"loadbalancer_id": "@lb", "protocol": "UDP", "protocol_port": 90}
ALGORITHM = {"loadbalancer_id": "@lb", "protocol": "HTTP", "lb_algorithm": "SOURCE_IP_PORT"}
PING = {"pool_id": "@pool", "type": "PING", "delay": 5, "timeout": 3, "max_retries": 2}
CHANGE = {"lb_algorithm": "SOURCE_IP_PORT"}


@pytest.fixture(scope="module")
def world(shared_world: World) -> World:
    return shared_world


@pytest.mark.parametrize(
    ("request_line", "body", "fault"),
    [
        pytest.param("POST /listeners", {**UDP, "name": 5}, (400, "name"), id="bad field"),
        pytest.param("POST /listeners", {**UDP, "default_pool_id": "@pool"}, (400, "option"), id="pool's protocol"),
        pytest.param("POST /listeners", UDP, (501, "protocol UDP"), id="listener, nothing else"),
        pytest.param("POST /pools", {**ALGORITHM, "listener_id": "@listener"}, (409, "default pool"), id="conflict"),
        pytest.param("POST /pools", ALGORITHM, (501, "SOURCE_IP_PORT"), id="pool, nothing else"),
        pytest.param("PUT /pools/@pool", CHANGE, (501, "SOURCE_IP_PORT"), id="PUT, nothing else"),
        pytest.param("POST /healthmonitors", PING, (409, "already has"), id="second monitor"),
    ],
)
def test_order(world: World, there: Any, request_line: str, body: Any, fault: Any) -> None:
    refuse(world, there, request_line, {request_line.split("/")[1].removesuffix("s"): body}, fault)


@pytest.mark.parametrize(
    ("request_line", "body"),
    [("POST /listeners", {"listener": UDP}), ("PUT /pools/@pool", {"pool": CHANGE})],
    ids=["POST", "PUT"],
)
def test_who_may_not_ask_is_not_told(world: World, there: Any, request_line: str, body: Any) -> None:
    refuse(world, there, request_line, body, (403, "Policy"), who="demo-reader")


def test_a_load_balancer_that_is_being_deleted(world: World) -> None:
    lb = world.load_balancer()
    world.delete(f"/loadbalancers/{lb['id']}")
    refuse(world, {"lb": lb["id"]}, "POST /listeners", {"listener": UDP}, (409, "immutable"))


def test_a_graph(world: World, there: Any) -> None:
    graph = {"vip_subnet_id": "@public", "listeners": [{"protocol": "SCTP", "protocol_port": 90}]}
    refuse(world, there, "POST /loadbalancers", {"loadbalancer": graph}, (501, "protocol SCTP"))
