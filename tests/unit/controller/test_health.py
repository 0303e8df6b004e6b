"""Heartbeats, silence, and what the controller does about an amphora that is lost."""

import socket
import threading

import pytest
from controller_world import Mouth, World

from hydria.base.errors import HydriaError
from hydria.controller.health import Receiver
from hydria.controller.vitals import Breaker, Vitals
from hydria.model.heartbeat import Heartbeat, ListenerHealth, PoolHealth


@pytest.fixture
def served(world: World) -> str:
    lb = world.load_balancer()
    world.run()
    return lb.id


def test_statuses_are_written_when_they_change_and_not_for_ever(world: World, served: str) -> None:
    lb = world.graph(served).load_balancer
    listener, pool = world.listener(lb), world.pool(lb)
    member = world.member(pool, "192.0.2.10")
    world.run()
    mouth = Mouth(world, served)
    told = {
        "listeners": {listener.id: ListenerHealth(status="OPEN")},
        "pools": {pool.id: PoolHealth(status="UP", members={member.id: "UP"})},
    }
    assert [mouth.speak(**told) for _ in range(6)] == [1, 1, 1, 1, 0, 0]
    assert world.graph(served).pools[0].members[0].operating_status == "ONLINE"
    told["pools"] = {pool.id: PoolHealth(status="DOWN", members={member.id: "DOWN"})}
    assert mouth.speak(**told) == 1
    graph = world.graph(served)
    assert graph.pools[0].members[0].operating_status == "ERROR"
    assert graph.load_balancer.operating_status == "ERROR"
    world.now += 31
    assert mouth.speak(**told) == 1


@pytest.mark.parametrize("forged", ["key", "text"])
def test_forged_heartbeats_tell_nothing(world: World, served: str, forged: str) -> None:
    mouth = Mouth(world, served)
    datagram = mouth.datagram()
    mouth.health.take(datagram[:-1] + b"x" if forged == "key" else b"hello", world.now)
    assert mouth.health.write() == 0


def test_a_replayed_heartbeat_does_not_keep_the_dead_alive(world: World, served: str) -> None:
    mouth = Mouth(world, served)
    datagram = mouth.datagram()
    mouth.health.take(datagram, world.now)
    world.now += 11
    mouth.health.take(datagram, world.now)
    assert world.vitals.lost(mouth.amphora_id)


def test_a_silent_amphora_that_answers_gets_its_spec_again(world: World, served: str) -> None:
    mouth = Mouth(world, served)
    (server,) = world.cloud.servers
    world.amphorae._specs.clear()
    world.now += 11
    mouth.health.check()
    mouth.health.check()
    world.run()
    assert world.spec(served).generation == 1
    assert world.cloud.servers == (server,)
    assert world.reasons(served) == [
        f"Amphora {mouth.amphora_id} answers, although its heartbeats do not arrive.",
        f"Amphora {mouth.amphora_id} has been silent for over 10 s.",
    ]
    assert world.graph(served).amphorae[0].replace_for is None


def test_a_silent_amphora_that_does_not_answer_is_replaced(world: World, served: str) -> None:
    before = world.summary()
    mouth = Mouth(world, served)
    old = mouth.amphora_id
    world.amphorae.silent.add(old)
    world.now += 11
    mouth.health.check()
    world.run()
    assert mouth.amphora_id != old
    assert world.summary() == before


def test_one_that_does_not_answer_but_is_heard_is_left_alone(world: World, served: str) -> None:
    mouth = Mouth(world, served)
    (server,) = world.cloud.servers
    mouth.speak()
    world.amphorae.silent.add(mouth.amphora_id)
    world.touch(served)
    assert world.loop.step()
    assert world.cloud.servers == (server,)
    assert world.status(served) == "PENDING_UPDATE"
    world.amphorae.silent.clear()
    world.run()
    assert world.status(served) == "ACTIVE"


def test_when_many_are_silent_few_are_replaced_at_a_time(world: World) -> None:
    """Pain of upstream: an overloaded heartbeat manager took healthy amphorae for dead, and replaced 50."""
    lbs = [world.load_balancer().id for _ in range(6)]
    world.run()
    mouth = Mouth(world, lbs[0])
    old = {server.id for server in world.cloud.servers}
    world.amphorae.silent |= {world.graph(lb).amphorae[0].id for lb in lbs}
    world.now += 11
    mouth.health.check()
    for _ in lbs:
        assert world.loop.step()
    assert len(old & {server.id for server in world.cloud.servers}) == 3
    world.run()
    assert not old & {server.id for server in world.cloud.servers}
    assert {world.status(lb) for lb in lbs} == {"ACTIVE"}


def test_an_amphora_with_an_older_generation_is_brought_up_to_date(world: World, served: str) -> None:
    world.touch(served)
    world.run()
    mouth = Mouth(world, served)
    for _ in range(2):
        mouth.speak(generation=1)
        mouth.health.check()
    assert world.queue.next_due() is not None
    world.run()
    assert "serves generation 1 instead of 2" in world.reasons(served)[0]
    mouth.speak(generation=2)
    mouth.health.check()
    assert world.queue.next_due() is None


def test_a_late_heartbeat_alone_is_no_reason(world: World, served: str) -> None:
    world.touch(served)
    world.run()
    mouth = Mouth(world, served)
    mouth.speak(generation=1)
    mouth.health.check()
    mouth.health.check()
    assert world.queue.next_due() is None


def test_the_breaker_lets_three_through_in_ten_seconds() -> None:
    now = [0.0]
    breaker = Breaker(clock=lambda: now[0])
    assert [breaker.wait_time() for _ in range(4)] == [0, 0, 0, 10]
    now[0] = 10.0
    assert breaker.wait_time() == 0


def test_who_is_not_expected_any_more_is_forgotten() -> None:
    now = [0.0]
    vitals = Vitals(10, clock=lambda: now[0])
    vitals.expect(["a", "b"])
    now[0] = 11.0
    assert vitals.lost("a")
    vitals.expect(["b"])
    assert not vitals.lost("a")
    vitals.hear(Heartbeat(amphora_id="b", sequence=1, time=0))
    assert not vitals.lost("b")


def test_the_receiver_hears_until_it_is_told_to_stop() -> None:
    receiver, stopping = Receiver("127.0.0.1", 0), threading.Event()
    heard: list[bytes] = []
    arrived = threading.Event()

    def take(datagram: bytes, received_at: float) -> None:
        assert received_at > 0
        heard.append(datagram)
        arrived.set()

    thread = threading.Thread(target=receiver.receive, args=(take, stopping))
    thread.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"heartbeat", ("127.0.0.1", receiver.port))
    assert arrived.wait(5)
    with pytest.raises(HydriaError, match=f"127.0.0.1:{receiver.port}"):
        Receiver("127.0.0.1", receiver.port)
    stopping.set()
    thread.join(5)
    receiver.close()
    assert heard == [b"heartbeat"]
