"""Agents that are older or newer than the controller, and those that are exchanged in place."""

import msgspec
import pytest
from controller_world import World

from hydria.base.errors import Terminal
from hydria.model.load_balancer import LoadBalancer
from hydria.model.spec import VERSION, Fault, Info, Spec
from hydria.model.spec_versions import Document, for_agent


def spoken(world: World, lb: LoadBalancer) -> int:
    """In which version its amphora was told of the present generation."""
    document = world.amphorae.documents[world.spec(lb.id).amphora_id]
    assert msgspec.json.decode(document.body)["generation"] == world.graph(lb.id).generation
    return document.version


def served(world: World) -> LoadBalancer:
    lb = world.load_balancer()
    world.listener(lb)
    world.run()
    assert world.status(lb.id) == "ACTIVE"
    return lb


def test_haproxy_gets_as_many_threads_as_the_server_has_vcpus(world: World) -> None:
    world.cloud.vcpus["amphora"] = 3
    lb = served(world)
    assert world.spec(lb.id).threads == 3
    world.cloud.vcpus["amphora"] = 8
    world.touch(lb.id)
    world.run()
    assert world.spec(lb.id).threads == 3, "the flavor of a server is that of its creation"


def test_a_cloud_that_does_not_tell_leaves_it_to_haproxy(world: World) -> None:
    del world.cloud.vcpus["amphora"]
    assert world.spec(served(world).id).threads is None


@pytest.mark.parametrize(
    ("versions", "version", "threads"),
    [((1,), 1, None), ((1, 2), 2, 1), ((2, 3), 2, 1), ((2, 3, 4), 2, 1)],
    ids=["older", "same", "newer", "newer still"],
)
def test_an_agent_is_told_in_a_version_that_it_knows(
    world: World, versions: tuple[int, ...], version: int, threads: int | None
) -> None:
    world.amphorae.versions = versions
    lb = served(world)
    assert (spoken(world, lb), world.spec(lb.id).threads) == (version, threads)
    world.listener(lb, 81)
    world.run()
    assert world.status(lb.id) == "ACTIVE"
    assert (spoken(world, lb), len(world.spec(lb.id).listeners)) == (version, 2)


@pytest.mark.parametrize(("before", "after"), [((1,), (1, 2)), ((1, 2), (1,)), ((2,), (2, 3))], ids=str)
def test_an_agent_that_was_exchanged_is_asked_again(
    world: World, before: tuple[int, ...], after: tuple[int, ...]
) -> None:
    world.amphorae.versions = before
    lb = served(world)
    world.amphorae.versions = after
    world.touch(lb.id)
    world.run()
    assert world.status(lb.id) == "ACTIVE"
    assert spoken(world, lb) == max(set(after) & {1, 2})


def test_an_agent_that_is_exchanged_between_question_and_spec(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    lb = served(world)
    info = world.amphorae.info

    def exchanged_after_it_told(amphora_id: str, address: str) -> Info:
        answer = info(amphora_id, address)
        world.amphorae.versions = (1,)
        return answer

    monkeypatch.setattr(world.amphorae, "info", exchanged_after_it_told)
    world.touch(lb.id)
    world.run()
    assert world.status(lb.id) == "ACTIVE"
    assert spoken(world, lb) == 1
    assert world.reasons(lb.id) == []


def test_an_agent_that_refuses_what_it_says_it_knows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked once more, and then it is an error: nobody goes round in circles."""
    lb = served(world)

    def refuse(address: str, document: Document) -> None:
        raise Terminal(f"PUT /v1/spec at {address}: 400 a bad listener, in version {document.version}")

    monkeypatch.setattr(world.amphorae, "put_spec", refuse)
    world.cloud.interruptions.calls.clear()
    world.touch(lb.id)
    world.loop.step()
    assert world.status(lb.id) == "ERROR"
    assert "a bad listener" in world.reasons(lb.id)[0]
    assert world.cloud.interruptions.calls.count("info") == 2


def test_an_image_that_is_too_old_leaves_no_amphora_behind(world: World) -> None:
    world.amphorae.versions = (0,)
    lb = world.load_balancer()
    world.run()
    (row, *_) = [*world.graph(lb.id).amphorae, None]
    assert (world.status(lb.id), row, world.cloud.servers) == ("ERROR", None, ())
    (reason,) = world.reasons(lb.id)
    assert "takes specs of version 0, and this controller makes versions 1 and 2" in reason
    assert "Upload an amphora image of this version of Hydria and fail the amphora over" in reason
    world.amphorae.versions = (1, 2)
    world.touch(lb.id)
    world.run()
    assert world.status(lb.id) == "ACTIVE"


def test_an_amphora_that_was_left_behind_serves_on_and_says_why_nothing_changes(world: World) -> None:
    lb = served(world)
    world.amphorae.versions = (3, 4)
    world.listener(lb, 81)
    world.run()
    assert world.status(lb.id) == "ERROR"
    assert any("Upgrade the controller" in reason for reason in world.reasons(lb.id))
    assert [listener.protocol_port for listener in world.spec(lb.id).listeners] == [80], "it was not touched"
    world.amphorae.versions = (2, 3)
    world.touch(lb.id)
    world.run()
    assert world.status(lb.id) == "ACTIVE"


def test_what_an_older_agent_cannot_be_told_is_an_error_of_that_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lb = served(world)
    bad = world.listener(lb, 81)
    reason = "Needs a newer amphora image."

    def with_a_loss(spec: Spec, versions: tuple[int, ...]) -> Document:
        kept = tuple(listener for listener in spec.listeners if listener.id != bad.id)
        document = for_agent(msgspec.structs.replace(spec, listeners=kept), versions)
        loss = Fault(resource_type="listener", resource_id=bad.id, reason=reason)
        return msgspec.structs.replace(document, losses=(loss,))

    monkeypatch.setattr("hydria.controller.load_balancer.spec_versions.for_agent", with_a_loss)
    world.run()
    statuses = world.statuses(lb.id)
    assert (statuses[lb.id], statuses[bad.id]) == ("ACTIVE", "ERROR")
    assert reason in world.reasons(lb.id)
    assert len(world.spec(lb.id).listeners) == 1
    assert world.amphorae.documents[world.spec(lb.id).amphora_id].version == VERSION
