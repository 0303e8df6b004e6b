"""Amphorae and failover, as operators ask for them."""

from collections.abc import Callable
from typing import Any

import pytest
from api_world import World

from hydria.base.config import Api
from hydria.model.amphora import Amphora, Replacement
from hydria.model.heartbeat import Heartbeat, ListenerHealth, ListenerStats
from hydria.model.load_balancer import LoadBalancer
from hydria.model.status import AmphoraStatus, ProvisioningStatus
from hydria.store import amphorae, events, resources
from hydria.store.health import write_health

OLD, NEW = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"


@pytest.fixture
def lb(world: World) -> Any:
    """ACTIVE, with one listener and amphora OLD."""
    made = world.load_balancer(name="lb1")
    world.settle()
    world.listener(made)
    world.settle()
    insert(world, OLD, made["id"], status=AmphoraStatus.ALLOCATED, image_id="image-1", compute_id="server-1")
    clean(world)
    return made


def insert(world: World, id_: str, lb_id: str, **values: Any) -> None:
    with world.services.database.write() as tx:
        amphorae.insert(tx, Amphora(id=id_, loadbalancer_id=lb_id, **values))


def clean(world: World) -> None:
    with world.services.database.write() as tx:
        tx.connection.exec_driver_sql("DELETE FROM dirty")


def is_dirty(world: World) -> bool:
    return world.services.queue.next_due() is not None


def row(world: World, id_: str = OLD) -> Amphora:
    with world.services.database.read() as tx:
        found = resources.get(tx, Amphora, id_)
    assert found is not None
    return found


def change(world: World, resource: type, id_: str, **values: Any) -> None:
    with world.services.database.write() as tx:
        assert resources.update(tx, resource, id_, **values)


def octavia(world: World, method: str, path: str = "", who: str = "admin", prefix: str = "v2.0") -> Any:
    return world.client.request(method, f"/{prefix}/octavia/amphorae{path}", headers={"X-Auth-Token": who})


def status(world: World, lb: Any) -> str:
    return str(world.get(f"/loadbalancers/{lb['id']}")["provisioning_status"])


def everything(world: World) -> Any:
    with world.services.database.read() as tx:
        return world.rows(), tx.connection.exec_driver_sql("SELECT * FROM amphora").all()


def fail_over_the_load_balancer(world: World, lb: Any, who: str = "admin") -> Any:
    return world.call("PUT", f"/loadbalancers/{lb['id']}/failover", who=who)


def fail_over_the_amphora(world: World, _lb: Any, who: str = "admin") -> Any:
    return octavia(world, "PUT", f"/{OLD}/failover", who)


def configure(world: World, _lb: Any, who: str = "admin") -> Any:
    return octavia(world, "PUT", f"/{OLD}/config", who)


def delete(world: World, _lb: Any, who: str = "admin") -> Any:
    return octavia(world, "DELETE", f"/{OLD}", who)


Act = Callable[..., Any]
FAILOVERS = pytest.mark.parametrize("act", [fail_over_the_load_balancer, fail_over_the_amphora])
WRITES = pytest.mark.parametrize("act", [fail_over_the_load_balancer, fail_over_the_amphora, configure])


@FAILOVERS
def test_a_failover_is_taken_down_with_its_reason(world: World, lb: Any, act: Act) -> None:
    answer = act(world, lb)
    assert (answer.status_code, answer.content) == (202, b"")
    assert row(world).replace_for is Replacement.FAILOVER
    assert status(world, lb) == "PENDING_UPDATE"
    assert is_dirty(world)
    (event,) = world.get(f"/loadbalancers/{lb['id']}/events")
    assert (event["resource_type"], event["resource_id"], event["level"]) == ("amphora", OLD, "INFO")
    assert "failover" in event["reason"]
    assert "was asked for" in event["reason"]


@FAILOVERS
def test_a_second_one_joins_the_first(world: World, lb: Any, act: Act) -> None:
    act(world, lb)
    insert(world, NEW, lb["id"], status=AmphoraStatus.BOOTING)
    assert fail_over_the_load_balancer(world, lb).status_code == 202
    assert (row(world, OLD).replace_for, row(world, NEW).replace_for) == (Replacement.FAILOVER, None)
    assert len(world.get(f"/loadbalancers/{lb['id']}/events")) == 1


def test_configure_sends_the_spec_again_and_replaces_nothing(world: World, lb: Any) -> None:
    answer = configure(world, lb)
    assert (answer.status_code, answer.content) == (202, b"")
    assert (status(world, lb), is_dirty(world), row(world).replace_for) == ("PENDING_UPDATE", True, None)


@WRITES
@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("ACTIVE", "PENDING_UPDATE"),
        ("ERROR", "PENDING_UPDATE"),
        ("PENDING_UPDATE", "PENDING_UPDATE"),
        ("PENDING_CREATE", "PENDING_CREATE"),
    ],
)
def test_every_status_but_one_takes_it(world: World, lb: Any, act: Act, now: str, then: str) -> None:
    change(world, LoadBalancer, lb["id"], provisioning_status=ProvisioningStatus(now))
    assert act(world, lb).status_code == 202
    assert status(world, lb) == then


@WRITES
def test_not_while_it_is_being_deleted(world: World, lb: Any, act: Act) -> None:
    change(world, LoadBalancer, lb["id"], provisioning_status=ProvisioningStatus.PENDING_DELETE)
    before = everything(world)
    texts = {fail_over_the_load_balancer: f"Invalid state PENDING_DELETE of loadbalancer resource {lb['id']}"}
    immutable = f"Load Balancer {lb['id']} is immutable and cannot be updated."
    world.refused(act(world, lb), 409, texts.get(act, immutable))
    assert everything(world) == before


class TestStrict:
    """[api] strict_immutable, as Octavia."""

    @pytest.fixture
    def api(self) -> Api:
        return Api(strict_immutable=True)

    @WRITES
    @pytest.mark.parametrize(
        ("now", "taken"),
        [("ACTIVE", True), ("ERROR", True), ("PENDING_UPDATE", False), ("PENDING_CREATE", False)],
    )
    def test_only_when_nothing_else_is_under_way(self, world: World, lb: Any, act: Act, now: str, *, taken: bool):
        change(world, LoadBalancer, lb["id"], provisioning_status=ProvisioningStatus(now))
        assert act(world, lb).status_code == (202 if taken else 409)
        assert is_dirty(world) is taken


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (Replacement.LINK, Replacement.FAILOVER),
        # It is done also when the silent one speaks again.
        (Replacement.SILENCE, Replacement.FAILOVER),
        (Replacement.SERVER, Replacement.SERVER),
    ],
)
def test_of_one_that_is_to_be_replaced_already(world: World, lb: Any, was: Replacement, becomes: Replacement) -> None:
    change(world, Amphora, OLD, replace_for=was)
    assert fail_over_the_amphora(world, lb).status_code == 202
    assert row(world).replace_for is becomes


def test_a_load_balancer_without_an_amphora_gets_one(world: World) -> None:
    lb = world.load_balancer()
    world.settle()
    clean(world)
    assert fail_over_the_load_balancer(world, lb).status_code == 202
    assert (status(world, lb), is_dirty(world)) == ("PENDING_UPDATE", True)


def test_one_in_error_can_be_deleted(world: World, lb: Any) -> None:
    change(world, Amphora, OLD, status=AmphoraStatus.ERROR)
    answer = delete(world, lb)
    assert (answer.status_code, answer.content) == (204, b"")
    assert row(world).status is AmphoraStatus.PENDING_DELETE
    assert is_dirty(world), "the controller removes it"


@pytest.mark.parametrize("now", [status for status in AmphoraStatus if status is not AmphoraStatus.ERROR])
def test_no_other_one_can(world: World, lb: Any, now: AmphoraStatus) -> None:
    change(world, Amphora, OLD, status=now)
    before = everything(world)
    world.refused(delete(world, lb), 409, f"Amphora {OLD} is immutable and cannot be updated.")
    assert everything(world) == before


@pytest.mark.parametrize("act", [fail_over_the_load_balancer, fail_over_the_amphora, configure, delete])
@pytest.mark.parametrize("who", ["demo", "demo-reader", "other"])
def test_all_of_it_is_the_operators(world: World, lb: Any, act: Act, who: str) -> None:
    change(world, Amphora, OLD, status=AmphoraStatus.ERROR)
    before = everything(world)
    world.refused(act(world, lb, who), 403, "Policy does not allow this request to be performed.")
    assert everything(world) == before


@pytest.mark.parametrize("prefix", ["v2", "v2.0"])
@pytest.mark.parametrize("suffix", ["", ".json", "/"])
def test_every_form_of_path(world: World, lb: Any, prefix: str, suffix: str) -> None:
    assert octavia(world, "PUT", f"/{OLD}/failover{suffix}", prefix=prefix).status_code == 202
    assert octavia(world, "PUT", f"/{OLD}/config{suffix}", prefix=prefix).status_code == 202
    assert octavia(world, "GET", f"/{OLD}/stats{suffix}", prefix=prefix).json() == {"amphora_stats": []}
    path = f"/{prefix}/loadbalancers/{lb['id']}/failover{suffix}"
    assert world.client.put(path, headers={"X-Auth-Token": "admin"}).status_code == 202


def test_counters_are_kept_of_each_amphora(world: World, lb: Any) -> None:
    insert(world, NEW, lb["id"], status=AmphoraStatus.ALLOCATED)
    (listener,) = world.get("/listeners")

    def tell(amphora_id: str, sequence: int, **counted: int) -> None:
        listeners = {listener["id"]: ListenerHealth(status="OPEN", stats=ListenerStats(**counted))}
        spoken = {"amphora_id": amphora_id, "load_balancer_id": lb["id"], "generation": 1, "time": 0.0}
        heartbeat = Heartbeat(**spoken, sequence=sequence, listeners=listeners)
        write_health(world.services.database, heartbeat, 1_700_000_000.0)

    tell(OLD, 1, bytes_in=10, bytes_out=100, total_connections=3, active_connections=1)
    tell(NEW, 1, bytes_in=1, bytes_out=2, total_connections=1, request_errors=1)
    tell(NEW, 2, bytes_in=5, bytes_out=6, total_connections=2, request_errors=1)
    whose = {"listener_id": listener["id"], "loadbalancer_id": lb["id"]}
    old = {"active_connections": 1, "bytes_in": 10, "bytes_out": 100, "request_errors": 0, "total_connections": 3}
    new = {"active_connections": 0, "bytes_in": 5, "bytes_out": 6, "request_errors": 1, "total_connections": 2}
    assert octavia(world, "GET", f"/{OLD}/stats").json() == {"amphora_stats": [{"id": OLD, **whose, **old}]}
    assert octavia(world, "GET", f"/{NEW}/stats").json() == {"amphora_stats": [{"id": NEW, **whose, **new}]}
    total = {name: old[name] + new[name] for name in old}
    assert world.get(f"/loadbalancers/{lb['id']}/stats") == total
    assert world.get(f"/listeners/{listener['id']}/stats") == total


def test_the_event_of_a_failover_is_not_written_when_it_is_refused(world: World, lb: Any) -> None:
    fail_over_the_load_balancer(world, lb, who="demo")
    with world.services.database.read() as tx:
        assert events.list_events(tx, lb["id"]) == ()
