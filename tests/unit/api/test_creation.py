"""A load balancer and its VIP port, whatever happens between the steps."""

import json
from typing import Any

import pytest
from api_world import TOKENS, World

from hydria.api.call import Call
from hydria.api.load_balancers import LoadBalancers
from hydria.base.errors import Invalid, NotFound, Retryable, Terminal
from hydria.drivers.interruptions import Stopped
from hydria.model.load_balancer import LoadBalancer
from hydria.store import load_balancers, resources


def create(world: World, **values: Any):
    return world.call("POST", "/loadbalancers", {"loadbalancer": {"vip_subnet_id": world.public, **values}})


def all_of(world: World):
    with world.services.database.read() as tx:
        return resources.find(tx, LoadBalancer)


def due_in(world: World, id_: str):
    database = world.services.database
    with database.read() as tx:
        (due,) = tx.connection.exec_driver_sql("SELECT due_at FROM dirty WHERE load_balancer_id = ?", (id_,)).one()
    return due - database.clock()


def test_at_the_end_the_controller_is_told_at_once(world: World):
    lb = create(world).json()["loadbalancer"]
    assert due_in(world, lb["id"]) <= 0


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param(Invalid("no such subnet in network"), 400, id="Invalid"),
        pytest.param(NotFound("Network x could not be found."), 400, id="NotFound"),
        pytest.param(Terminal("No more IP addresses available on network x."), 409, id="Terminal"),
    ],
)
def test_a_refused_port_takes_the_rows_away(world: World, error: Any, status: int):
    before = world.rows()
    world.cloud.interruptions.fail["create_port"] = [error]
    pool = {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    world.refused(create(world, pools=[pool]), status, error.message)
    assert world.rows() == before


def test_no_answer_about_the_port_leaves_the_cleaning_to_the_controller(world: World):
    world.cloud.interruptions.fail["create_port"] = [Retryable("Creating port: no answer", after=3)]
    answer = create(world)
    world.refused(answer, 503, "no answer")
    assert answer.headers["retry-after"] == "3"
    (row,) = all_of(world)
    assert row.provisioning_status == "PENDING_DELETE"
    assert due_in(world, row.id) <= 0


def test_a_cloud_that_is_not_there_yet(world: World):
    before = world.rows()
    world.cloud.interruptions.fail["subnet"] = [Retryable("Listing subnets: connection refused")]
    answer = create(world)
    world.refused(answer, 503, "connection refused")
    assert "retry-after" in answer.headers
    assert world.rows() == before


@pytest.mark.parametrize("effect", [False, True], ids=["before the port", "after the port"])
def test_a_process_that_dies_leaves_its_work_to_a_controller(world: World, effect: bool):
    world.cloud.interruptions.stop_at(world_calls_before_port(world) + 1, effect=effect)
    body = json.dumps({"loadbalancer": {"vip_subnet_id": world.public}}).encode()
    with pytest.raises(Stopped):  # without a server in between: it would die with its thread
        LoadBalancers().create(Call(world.services, TOKENS["demo"], world.cloud, world.keys, "http://x", {}, {}, body))
    world.cloud.interruptions.resume()
    (row,) = all_of(world)
    assert (row.provisioning_status, row.vip_port_id, row.generation) == ("PENDING_CREATE", None, 1)
    assert 20 < due_in(world, row.id) <= 30
    assert [port.name for port in world.cloud.ports.values()] == [f"octavia-lb-{row.id}"] * effect


def world_calls_before_port(world: World):
    """How many calls to the cloud a create makes first."""
    world.cloud.interruptions.calls.clear()
    lb = create(world).json()["loadbalancer"]
    with world.services.database.write() as tx:
        resources.delete(tx, LoadBalancer, lb["id"])
    world.cloud.ports.clear()
    return world.cloud.interruptions.calls.index("create_port")


class Meanwhile:
    """Does something else between the request for the port and its answer."""

    def __init__(self, cloud: Any, action: Any) -> None:
        self._cloud, self._action = cloud, action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cloud, name)

    def create_port(self, request: Any):
        port = self._cloud.create_port(request)
        self._action(request, port)
        return port


def meanwhile(world: World, monkeypatch: pytest.MonkeyPatch, action: Any):
    cloud = Meanwhile(world.cloud, action)
    services = world.services
    monkeypatch.setattr(type(services), "cloud", property(lambda _: cloud), raising=False)


def test_deleted_before_its_port_was_there(world: World, monkeypatch: pytest.MonkeyPatch):
    def delete(request: Any, _: Any) -> None:
        with world.services.database.write() as tx:
            load_balancers.delete_load_balancer(tx, request.name.removeprefix("octavia-lb-"), cascade=True)

    meanwhile(world, monkeypatch, delete)
    assert create(world).status_code == 201
    assert not world.cloud.ports


def test_a_controller_that_was_faster_keeps_its_port(world: World, monkeypatch: pytest.MonkeyPatch):
    theirs = []

    def take_over(request: Any, _: Any) -> None:
        port = world.cloud.create_port(request)
        theirs.append(port)
        with world.services.database.write() as tx:
            values = {"vip_port_id": port.id, "vip_address": port.fixed_ips[0].ip_address}
            resources.update(tx, LoadBalancer, request.name.removeprefix("octavia-lb-"), **values)

    meanwhile(world, monkeypatch, take_over)
    lb = create(world).json()["loadbalancer"]
    assert lb["vip_port_id"] == theirs[0].id
    assert list(world.cloud.ports) == [theirs[0].id]
