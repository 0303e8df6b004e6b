"""A failover that somebody asked for: the new amphora first, and ERROR with a reason where there is none to be had."""

import pytest
from controller_world import Mouth, World

from hydria.model.amphora import Amphora, Replacement
from hydria.model.load_balancer import LoadBalancer
from hydria.store import amphorae, resources


@pytest.fixture
def served(world: World) -> LoadBalancer:
    """On host1's only VFs, with a host2 beside it that has as many."""
    world.cloud.add_host("host1", public=1, members=1)
    lb = world.load_balancer(sriov=True)
    world.member(world.pool(lb), "192.0.2.10", vnic_type="direct")
    world.run()
    world.cloud.add_host("host2", public=1, members=1)
    return lb


def amphora(world: World, lb: LoadBalancer) -> Amphora:
    (row,) = world.graph(lb.id).amphorae
    return row


def server_calls(world: World) -> list[str]:
    return [call for call in world.cloud.interruptions.calls if call in ("create_server", "delete_server")]


def statuses_seen(world: World, lb: LoadBalancer, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What anybody who looks sees while a server is made, a spec is put and a server goes."""
    seen: list[str] = []
    for owner, name in ((world.cloud, "create_server"), (world.amphorae, "put_spec"), (world.cloud, "delete_server")):
        call = getattr(owner, name)

        def looked(*arguments: object, call: object = call) -> object:
            seen.append(world.status(lb.id))
            return call(*arguments)  # type: ignore[operator] # a method

        monkeypatch.setattr(owner, name, looked)
    return seen


def test_the_new_one_first_and_pending_until_it_serves(
    world: World, served: LoadBalancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, seen = amphora(world, served), statuses_seen(world, served, monkeypatch)
    world.cloud.interruptions.calls.clear()
    world.fail_over(served.id)
    world.run()
    assert server_calls(world) == ["create_server", "delete_server"]
    assert len(seen) >= 4
    assert set(seen) == {"PENDING_UPDATE"}
    new = amphora(world, served)
    assert (new.id != old.id, new.cached_zone, new.replace_for) == (True, "host2", None)
    assert (world.status(served.id), len(world.cloud.servers)) == ("ACTIVE", 1)
    reasons = world.reasons(served.id)
    assert f"Amphora {old.id} is to be replaced: a failover was asked for." in reasons
    assert f"Amphora {old.id} is replaced by {new.id}." in reasons


def test_the_next_amphora_boots_from_the_newest_image(world: World, served: LoadBalancer) -> None:
    """That of a moment ago is not remembered: an upload and then a failover is how images are changed."""
    assert amphora(world, served).image_id == "image-1"
    world.cloud.images["amphora"] = "image-2"
    world.fail_over(served.id)
    world.run()
    assert amphora(world, served).image_id == "image-2"


@pytest.mark.parametrize("moment", ["create_server", "info", "put_spec"])
def test_asked_while_the_first_one_is_being_made(world: World, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That one is replaced too, or else was not there yet; there is one in the end."""
    lb = world.load_balancer()
    owner = world.cloud if moment == "create_server" else world.amphorae
    call = getattr(owner, moment)

    def asked_meanwhile(*arguments: object) -> object:
        monkeypatch.undo()
        (row,) = world.graph(lb.id).amphorae
        asked.append(row.id)
        world.fail_over(lb.id)
        return call(*arguments)

    asked: list[str] = []
    monkeypatch.setattr(owner, moment, asked_meanwhile)
    world.run()
    assert asked
    assert amphora(world, lb).id not in asked
    assert (world.status(lb.id), len(world.cloud.servers)) == ("ACTIVE", 1)
    assert world.queue.next_due() is None


def test_asked_again_while_it_is_under_way(world: World, served: LoadBalancer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It joins: the successor stays."""
    put_spec = world.amphorae.put_spec

    def asked_meanwhile(*arguments: object) -> object:
        monkeypatch.undo()
        world.fail_over(served.id)
        return put_spec(*arguments)  # type: ignore[arg-type] # passed on as they came

    monkeypatch.setattr(world.amphorae, "put_spec", asked_meanwhile)
    world.cloud.interruptions.calls.clear()
    world.fail_over(served.id)
    world.run()
    assert server_calls(world) == ["create_server", "delete_server"]
    assert (world.status(served.id), amphora(world, served).cached_zone) == ("ACTIVE", "host2")


class TestNoneCanBeHad:
    @pytest.fixture
    def full(self, world: World, served: LoadBalancer) -> LoadBalancer:
        world.cloud.hosts["host2"].vfs = {}
        return served

    def test_it_is_an_error_with_a_reason_and_the_old_one_serves_on(self, world: World, full: LoadBalancer) -> None:
        old, spec = amphora(world, full), world.spec(full.id)
        world.fail_over(full.id)
        world.run()
        assert world.status(full.id) == "ERROR"
        reason = world.reasons(full.id)[0]
        assert f"Amphora {old.id} serves on, for another could not be had: " in reason
        assert "no free VF on physical network" in reason
        assert (amphora(world, full).id, amphora(world, full).replace_for) == (old.id, None)
        assert world.spec(full.id).interfaces == spec.interfaces
        assert len(world.cloud.servers) == 1

    def test_it_is_not_tried_again_by_itself(self, world: World, full: LoadBalancer) -> None:
        world.fail_over(full.id)
        world.run()
        world.cloud.interruptions.calls.clear()
        world.now += 80
        world.run()
        assert server_calls(world) == []
        assert world.status(full.id) == "ACTIVE", "the old one serves all of it"
        assert world.queue.next_due() is None

    def test_what_was_asked_meanwhile_is_served(self, world: World, full: LoadBalancer) -> None:
        world.fail_over(full.id)
        member = world.member(world.graph(full.id).pools[0].pool, "192.0.2.11", vnic_type="direct")
        world.run()
        statuses = world.statuses(full.id)
        assert (statuses.pop(full.id), set(statuses.values())) == ("ERROR", {"ACTIVE"})
        assert member.id in {one.id for pool in world.spec(full.id).pools for one in pool.members}

    def test_asked_again_it_is_tried_again(self, world: World, full: LoadBalancer) -> None:
        old = amphora(world, full)
        world.fail_over(full.id)
        world.run()
        world.cloud.add_host("host2", public=1, members=1)
        world.fail_over(full.id)
        world.run()
        assert amphora(world, full).id != old.id
        assert world.status(full.id) == "ACTIVE"

    def test_asked_again_while_it_fails_it_is_tried_again(
        self, world: World, full: LoadBalancer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, put_spec = amphora(world, full), world.amphorae.put_spec

        def asked_meanwhile(*arguments: object) -> object:
            monkeypatch.undo()
            world.cloud.add_host("host2", public=1, members=1)
            world.fail_over(full.id)
            return put_spec(*arguments)  # type: ignore[arg-type] # passed on as they came

        monkeypatch.setattr(world.amphorae, "put_spec", asked_meanwhile)
        world.fail_over(full.id)
        world.run()
        assert amphora(world, full).id != old.id
        assert world.status(full.id) == "ACTIVE"

    def test_one_that_loses_its_link_as_well_is_missed(self, world: World, full: LoadBalancer) -> None:
        """The failover took the place of what was known of its link."""
        mouth = Mouth(world, full.id)

        def speak(seconds: int) -> None:
            for _ in range(seconds * 4):
                world.now += 0.25
                mouth.speak(nics=mouth.nics(carrier=world.cloud.hosts["host1"].cut == set()))
                mouth.watch.look()

        speak(1)
        world.cloud.cut_link("host1", "public")
        speak(5)
        assert amphora(world, full).replace_for is Replacement.LINK
        world.fail_over(full.id)
        world.run()
        assert amphora(world, full).replace_for is None
        speak(35)
        assert amphora(world, full).replace_for is Replacement.LINK


def test_a_successor_without_a_link_is_given_back(world: World, served: LoadBalancer) -> None:
    world.cloud.heeds_links = False
    world.cloud.cut_link("host2", "public")
    old = amphora(world, served)
    world.cloud.interruptions.calls.clear()
    world.fail_over(served.id)
    world.run()
    assert server_calls(world) == ["create_server", "delete_server"]
    assert amphora(world, served).id == old.id
    assert world.status(served.id) == "ERROR"
    assert "has no link at its VIP's NIC" in world.reasons(served.id)[0]


def silence(world: World, row: Amphora) -> None:
    """For longer than is waited for."""
    world.vitals.expect([row.id])
    world.amphorae.silent.add(row.id)
    world.now += world.config.controller.heartbeat_timeout + 1


def test_a_silent_one_goes_first_because_its_vf_may_be_the_last(world: World, served: LoadBalancer) -> None:
    world.cloud.hosts["host2"].vfs = {}
    old = amphora(world, served)
    silence(world, old)
    world.cloud.interruptions.calls.clear()
    world.fail_over(served.id)
    world.run()
    assert server_calls(world) == ["delete_server", "create_server"]
    assert amphora(world, served).id != old.id
    assert world.status(served.id) == "ACTIVE"


def test_so_does_a_dead_one(world: World, served: LoadBalancer) -> None:
    world.cloud.hosts["host2"].vfs = {}
    old = amphora(world, served)
    world.cloud.kill_server(old.compute_id or "")
    world.cloud.interruptions.calls.clear()
    world.fail_over(served.id)
    world.run()
    assert server_calls(world) == ["delete_server", "create_server"]
    assert amphora(world, served).id != old.id
    assert world.status(served.id) == "ACTIVE"


@pytest.mark.parametrize("first", [Replacement.SILENCE, Replacement.LINK])
def test_it_is_done_although_what_was_wrong_has_gone_away(
    world: World, served: LoadBalancer, first: Replacement
) -> None:
    old = amphora(world, served)
    mouth = Mouth(world, served.id)
    mouth.speak(nics=mouth.nics())
    with world.database.write() as tx:
        assert amphorae.ask_replacement(tx, old.id, first, "It looked bad.")
    world.fail_over(served.id)
    with world.database.write() as tx:
        assert not amphorae.ask_replacement(tx, old.id, first, "It looks bad.")
    world.run()
    assert amphora(world, served).id != old.id


def test_a_load_balancer_in_error_is_mended_by_it(world: World) -> None:
    lb = world.load_balancer(sriov=True)
    world.cloud.add_host("host1", public=0)
    world.run()
    assert world.status(lb.id) == "ERROR"
    world.cloud.add_host("host1", public=1)
    world.fail_over(lb.id)
    world.run()
    assert world.status(lb.id) == "ACTIVE"


def test_one_in_error_that_was_deleted_goes_and_another_comes(world: World, served: LoadBalancer) -> None:
    old = amphora(world, served)
    with world.database.write() as tx:
        resources.update(tx, Amphora, old.id, status="ERROR")
        (row,) = amphorae.of_load_balancer(tx, served.id)
        amphorae.remove(tx, row)
    world.run()
    assert amphora(world, served).id != old.id
    assert len(world.cloud.servers) == 1
    assert world.status(served.id) == "ACTIVE"
