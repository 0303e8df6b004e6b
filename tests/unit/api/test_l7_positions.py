"""Positions of L7 policies: dense from 1, in the order of a plain list, whatever comes and whoever comes at once."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from api_world import World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

pytestmark = pytest.mark.usefixtures("l7_served")


def order(world: World, listener: Any) -> list[tuple[str, int]]:
    """(id, position) of those that stay, by position."""
    rows = world.get(f"/l7policies?listener_id={listener['id']}&sort=position")
    return [(one["id"], one["position"]) for one in rows if one["provisioning_status"] != "PENDING_DELETE"]


def positions(world: World) -> type[RuleBasedStateMachine]:
    class Positions(RuleBasedStateMachine):
        """Two listeners, whose policies know nothing of each other."""

        @initialize()
        def start(self) -> None:
            lb = world.load_balancer()
            self.listeners = [world.listener(lb, protocol_port=port) for port in (80, 81)]
            self.models: list[list[str]] = [[], []]

        @rule(which=st.integers(0, 1), position=st.none() | st.integers(1, 6) | st.just(2**31 - 1))
        def insert(self, which: int, position: int | None) -> None:
            model = self.models[which]
            made = world.policy(self.listeners[which], **({} if position is None else {"position": position}))
            place = min(position or len(model) + 1, len(model) + 1)
            model.insert(place - 1, made["id"])
            assert made["position"] == place

        @rule(which=st.integers(0, 1), data=st.data(), position=st.none() | st.integers(1, 6))
        def move(self, which: int, data: Any, position: int | None) -> None:
            model = self.models[which]
            if not model:
                return
            id_ = data.draw(st.sampled_from(model))
            shown = world.put(f"/l7policies/{id_}", {"l7policy": {"position": position}})
            model.remove(id_)
            place = min(position or len(model) + 1, len(model) + 1)
            model.insert(place - 1, id_)
            assert shown["position"] == place

        @rule(which=st.integers(0, 1), data=st.data())
        def change_something_else(self, which: int, data: Any) -> None:
            if self.models[which]:
                id_ = data.draw(st.sampled_from(self.models[which]))
                world.put(f"/l7policies/{id_}", {"l7policy": {"name": "x"}})

        @rule(which=st.integers(0, 1), data=st.data())
        def delete(self, which: int, data: Any) -> None:
            if self.models[which]:
                id_ = data.draw(st.sampled_from(self.models[which]))
                world.delete(f"/l7policies/{id_}")
                self.models[which].remove(id_)

        @rule()
        def settle(self) -> None:
            world.settle()

        @invariant()
        def dense(self) -> None:
            for listener, model in zip(self.listeners, self.models, strict=True):
                assert order(world, listener) == [(id_, place) for place, id_ in enumerate(model, start=1)]

    return Positions


def test_any_order_of_requests(world: World):
    checks = settings(max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(positions(world), settings=checks)


def test_many_at_once(world: World):
    listener = world.listener(world.load_balancer())
    first = [world.policy(listener)["id"] for _ in range(4)]

    def request(number: int) -> None:
        if number < len(first):
            world.delete(f"/l7policies/{first[number]}")
        else:
            world.policy(listener, position=number % 3 + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(request, range(24)))
    assert [place for _, place in order(world, listener)] == list(range(1, 21))


def test_what_only_moves_keeps_its_statuses_and_dates(world: World):
    listener = world.listener(world.load_balancer())
    moved = world.policy(listener)
    world.settle()
    before = world.get(f"/l7policies/{moved['id']}")
    world.policy(listener, position=1)
    assert world.get(f"/l7policies/{moved['id']}") == {**before, "position": 2}
