"""Pretended amphorae: at once what their spec says, and heard of when it has stayed so for an interval."""

import pytest

from hydria.base.errors import Retryable
from hydria.drivers.noop_amphorae import NoopAmphorae
from hydria.model.heartbeat import Heartbeat, unseal
from hydria.model.spec import (
    HealthMonitorSpec,
    Heartbeats,
    Interface,
    ListenerSpec,
    MemberSpec,
    Observed,
    PoolSpec,
    Spec,
)
from hydria.model.spec_versions import for_agent

KEY = "secret"
MEMBERS = (
    MemberSpec(id="plain", address="192.0.2.1", protocol_port=80),
    MemberSpec(id="drained", address="192.0.2.2", protocol_port=80, weight=0),
    MemberSpec(id="down", address="192.0.2.3", protocol_port=80, admin_state_up=False),
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def amphorae(clock: Clock) -> NoopAmphorae:
    return NoopAmphorae(KEY, clock)


def a_spec(generation: int = 1, *, up: bool = True, monitored: bool = False) -> Spec:
    monitor = HealthMonitorSpec(id="m", type="PING", delay=5, timeout=3, max_retries=2)
    return Spec(
        amphora_id="a1",
        load_balancer_id="lb",
        generation=generation,
        admin_state_up=up,
        interfaces=(
            Interface(mac_address="fa:16:3e:00:00:01", name="eth1", port_id="p", network_id="n", vnic_type="normal"),
        ),
        listeners=(ListenerSpec(id="l1", protocol="SCTP", protocol_port=80),),
        pools=(
            PoolSpec(
                id="pool",
                protocol="SCTP",
                lb_algorithm="SOURCE_IP_PORT",
                members=MEMBERS,
                health_monitor=monitor if monitored else None,
            ),
        ),
        heartbeats=Heartbeats(interval=30.0),
    )


def put(amphorae: NoopAmphorae, spec: Spec) -> Observed:
    return amphorae.put_spec("fd00::1", for_agent(spec, amphorae.info("a1", "fd00::1").spec_versions))


def heard(amphorae: NoopAmphorae) -> list[Heartbeat]:
    return [unseal(datagram, KEY.encode()) for datagram in amphorae.heartbeats()]


def test_it_is_what_its_spec_says(amphorae: NoopAmphorae) -> None:
    observed = put(amphorae, a_spec(7))
    assert (observed.generation, observed.faults) == (7, ())
    assert [(nic.name, nic.up, nic.carrier) for nic in observed.interfaces] == [("eth1", True, True)]
    assert amphorae.observed("a1", "fd00::1") == observed


def test_an_older_spec_is_refused(amphorae: NoopAmphorae) -> None:
    put(amphorae, a_spec(7))
    with pytest.raises(Retryable, match="refused generation 6: it has 7"):
        put(amphorae, a_spec(6))


def test_it_is_silent_for_an_interval_after_each_change(amphorae: NoopAmphorae, clock: Clock) -> None:
    put(amphorae, a_spec(1))
    clock.now += 20
    put(amphorae, a_spec(2))
    clock.now += 20
    assert heard(amphorae) == []
    clock.now += 10
    assert [one.generation for one in heard(amphorae)] == [2]
    assert heard(amphorae) == []
    clock.now += 30
    assert len(heard(amphorae)) == 1


@pytest.mark.parametrize(
    ("monitored", "members"),
    [
        (False, {"plain": "no check", "drained": "no check", "down": "MAINT"}),
        (True, {"plain": "UP", "drained": "DRAIN", "down": "MAINT"}),
    ],
    ids=["no monitor", "monitor"],
)
def test_what_it_tells(amphorae: NoopAmphorae, clock: Clock, monitored: bool, members: dict[str, str]) -> None:
    put(amphorae, a_spec(monitored=monitored))
    clock.now += 30
    (told,) = heard(amphorae)
    assert {id_: listener.status for id_, listener in told.listeners.items()} == {"l1": "OPEN"}
    assert told.pools["pool"].status == "UP"
    assert told.pools["pool"].members == members
    assert [(nic.name, nic.carrier) for nic in told.nics.values()] == [("eth1", True)]


def test_one_that_is_switched_off_serves_nothing(amphorae: NoopAmphorae, clock: Clock) -> None:
    put(amphorae, a_spec(up=False))
    clock.now += 30
    assert [one.listeners for one in heard(amphorae)] == [{}]


def test_one_without_server_is_silent(amphorae: NoopAmphorae, clock: Clock) -> None:
    put(amphorae, a_spec())
    amphorae.power_off("fd00::1")
    clock.now += 100
    assert heard(amphorae) == []
    assert amphorae.observed("a1", "fd00::1") == Observed(amphora_id="a1")
