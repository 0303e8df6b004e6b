"""Statuses of L7 policies and rules after a reconcile."""

import pytest
from controller_world import World

from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Pool
from hydria.model.resource import Provisioned
from hydria.store import resources


class Parts:
    def __init__(self, world: World) -> None:
        self.world = world
        self.lb = world.load_balancer()
        self.listener, self.pool = world.listener(self.lb), world.pool(self.lb)
        self.policy = self.add_policy(position=1)
        self.disabled = self.add_policy(position=2, admin_state_up=False)
        self.rule = world.add(
            self.lb.id,
            L7Rule(id=world.new_id(), l7policy_id=self.policy.id, type="PATH", compare_type="REGEX", value="a"),
        )

    def add_policy(self, *, position: int, admin_state_up: bool = True) -> L7Policy:
        policy = L7Policy(
            id=self.world.new_id(),
            listener_id=self.listener.id,
            action="REDIRECT_TO_POOL",
            redirect_pool_id=self.pool.id,
            position=position,
            admin_state_up=admin_state_up,
        )
        return self.world.add(self.lb.id, policy)

    def shown(self) -> dict[str, tuple[str, str]]:
        """Of those that are there: provisioning and operating status."""
        names = {self.policy.id: "policy", self.disabled.id: "disabled", self.rule.id: "rule"}
        rows = self.world.graph(self.lb.id).resources()
        return {
            names[row.id]: (row.provisioning_status.value, row.operating_status.value)
            for row in rows
            if row.id in names
        }


@pytest.fixture
def parts(world: World) -> Parts:
    return Parts(world)


SERVING = {"policy": ("ACTIVE", "ONLINE"), "disabled": ("ACTIVE", "OFFLINE"), "rule": ("ACTIVE", "ONLINE")}


def test_they_become_active(world: World, parts: Parts) -> None:
    assert set(parts.shown().values()) == {("PENDING_CREATE", "OFFLINE")}
    world.run()
    assert parts.shown() == SERVING
    world.change(parts.lb.id, parts.policy, provisioning_status="PENDING_UPDATE", position=2)
    world.change(parts.lb.id, parts.rule, provisioning_status="PENDING_UPDATE", value="b")
    world.run()
    assert parts.shown() == SERVING


@pytest.mark.parametrize(
    ("what", "left"),
    [("rule", {"policy", "disabled"}), ("policy", {"disabled"}), ("listener", set()), ("load balancer", None)],
)
def test_what_is_deleted_goes(world: World, parts: Parts, what: str, left: set[str] | None) -> None:
    world.run()
    if left is None:
        world.delete(parts.lb.id)
    else:
        gone: dict[str, Provisioned] = {"rule": parts.rule, "policy": parts.policy, "listener": parts.listener}
        world.remove(parts.lb.id, gone[what])
    world.run()
    if left is not None:
        assert set(parts.shown()) == left
        assert world.status(parts.lb.id) == "ACTIVE"
        return
    with world.database.read() as tx:
        kinds: tuple[type[Provisioned], ...] = (LoadBalancer, Listener, Pool, L7Policy, L7Rule)
        assert [kind for kind in kinds if resources.find(tx, kind)] == []


def test_a_policy_and_its_pool_go_in_one_round(world: World, parts: Parts) -> None:
    world.run()
    for row in (parts.policy, parts.disabled, parts.pool):
        world.remove(parts.lb.id, row)
    world.run()
    assert parts.shown() == {}
    assert world.graph(parts.lb.id).pools == ()
