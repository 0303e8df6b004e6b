"""`hydria amphora` against a running API and controller: what it says, and that it replaces few at a time."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openstack
import pytest
from amphora_world import World, a_world, await_condition, environment
from typer.testing import CliRunner, Result

from hydria.base import process
from hydria.base.errors import HydriaError
from hydria.cli.amphora import command, rollout
from hydria.drivers.fakes import id_of
from hydria.model.amphora import Amphora
from hydria.store import resources

# The SDK says of its own parts that they will go.
pytestmark = pytest.mark.filterwarnings("ignore:.*:PendingDeprecationWarning")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("installation")) as made:
        yield made


@pytest.fixture
def world(installation: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Without load balancers, but with an image."""
    monkeypatch.setattr(rollout, "POLL", 0.02)
    installation.cloud.images = {"amphora": "none-yet"}
    installation.upload("amphora-1", hydria_version="0.1.0")
    installation.pending.clear()
    yield installation
    for lb in installation.call("GET", "/lbaas/loadbalancers", user="admin"):
        installation.call("DELETE", f"/lbaas/loadbalancers/{lb['id']}?cascade=true", user="admin")
    await_condition("all is gone", lambda: not installation.call("GET", "/lbaas/loadbalancers", user="admin"))


def run(world: World, *arguments: str, cloud: str = "admin") -> Result:
    return CliRunner().invoke(command.app, [*arguments], env=environment(world, cloud))


def listed(world: World, *options: str) -> list[Any]:
    done = run(world, "list", "--json", *options)
    assert done.exit_code == 0, done.output
    return list(json.loads(done.stdout))


def test_list(world: World) -> None:
    (old_lb,) = world.load_balancers(1)
    first = world.cloud.images["amphora"]
    second = world.upload("amphora-2", hydria_version="0.2.0")
    (new_lb,) = world.load_balancers(1)
    old, new = listed(world)
    assert (old["loadbalancer_id"], old["image_id"], old["image_name"]) == (old_lb, first, "amphora-1")
    assert (old["hydria_version"], old["outdated"]) == ("0.1.0", True)
    assert old["why"] == f"new ones boot from amphora-2 0.2.0 ({second})"
    assert (old["status"], old["role"]) == ("ALLOCATED", "STANDALONE")
    assert (new["loadbalancer_id"], new["image_id"], new["outdated"]) == (new_lb, second, False)
    assert listed(world, "--outdated") == [old]
    table = run(world, "list").stdout
    assert all(text in table for text in (old["id"], new["id"], old_lb, "amphora-1", "0.1.0", old["why"]))


def test_list_of_none(world: World) -> None:
    assert listed(world) == []


def test_a_flavors_tag_counts(world: World) -> None:
    """Not the newest of all images, but the newest that a new amphora would boot from."""
    tuned = world.upload("tuned-1", tag="tuned")
    flavor = world.flavor('{"amp_image_tag": "tuned"}')
    world.load_balancers(1, flavor_id=flavor)
    world.load_balancers(1, flavor_id=world.flavor("{}"))
    plain = world.upload("amphora-2")
    of_tag, of_default = listed(world)
    assert (of_tag["image_id"], of_tag["outdated"]) == (tuned, False)
    assert (of_default["outdated"], plain in of_default["why"]) == (True, True)
    newer = world.upload("tuned-2", tag="tuned")
    assert newer in listed(world)[0]["why"]
    (only,) = listed(world, "--outdated", "--tag", "tuned")[1:]
    assert newer in only["why"], "--tag is that of load balancers whose flavor names none"


def test_without_any_image_nothing_is_outdated(world: World) -> None:
    world.load_balancers(1)
    (one,) = listed(world, "--tag", "nobody-has-it")
    assert (one["outdated"], "no active image has the tag nobody-has-it" in one["why"]) == (False, True)


def test_an_image_that_was_deleted(world: World) -> None:
    world.load_balancers(1)
    first = world.cloud.images["amphora"]
    world.upload("amphora-2")
    world.users["admin"].delete(f"/image/v2/images/{first}").raise_for_status()
    (one,) = listed(world)
    assert (one["image_id"], one["image_name"], one["outdated"]) == (first, "", True)


@pytest.mark.parametrize("at_a_time", [1, 2])
def test_never_more_than_so_many_at_a_time(world: World, at_a_time: int) -> None:
    world.load_balancers(5)
    old = {one["id"] for one in world.amphorae()}
    newest = world.upload("amphora-2")
    world.pending.clear()
    done = run(world, "failover", "--outdated", "--yes", "--at-a-time", str(at_a_time))
    assert done.exit_code == 0, done.output
    assert done.stdout == "5 amphorae are replaced.\n"
    assert world.images_in_use() == {newest}
    assert not old & {one["id"] for one in world.amphorae()}
    assert len(world.pending) == 10, "5 servers made, 5 deleted"
    assert max(world.pending) == at_a_time
    assert all(f"amphora {id_} is replaced" in done.stderr for id_ in old)


def test_once_more_there_is_nothing_to_do(world: World) -> None:
    world.load_balancers(1)
    world.upload("amphora-2")
    assert run(world, "failover", "--outdated", "--yes").stdout == "1 amphorae are replaced.\n"
    world.pending.clear()
    done = run(world, "failover", "--outdated", "--yes")
    assert (done.exit_code, done.stdout) == (0, "There is nothing to replace: all amphorae are up to date.\n")
    assert world.pending == []


def test_those_that_are_named(world: World) -> None:
    world.load_balancers(3)
    one, two, three = (each["id"] for each in world.amphorae())
    done = run(world, "failover", one, three, "--yes")
    assert (done.exit_code, done.stdout) == (0, "2 amphorae are replaced.\n")
    there = {each["id"] for each in world.amphorae()}
    assert two in there
    assert not there & {one, three}
    again = run(world, "failover", one, two, "--yes")
    assert again.exit_code == 0
    assert f"Amphora {one} is not there, or not any more." in again.stderr
    assert two not in {each["id"] for each in world.amphorae()}


def test_the_first_failure_ends_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which and why, and leaves the others alone."""
    failing, *others = world.load_balancers(3)
    before = {one["loadbalancer_id"]: one["id"] for one in world.amphorae()}
    world.upload("amphora-2")
    monkeypatch.setattr(world.cloud, "flavors", set())
    done = run(world, "failover", "--outdated", "--yes")
    assert isinstance(done.exception, HydriaError)
    text = str(done.exception)
    assert text.startswith("0 amphorae are replaced, 2 were not begun.")
    assert f"Load balancer {failing}: it is ERROR, and amphora {before[failing]} is still to be replaced" in text
    assert "Flavor amphora could not be found" in text
    assert {one["loadbalancer_id"]: one["id"] for one in world.amphorae()} == before
    assert (world.status(failing), {world.status(lb) for lb in others}) == ("ERROR", {"ACTIVE"})
    monkeypatch.undo()
    monkeypatch.setattr(rollout, "POLL", 0.02)
    assert run(world, "failover", "--outdated", "--yes").stdout == "3 amphorae are replaced.\n"
    assert world.status(failing) == "ACTIVE"


def test_interrupted_and_begun_again(world: World) -> None:
    """As a process of its own, by SIGINT: what has begun ends by itself, the rest is done the next time."""
    balancers = world.load_balancers(3)
    newest = world.upload("amphora-2")
    world.cloud.build_polls = 20
    arguments = [sys.executable, "-m", "hydria.cli.main", "amphora", "failover", "--outdated", "--yes"]
    running = process.start(arguments, stderr=process.PIPE, environment=environment(world))
    await_condition("one has begun", lambda: world.pending_updates() == 1, 30.0)
    os.kill(running.pid, signal.SIGINT)
    said = running.communicate(timeout=30)[1].decode()
    world.cloud.build_polls = 1
    assert running.returncode == 130, said
    assert "Interrupted: 0 amphorae are replaced, 2 were not begun." in said
    assert any(f"left to themselves: {one}." in said for one in balancers)
    world.pending.clear()
    assert run(world, "failover", "--outdated", "--yes", "--at-a-time", "1").exit_code == 0
    assert world.images_in_use() == {newest}
    assert max(world.pending) == 1, "also not together with the one that was under way"


@pytest.mark.parametrize(
    ("arguments", "cloud", "text"),
    [
        pytest.param(("failover",), "admin", "Name amphorae, or say --outdated", id="nothing"),
        pytest.param(("failover", "x", "--outdated"), "admin", "one of both", id="both"),
        pytest.param(("failover", "x", "--yes"), "admin", "None of these amphorae is there", id="unknown"),
        pytest.param(("failover", "--outdated"), "admin", "say --yes", id="nobody to ask"),
        pytest.param(("list",), "demo", "Listing amphorae: 403", id="not an operator"),
        pytest.param(("list",), "nobody", "Logging in: Cloud nobody was not found", id="no such cloud"),
    ],
)
def test_refusals(world: World, arguments: tuple[str, ...], cloud: str, text: str) -> None:
    world.load_balancers(1)
    world.upload("amphora-2")
    before = world.amphorae()
    done = run(world, *arguments, cloud=cloud)
    assert isinstance(done.exception, HydriaError)
    assert text in str(done.exception)
    assert world.amphorae() == before


def test_nobody_answers(world: World, tmp_path: Path) -> None:
    config = world.clouds_yaml.read_text().replace("127.0.0.1", "127.0.0.9")
    world_file = tmp_path / "clouds.yaml"
    world_file.write_text(config)
    nowhere = {**environment(world), "OS_CLIENT_CONFIG_FILE": str(world_file)}
    done = CliRunner().invoke(command.app, ["list"], env=nowhere)
    assert isinstance(done.exception, HydriaError)
    assert "127.0.0.9" in str(done.exception)


def test_a_load_balancer_that_is_deleted_meanwhile(world: World) -> None:
    """Its amphora is skipped."""
    kept, deleted = world.load_balancers(2)
    world.upload("amphora-2")
    create_server = world.cloud.create_server

    def delete_the_other(request: Any) -> Any:
        world.call("DELETE", f"/lbaas/loadbalancers/{deleted}")
        world.cloud.create_server = create_server
        return create_server(request)

    world.cloud.create_server = delete_the_other
    done = run(world, "failover", "--outdated", "--yes")
    assert (done.exit_code, done.stdout) == (0, "1 amphorae are replaced, 1 were gone already.\n")
    assert [one["loadbalancer_id"] for one in world.amphorae()] == [kept]
    assert id_of("network", "public") in world.cloud.networks


def typed(world: World, line: str) -> Any:
    """What `openstack loadbalancer LINE` prints, as JSON where it prints any."""
    program = str(Path(sys.executable).with_name("openstack"))
    done = process.run([program, "loadbalancer", *line.split()], environment=environment(world), timeout=60)
    return json.loads(done.stdout) if "-f json" in line else done.stdout


@pytest.mark.client
def test_every_command_of_the_official_client(world: World) -> None:
    (lb,) = world.load_balancers(1)
    first = typed(world, f"amphora list --loadbalancer {lb} -f json")[0]["id"]
    assert typed(world, f"amphora show {first} -f json")["loadbalancer_id"] == lb
    assert typed(world, f"amphora stats show {first} -f json")["total_connections"] == 0
    typed(world, f"amphora configure {first} --wait")
    assert [one["id"] for one in world.amphorae()] == [first]
    typed(world, f"failover {lb} --wait")
    (second,) = (one["id"] for one in world.amphorae())
    typed(world, f"amphora failover {second} --wait")
    (third,) = (one["id"] for one in world.amphorae())
    assert len({first, second, third}) == 3
    with world.database.write() as tx:
        assert resources.update(tx, Amphora, third, status="ERROR")
    typed(world, f"amphora delete {third} --wait")
    await_condition("another one serves", lambda: [one["status"] for one in world.amphorae()] == ["ALLOCATED"])
    assert third not in {one["id"] for one in world.amphorae()}


def test_every_method_of_the_sdk(world: World) -> None:
    (lb,) = world.load_balancers(1)
    login = json.loads(world.clouds_yaml.read_text())["clouds"]["admin"]
    with openstack.connect(load_yaml_config=False, load_envvars=False, **login) as cloud:
        service = cloud.load_balancer
        (first,) = service.amphorae(loadbalancer_id=lb)
        assert service.get_amphora(first.id).compute_id == first.compute_id
        assert service.find_amphora(first.id).id == first.id
        service.configure_amphora(first.id)
        service.wait_for_load_balancer(lb, interval=0.05)
        service.failover_amphora(first.id)
        service.wait_for_load_balancer(lb, interval=0.05)
        service.failover_load_balancer(lb)
        service.wait_for_load_balancer(lb, interval=0.05)
        (last,) = service.amphorae()
        assert last.id != first.id
        assert service.get_load_balancer_statistics(lb).total_connections == 0
