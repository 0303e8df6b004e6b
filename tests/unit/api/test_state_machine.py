"""Whatever is asked in whatever order: the API stays consistent, and nobody sees what is not theirs.

HYDRIA_EXAMPLES=2000 looks further, at random; without it the same few examples are tried each time.
"""

import os
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from api_world import PROVISIONED, World, a_world
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tenants import CALLERS, StandIn, Tenants, snapshot
from tenants_invariants import check_answers, check_rows, check_step

from hydria.api.policy import Policy
from hydria.base.config import Api

EXAMPLES = os.environ.get("HYDRIA_EXAMPLES")
DICE = st.randoms(use_true_random=True)
"""Seeded by Hypothesis, whose own draws hardly ever reach what stands at the end of a list."""


@pytest.fixture
def world(tmp_path: Path, empty_database: Path, default_policy: Policy, l7_served: None) -> Iterator[World]:
    del l7_served
    with a_world(tmp_path, empty_database, default_policy, Api()) as made:
        yield made


class Machine(RuleBasedStateMachine):
    world: ClassVar[World]

    @initialize(dice=DICE)
    def begin(self, dice: random.Random) -> None:
        with self.world.services.database.write() as tx:
            for table in ("dirty", *reversed(PROVISIONED)):
                tx.connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608
        self.world.cloud.ports.clear()
        self.dice = dice
        self.tenants = Tenants(self.world, self.pick)
        self.stand_in = StandIn(self.world, self.pick)
        self.before = snapshot(self.world)
        for who in ("demo", "other"):
            self.check(self.tenants.create_graph(who))

    def pick(self, choices: Any) -> Any:
        return self.dice.choice(choices)

    @rule(dice=DICE, who=st.sampled_from(CALLERS), times=st.integers(1, 5))
    def ask(self, dice: random.Random, who: str, times: int) -> None:
        self.dice = dice
        for _ in range(times):
            everything = self.world.rows()
            answer = self.tenants.step(who)
            if answer is not None and answer.status_code >= 400:
                assert self.world.rows() == everything, answer.text
            self.check(answer)

    @rule(dice=DICE, ends=st.booleans())
    def work(self, dice: random.Random, ends: bool) -> None:
        self.dice = dice
        (self.stand_in.end if ends else self.stand_in.begin)()
        self.check(None)

    def check(self, answer: Any) -> None:
        now = snapshot(self.world)
        try:
            check_step(self.before, now)
            check_rows(now)
        except AssertionError as error:
            asked = answer and (answer.request.method, answer.request.url, answer.request.content, answer.text)
            raise AssertionError(asked) from error
        self.before = now

    def teardown(self) -> None:
        if not hasattr(self, "stand_in"):
            return
        check_answers(self.world, self.before)
        self.stand_in.finish(well=True)
        now = snapshot(self.world)
        check_rows(now)
        check_settled(now)


def check_settled(now: Any) -> None:
    """Nothing is left half done when there is nothing left to do."""
    for table in PROVISIONED:
        assert {row["provisioning_status"] for row in now[table].values()} <= {"ACTIVE", "ERROR"}


def test_any_order_of_requests(world: World):
    Machine.world = world
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=int(EXAMPLES or 8),
            stateful_step_count=30,
            derandomize=EXAMPLES is None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("seed", range(2))
def test_requests_at_the_same_time(world: World, seed: int):
    """Threads write to one database file; statuses in between are the state machine's matter."""
    broken: list[BaseException] = []

    def work(number: int, turns: int, act: Callable[[random.Random], None]) -> None:
        dice = random.Random(f"{seed}/{number}")  # noqa: S311
        try:
            for _ in range(turns):
                act(dice)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            broken.append(error)

    def ask(who: str) -> Callable[[random.Random], None]:
        return lambda dice: Tenants(world, dice.choice).step(who)

    stand_in = StandIn(world, random.Random(seed).choice)  # noqa: S311

    def settle(dice: random.Random) -> None:
        dice.choice((stand_in.begin, stand_in.end))()

    acts = [*(ask(who) for who in ("demo", "demo", "other", "other", "admin")), settle]
    threads = [threading.Thread(target=work, args=(number, 60, act)) for number, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if broken:
        raise broken[0]
    now = snapshot(world)
    assert now["load_balancer"]
    check_rows(now)
    check_answers(world, now)
    stand_in.finish(well=True)
    now = snapshot(world)
    check_rows(now)
    check_settled(now)
