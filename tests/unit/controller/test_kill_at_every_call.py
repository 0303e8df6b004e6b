"""The controller is killed at its n-th call of the cloud or an agent, n = 1, 2, ..., before the call takes effect or
after. A fresh process then has to end where an undisturbed one does: same ports, servers, specs and statuses."""

from collections.abc import Callable

import pytest
from controller_world import World

from hydria.model.amphora import Replacement
from hydria.model.load_balancer import LoadBalancer
from hydria.store import amphorae

Story = Callable[[World], None]


def _served(world: World) -> LoadBalancer:
    """One that serves two members through two networks."""
    lb = world.load_balancer(sriov=True)
    world.listener(lb)
    pool = world.pool(lb)
    world.member(pool, "192.0.2.10", vnic_type="direct")
    world.member(pool, "198.51.100.10", "other")
    world.run()
    return lb


def create(world: World) -> None:
    world.load_balancer(sriov=True)


def create_a_graph(world: World) -> None:
    lb = world.load_balancer(sriov=True)
    world.listener(lb)
    pool = world.pool(lb)
    world.member(pool, "192.0.2.10", vnic_type="direct")
    world.member(pool, "198.51.100.10", "other")


def create_where_no_host_is_valid(world: World) -> None:
    world.cloud.add_host("host1", public=0)
    world.load_balancer(sriov=True)


def create_where_nftables_is_missing(world: World) -> None:
    world.amphorae.nftables = False
    world.load_balancer(sriov=True)


def add_a_member_on_a_new_network(world: World) -> None:
    lb = world.load_balancer(sriov=True)
    pool = world.pool(lb)
    world.run()
    world.member(pool, "192.0.2.10", vnic_type="direct")


def add_a_member_whose_vf_is_refused(world: World) -> None:
    world.cloud.add_host("host1", public=1, members=0)
    add_a_member_on_a_new_network(world)


def exchange_a_members_network(world: World) -> None:
    lb = _served(world)
    pool = world.graph(lb.id).pools[0]
    for member in pool.members:
        world.remove(lb.id, member)
    world.member(pool.pool, "198.51.100.11", "other", vnic_type="direct")


def delete(world: World) -> None:
    world.delete(_served(world).id)


def _ordinary(world: World) -> LoadBalancer:
    """One that serves through normal ports, which have a security group."""
    lb = world.load_balancer()
    world.listener(lb, allowed_cidrs=["192.0.2.0/24", "2001:db8::/32"])
    world.member(world.pool(lb), "192.0.2.10")
    world.run()
    return lb


def create_an_ordinary_one(world: World) -> None:
    lb = world.load_balancer()
    world.listener(lb)
    world.listener(lb, 81, allowed_cidrs=["192.0.2.0/24"])


def change_who_may_come(world: World) -> None:
    lb = _ordinary(world)
    (listener,) = world.graph(lb.id).listeners
    world.change(lb.id, listener, allowed_cidrs=["198.51.100.0/24"])
    world.listener(lb, 81)


def let_its_user_say_who_may_come(world: World) -> None:
    lb = _ordinary(world)
    world.cloud.existing.add(("security-groups", "of-the-user"))
    world.change(lb.id, world.graph(lb.id).load_balancer, vip_sg_ids=["of-the-user"])


def delete_an_ordinary_one(world: World) -> None:
    world.delete(_ordinary(world).id)


def replace_a_dead_server_of_an_ordinary_one(world: World) -> None:
    _ordinary(world)
    (server,) = world.cloud.servers
    world.cloud.kill_server(server.id)
    world.loop.resync(0)


def replace_a_dead_server(world: World) -> None:
    _served(world)
    (server,) = world.cloud.servers
    world.cloud.kill_server(server.id)
    world.loop.resync(0)


def replace_without_a_valid_host(world: World) -> None:
    _served(world)
    (server,) = world.cloud.servers
    world.cloud.kill_server(server.id)
    world.cloud.hosts["host1"].vfs = {}
    world.loop.resync(0)


def _without_a_link(world: World) -> None:
    lb = world.load_balancer(sriov=True)
    world.member(world.pool(lb), "192.0.2.10", vnic_type="direct")
    world.run()
    world.cloud.add_host("host2", public=1, members=1)
    world.cloud.cut_link("host1", "public")
    (row,) = world.graph(lb.id).amphorae
    with world.database.write() as tx:
        amphorae.ask_replacement(tx, row.id, Replacement.LINK, "It has no link.")


def replace_one_without_a_link(world: World) -> None:
    _without_a_link(world)


def replace_one_without_a_link_where_none_can_be_had(world: World) -> None:
    _without_a_link(world)
    world.cloud.hosts["host2"].vfs = {}


def replace_one_that_died_while_its_successor_is_awaited(world: World) -> None:
    _without_a_link(world)
    (server,) = world.cloud.servers
    world.cloud.kill_server(server.id)


def replace_a_silent_one(world: World) -> None:
    lb = world.load_balancer(sriov=True)
    world.run()
    (row,) = world.graph(lb.id).amphorae
    world.amphorae.silent.add(row.id)
    with world.database.write() as tx:
        amphorae.ask_replacement(tx, row.id, Replacement.SILENCE, "It is silent.")


def _failover(world: World, *, hosts: int = 1) -> LoadBalancer:
    """Asked for, with so many hosts that have VFs for a successor."""
    lb = world.load_balancer(sriov=True)
    world.member(world.pool(lb), "192.0.2.10", vnic_type="direct")
    world.cloud.add_host("host1", public=1, members=1)
    world.run()
    if hosts:
        world.cloud.add_host("host2", public=1, members=1)
    world.fail_over(lb.id)
    return lb


def fail_over(world: World) -> None:
    _failover(world)


def fail_over_while_a_member_is_added(world: World) -> None:
    lb = _failover(world)
    world.member(world.graph(lb.id).pools[0].pool, "192.0.2.11", vnic_type="direct")


def fail_over_where_none_can_be_had(world: World) -> None:
    _failover(world, hosts=0)


def fail_over_to_one_without_a_link(world: World) -> None:
    world.cloud.heeds_links = False
    _failover(world)
    world.cloud.cut_link("host2", "public")


def fail_over_a_silent_one(world: World) -> None:
    lb = _failover(world)
    (row,) = world.graph(lb.id).amphorae
    world.amphorae.silent.add(row.id)


STORIES: list[Story] = [
    create,
    create_a_graph,
    create_where_no_host_is_valid,
    create_where_nftables_is_missing,
    add_a_member_on_a_new_network,
    add_a_member_whose_vf_is_refused,
    exchange_a_members_network,
    delete,
    create_an_ordinary_one,
    change_who_may_come,
    let_its_user_say_who_may_come,
    delete_an_ordinary_one,
    replace_a_dead_server_of_an_ordinary_one,
    replace_a_dead_server,
    replace_without_a_valid_host,
    replace_one_without_a_link,
    replace_one_without_a_link_where_none_can_be_had,
    replace_one_that_died_while_its_successor_is_awaited,
    replace_a_silent_one,
    fail_over,
    fail_over_while_a_member_is_added,
    fail_over_where_none_can_be_had,
    fail_over_to_one_without_a_link,
    fail_over_a_silent_one,
]

ENOUGH = {replace_one_without_a_link_where_none_can_be_had: 20}
"""Calls after which a story repeats itself: here one attempt after the other."""


@pytest.mark.parametrize("effect", [False, True], ids=["before", "after it took effect"])
@pytest.mark.parametrize("story", STORIES, ids=[story.__name__.replace("_", " ") for story in STORIES])
def test_ends_as_if_nothing_had_happened(
    next_world: Callable[[], World], story: Story, effect: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A link is waited for by one call after the other, all of them alike.
    monkeypatch.setattr("hydria.controller.amphorae._LINK_SECONDS", 0.3)
    undisturbed = next_world()
    story(undisturbed)
    undisturbed.run()
    expected = undisturbed.summary()
    for call in range(1, ENOUGH.get(story, 100)):
        world = next_world()
        story(world)
        world.cloud.interruptions.stop_at(call, effect=effect)
        if not world.run_until_killed():
            assert call > 3, "the story must have calls to be killed at"
            return
        killed_at = world.cloud.interruptions.calls[-1]
        assert world.kill_and_restart()
        world.run()
        assert world.summary() == expected, f"killed at call {call}: {killed_at}"
    assert story in ENOUGH, "the story never ends"
