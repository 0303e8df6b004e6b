"""An amphora that is lost, for whatever reason, is replaced in one way: by a cause in its row."""

import pytest
from controller_world import Mouth, World

from hydria.base.errors import Retryable
from hydria.model.amphora import Amphora, Replacement
from hydria.model.load_balancer import LoadBalancer
from hydria.model.spec import VIP_INTERFACE
from hydria.store import amphorae, resources


@pytest.fixture
def served(world: World) -> LoadBalancer:
    """On host1's VFs, with a host2 beside it that has one VF of each network."""
    lb = world.load_balancer(sriov=True)
    world.member(world.pool(lb), "192.0.2.10", vnic_type="direct")
    world.run()
    world.cloud.add_host("host2", public=1, members=1)
    return lb


def amphora(world: World, lb: LoadBalancer) -> Amphora:
    (row,) = world.graph(lb.id).amphorae
    return row


def left(world: World) -> dict[str, object]:
    """All there is, but for what heartbeats tell by the way."""
    summary = world.summary()
    assert isinstance(summary, dict)
    return {name: value for name, value in summary.items() if name != "told"}


def ask(world: World, row: Amphora, cause: Replacement, reason: str = "Somebody asked for it.") -> bool:
    with world.database.write() as tx:
        return amphorae.ask_replacement(tx, row.id, cause, reason)


def speak(world: World, mouth: Mouth, seconds: float, *, carrier: bool) -> None:
    """Heartbeats, and the watch between them, for that long."""
    for _ in range(int(seconds * 4)):
        world.now += 0.25
        mouth.speak(nics=mouth.nics(carrier=carrier))
        mouth.watch.look()


def lose_link(world: World, mouth: Mouth, host: str = "host1") -> None:
    """For longer than is waited for."""
    speak(world, mouth, 0.5, carrier=True)
    world.cloud.cut_link(host, "public")
    speak(world, mouth, 4, carrier=False)


def server_calls(world: World) -> list[str]:
    return [call for call in world.cloud.interruptions.calls if call in ("create_server", "delete_server")]


def test_without_a_link_the_successor_comes_before_the_old_one_goes(world: World, served: LoadBalancer) -> None:
    before, old, mouth = left(world), amphora(world, served), Mouth(world, served.id)
    lose_link(world, mouth)
    assert amphora(world, served).replace_for is Replacement.LINK
    assert world.graph(served.id).load_balancer.operating_status == "ERROR"
    world.cloud.interruptions.calls.clear()
    world.run()
    assert server_calls(world) == ["create_server", "delete_server"]
    new = amphora(world, served)
    assert (new.id != old.id, new.cached_zone, new.replace_for) == (True, "host2", None)
    assert left(world) == before
    assert f"Amphora {old.id} is replaced by {new.id}." in world.reasons(served.id)
    after = Mouth(world, served.id)
    after.speak(nics=after.nics())
    assert world.graph(served.id).load_balancer.operating_status == "ONLINE"


def test_a_nic_that_is_gone_with_its_pf_has_no_link_either(world: World, served: LoadBalancer) -> None:
    old, mouth = amphora(world, served), Mouth(world, served.id)
    speak(world, mouth, 0.5, carrier=True)
    world.cloud.cut_link("host1", "public")
    for _ in range(16):
        world.now += 0.25
        mouth.speak(nics={mac: nic for mac, nic in mouth.nics(carrier=True).items() if nic.name != VIP_INTERFACE})
        mouth.watch.look()
    world.run()
    assert amphora(world, served).id != old.id
    assert world.status(served.id) == "ACTIVE"


def test_a_nic_that_went_before_this_controller_started_is_missed(world: World, served: LoadBalancer) -> None:
    """It cannot know that the link was ever there, so it has more patience."""
    old, mouth = amphora(world, served), Mouth(world, served.id)
    world.cloud.cut_link("host1", "public")
    for _ in range(40):
        world.now += 1
        mouth.speak(nics={mac: nic for mac, nic in mouth.nics(carrier=True).items() if nic.name != VIP_INTERFACE})
        mouth.watch.look()
    world.run()
    assert amphora(world, served).id != old.id


def test_a_link_that_is_lost_for_a_moment_is_no_reason(world: World, served: LoadBalancer) -> None:
    mouth = Mouth(world, served.id)
    speak(world, mouth, 0.5, carrier=True)
    speak(world, mouth, 2.5, carrier=False)
    speak(world, mouth, 0.5, carrier=True)
    speak(world, mouth, 2.5, carrier=False)
    assert amphora(world, served).replace_for is None
    assert world.queue.next_due() is None


def test_a_link_that_was_never_seen_has_more_time(world: World, served: LoadBalancer) -> None:
    """Else a successor on a PF without a link would be replaced by the next one at once, and so on for ever."""
    world.kill_and_restart()
    mouth = Mouth(world, served.id)
    speak(world, mouth, 29, carrier=False)
    assert amphora(world, served).replace_for is None
    speak(world, mouth, 2, carrier=False)
    assert amphora(world, served).replace_for is Replacement.LINK


def test_a_link_that_was_lost_before_the_first_heartbeat(world: World, served: LoadBalancer) -> None:
    """The agent has told of it in its answer to the spec."""
    speak(world, Mouth(world, served.id), 4, carrier=False)
    assert amphora(world, served).replace_for is Replacement.LINK


def test_while_none_can_be_had_the_old_one_serves_on_and_says_why(world: World, served: LoadBalancer) -> None:
    world.cloud.cut_link("host2", "public")
    before, old, mouth = left(world), amphora(world, served), Mouth(world, served.id)
    lose_link(world, mouth)
    started = world.now
    world.run()
    assert amphora(world, served).id == old.id
    assert left(world) == {**before, "dirty": True}
    reason = world.reasons(served.id)[0]
    assert "stays until another can be had" in reason
    assert "has no link" in reason
    assert server_calls(world).count("create_server") <= 7, "5, 10, 20, 40 s later"
    assert 60 < world.now - started < 120
    world.member(world.graph(served.id).pools[0].pool, "192.0.2.11")
    world.run()
    assert len(world.spec(served.id).pools[0].members) == 2
    assert world.status(served.id) == "ACTIVE"
    assert world.graph(served.id).load_balancer.operating_status == "ERROR"


def test_when_the_link_returns_nothing_is_replaced(world: World, served: LoadBalancer) -> None:
    world.cloud.cut_link("host2", "public")
    before, old, mouth = left(world), amphora(world, served), Mouth(world, served.id)
    lose_link(world, mouth)
    world.run()
    world.cloud.mend_link("host1", "public")
    speak(world, mouth, 0.25, carrier=True)
    world.cloud.interruptions.calls.clear()
    world.cloud.mend_link("host2", "public")
    world.run()
    assert server_calls(world) == []
    assert (amphora(world, served).id, amphora(world, served).replace_for) == (old.id, None)
    assert world.reasons(served.id)[0] == f"Amphora {old.id} has a link again."
    speak(world, mouth, 0.5, carrier=True)
    assert world.graph(served.id).load_balancer.operating_status == "ONLINE"
    world.now += 300
    world.run()
    assert left(world) == before


def test_a_link_that_returned_while_no_controller_was_there(world: World, served: LoadBalancer) -> None:
    world.cloud.cut_link("host2", "public")
    old = amphora(world, served)
    lose_link(world, Mouth(world, served.id))
    world.run()
    world.kill_and_restart()
    mouth = Mouth(world, served.id)
    mouth.sequence = 1000
    speak(world, mouth, 0.5, carrier=True)
    world.now += 300
    world.run()
    assert (amphora(world, served).id, amphora(world, served).replace_for) == (old.id, None)


def test_what_comes_free_later_is_taken(world: World, served: LoadBalancer) -> None:
    world.cloud.cut_link("host2", "public")
    lose_link(world, Mouth(world, served.id))
    world.run()
    world.cloud.mend_link("host2", "public")
    world.now += 300
    world.run()
    assert amphora(world, served).cached_zone == "host2"


def test_a_successor_without_a_link_is_given_back(world: World, served: LoadBalancer) -> None:
    """In front of Nova, which knows nothing of links, it may even come to sit on the same PF."""
    world.cloud.heeds_links = False
    world.cloud.cut_link("host2", "public")
    old = amphora(world, served)
    lose_link(world, Mouth(world, served.id))
    world.cloud.interruptions.calls.clear()
    started = world.now
    world.run()
    assert amphora(world, served).id == old.id
    assert len(world.cloud.servers) == 1
    calls = server_calls(world)
    assert calls.count("create_server") == calls.count("delete_server") <= 6
    assert world.now - started > 60
    assert any("has no link at its VIP's NIC either" in reason for reason in world.reasons(served.id))


def test_a_link_that_returns_while_the_successor_starts(
    world: World, served: LoadBalancer, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, old = left(world), amphora(world, served)
    lose_link(world, Mouth(world, served.id))
    put_spec = world.amphorae.put_spec

    def withdrawn_meanwhile(*arguments: object) -> object:
        with world.database.write() as tx:
            amphorae.withdraw_replacement(tx, old.id, Replacement.LINK, "It has a link again.")
        return put_spec(*arguments)  # type: ignore[arg-type] # passed on as they came

    monkeypatch.setattr(world.amphorae, "put_spec", withdrawn_meanwhile)
    world.run()
    assert amphora(world, served).id == old.id
    assert left(world) == before


def test_a_dead_one_goes_first_because_its_vf_may_be_the_last(world: World, served: LoadBalancer) -> None:
    world.cloud.add_host("host2")
    world.cloud.hosts["host1"].vfs = dict.fromkeys(world.cloud.hosts["host1"].vfs, 1)
    before, old = left(world), amphora(world, served)
    world.cloud.kill_server(old.compute_id or "")
    assert ask(world, old, Replacement.SERVER)
    world.cloud.interruptions.calls.clear()
    world.run()
    assert server_calls(world) == ["delete_server", "create_server"]
    assert left(world) == before


def test_one_that_was_lost_comes_back_by_itself_when_there_is_a_host_again(world: World, served: LoadBalancer) -> None:
    """As after a restart of the only machine, whose PFs appear a little later than its services."""
    before = left(world)
    world.cloud.kill_server(amphora(world, served).compute_id or "")
    hosts = {host.name: host.vfs for host in world.cloud.hosts.values()}
    for host in world.cloud.hosts.values():
        host.vfs = {}
    world.loop.resync(0)
    world.run()
    assert world.status(served.id) == "ERROR"
    for name, vfs in hosts.items():
        world.cloud.hosts[name].vfs = vfs
    world.now += 80
    world.run()
    assert world.status(served.id) == "ACTIVE"
    assert left(world) == before


def test_one_that_dies_while_its_successor_is_awaited(world: World, served: LoadBalancer) -> None:
    world.cloud.cut_link("host2", "public")
    old = amphora(world, served)
    lose_link(world, Mouth(world, served.id))
    world.run()
    world.cloud.mend_link("host1", "public")
    world.cloud.kill_server(old.compute_id or "")
    assert ask(world, old, Replacement.SERVER), "worse than having no link"
    assert not ask(world, old, Replacement.LINK)
    world.run()
    new = amphora(world, served)
    assert (new.id != old.id, new.cached_zone, new.replace_for) == (True, "host1", None)
    assert len(world.cloud.servers) == 1


def test_failover_takes_what_the_old_one_had_afterwards(world: World, served: LoadBalancer) -> None:
    """There is no second VF for the member: for a moment it is not served, and then it is."""
    world.cloud.add_host("host2", public=1)
    world.cloud.hosts["host1"].vfs = dict.fromkeys(world.cloud.hosts["host1"].vfs, 1)
    old = amphora(world, served)
    ask(world, old, Replacement.FAILOVER)
    world.run()
    new = amphora(world, served)
    assert (new.id != old.id, new.cached_zone) == (True, "host2")
    assert len(world.cloud.servers) == 1
    assert world.status(served.id) == "ACTIVE"
    assert any("no free VF on physical network 'members'" in reason for reason in world.reasons(served.id))


def test_a_late_heartbeat_has_the_server_looked_at(world: World, served: LoadBalancer) -> None:
    mouth, old = Mouth(world, served.id), amphora(world, served)
    speak(world, mouth, 0.5, carrier=True)
    world.cloud.interruptions.calls.clear()
    for _ in range(40):
        world.now += 0.1
        mouth.watch.look()
    assert world.cloud.interruptions.calls == ["server"], "it lives: asked once in an interval"
    assert amphora(world, served).replace_for is None
    world.cloud.kill_server(old.compute_id or "")
    for _ in range(20):
        world.now += 0.1
        mouth.watch.look()
    assert amphora(world, served).replace_for is Replacement.SERVER
    assert not world.vitals.lost(old.id), "long before its silence would have told"
    world.run()
    assert amphora(world, served).id != old.id


def test_a_cloud_that_does_not_answer_kills_nobody(world: World, served: LoadBalancer) -> None:
    mouth = Mouth(world, served.id)
    world.now += 5
    world.cloud.interruptions.fail["server"].append(Retryable("compute GET /servers: no answer"))
    mouth.watch.look()
    assert amphora(world, served).replace_for is None


def test_few_of_many_without_a_link_are_replaced_at_a_time(world: World) -> None:
    world.cloud.add_host("host1", public=20)
    lbs = [world.load_balancer(sriov=True) for _ in range(10)]
    world.run()
    world.cloud.add_host("host2", public=20)
    world.cloud.cut_link("host1", "public")
    for lb in lbs:
        ask(world, amphora(world, lb), Replacement.LINK)
    for _ in range(40):
        if not world.loop.step():
            break
    assert sorted(amphora(world, lb).cached_zone or "" for lb in lbs) == ["host1"] * 2 + ["host2"] * 8
    world.run()
    assert {amphora(world, lb).cached_zone for lb in lbs} == {"host2"}


@pytest.mark.parametrize("cause", Replacement)
def test_replacements_are_counted_by_cause(world: World, served: LoadBalancer, cause: Replacement) -> None:
    old = amphora(world, served)
    world.amphorae.silent.add(old.id)
    ask(world, old, cause)
    world.run()
    assert amphora(world, served).id != old.id
    counts = {
        each: world.outside.metrics.registry.get_sample_value(
            "hydria_amphora_replacements_total", {"cause": each.lower()}
        )
        for each in Replacement
    }
    assert counts == {each: float(each is cause) for each in Replacement}


def test_what_is_gone_cannot_be_replaced(world: World, served: LoadBalancer) -> None:
    row = amphora(world, served)
    with world.database.write() as tx:
        assert not amphorae.ask_replacement(tx, world.new_id(), Replacement.FAILOVER, "x")
        resources.update(tx, Amphora, row.id, status="PENDING_DELETE")
        assert not amphorae.ask_replacement(tx, row.id, Replacement.FAILOVER, "x")
    assert world.queue.next_due() is None
    assert "x" not in world.reasons(served.id)
