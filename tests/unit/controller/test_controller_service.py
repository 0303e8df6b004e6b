"""The whole process but for its drivers: threads, sockets, the durable queue."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from controller_world import World

from hydria.base.config import Config, Controller, Database
from hydria.controller import loop, service
from hydria.store.wake import WakeSender


def wait_for_status(world: World, lb_id: str, status: str, seconds: float = 10.0) -> None:
    started = time.monotonic()
    while world.status(lb_id) != status:
        if time.monotonic() - started > seconds:
            pytest.fail(f"{lb_id} is {world.status(lb_id)} after {seconds} s: {world.reasons(lb_id)}")
        threading.Event().wait(0.01)


@pytest.fixture
def config(world: World, tmp_path: Path) -> Config:
    world.now = time.time()
    return Config(
        database=Database(url=world.database.url.render_as_string()),
        controller=Controller(
            heartbeat_bind_host="127.0.0.1",
            heartbeat_bind_port=0,
            heartbeat_interval=0.05,
            heartbeat_timeout=0.3,
            wake_socket=str(tmp_path / "wake"),
        ),
    )


@pytest.fixture
def controller(world: World, config: Config) -> Iterator[service.Controller]:
    controller = service.Controller(config, world.cloud, world.amphorae, world.authority, threading.Event())
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def no_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_POLL", 3600.0)


@pytest.mark.usefixtures("no_polling", "controller")
def test_from_wake_to_active(world: World, config: Config) -> None:
    sender = WakeSender(config.controller.wake_socket)
    for _ in range(3):
        lb = world.load_balancer(sriov=False)
        sender.send()
        wait_for_status(world, lb.id, "ACTIVE")
    sender.close()


@pytest.mark.usefixtures("controller")
def test_what_nobody_announced_is_found_by_polling(world: World) -> None:
    lb = world.load_balancer()
    wait_for_status(world, lb.id, "ACTIVE")


@pytest.mark.usefixtures("controller")
def test_a_lost_amphora_is_replaced_by_itself(world: World) -> None:
    lb = world.load_balancer()
    wait_for_status(world, lb.id, "ACTIVE")
    old = world.graph(lb.id).amphorae[0].id
    world.amphorae.silent.add(old)
    deadline = time.monotonic() + 10
    while old in [row.id for row in world.graph(lb.id).amphorae] or not world.amphorae.specs:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    wait_for_status(world, lb.id, "ACTIVE")
    assert len(world.cloud.servers) == 1


def test_stopping_is_quick_even_in_the_middle_of_a_boot(world: World, config: Config) -> None:
    world.cloud.build_polls = 1_000_000
    stopping = threading.Event()
    controller = service.Controller(config, world.cloud, world.amphorae, world.authority, stopping)
    controller.start()
    lb = world.load_balancer()
    deadline = time.monotonic() + 10
    while not world.cloud.servers:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    controller.stop()
    world.now = time.time() + 1
    claim = world.queue.claim("the next process", 30)
    assert claim is not None
    assert claim.load_balancer_id == lb.id
