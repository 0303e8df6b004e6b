"""Whatever is asked in whatever order: the API stays consistent, and nobody sees what is not theirs.

HYDRIA_EXAMPLES=2000 looks further, at random; without it the same few examples are tried each time.
"""

import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from api_world import PROVISIONED, World, a_world
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tenants import CALLERS, StandIn, Tenants, snapshot
from tenants_invariants import check_answers, check_rows, check_step, staying
from tenants_operator import HERE, Operator
from tenants_quotas import KINDS, PROJECTS, Limits, counted, met

from hydria.api.policy import Policy
from hydria.base.config import Api, Quotas

EXAMPLES = os.environ.get("HYDRIA_EXAMPLES")
DICE = st.randoms(use_true_random=True)
"""Seeded by Hypothesis, whose own draws hardly ever reach what stands at the end of a list, and often repeat."""

DEFAULTS = Quotas(default_l7rule_quota=5, default_health_monitor_quota=9)
CREATED = ("load_balancer", "graph", "listener", "pool", "member", "batch", "health_monitor", "l7policy", "l7rule")
"""What projects ask for, by the names that `Tenants.creating` has for it."""


@pytest.fixture
def world(tmp_path: Path, empty_database: Path, default_policy: Policy, l7_served: None) -> Iterator[World]:
    del l7_served
    with a_world(tmp_path, empty_database, default_policy, Api(), quotas=DEFAULTS) as made:
        made.cloud.add_host("host-1", zone=HERE)
        yield made


class Machine(RuleBasedStateMachine):
    world: ClassVar[World]
    refused: ClassVar[set[tuple[str, str]]]
    """What was asked for, and what there was enough of."""
    in_use: ClassVar[set[str]]
    """What operators could not delete."""

    @initialize(dice=DICE)
    def begin(self, dice: random.Random) -> None:
        with self.world.services.database.write() as tx:
            for table in ("dirty", *reversed(PROVISIONED), "quota", "availability_zone", "availability_zone_profile"):
                tx.connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608
        self.world.cloud.ports.clear()
        self.dice = dice
        self.bag = dice.sample(CREATED, len(CREATED))
        self.limits = Limits(
            {"l7rule": DEFAULTS.default_l7rule_quota, "healthmonitor": DEFAULTS.default_health_monitor_quota}
        )
        self.tenants = Tenants(self.world, self.pick)
        self.operator = Operator(self.world, self.pick, self.limits)
        self.operator.in_use = self.in_use
        self.stand_in = StandIn(self.world, self.pick)
        self.operator.begin()
        self.before, self.ports = snapshot(self.world), {}
        for who in PROJECTS:
            self.tell(self.tenants.create_graph(who))

    def pick(self, choices: Any) -> Any:
        return self.dice.choice(choices)

    @rule()
    def step(self) -> None:
        """One rule: among several Hypothesis would leave out whole ones for a whole run."""
        acts = (self.ask, self.operate, self.reach_the_limit, self.work)
        self.pick((*acts, self.reach_the_limit))()

    def ask(self) -> None:
        who = self.pick(CALLERS)
        for _ in range(self.pick(range(1, 6))):
            self.tell(self.tenants.step(who))

    def operate(self) -> None:
        who = self.pick(("admin", "admin", "admin", *PROJECTS))
        for _ in range(self.pick((1, 2, 3))):
            self.tenants.asked = None
            self.tell(self.operator.step(who))

    def reach_the_limit(self) -> None:
        """What is refused while there is room for one less is granted when there is room for it."""
        who, what = self.pick(PROJECTS), self.bag.pop()
        if not self.bag:
            self.bag = self.dice.sample(CREATED, len(CREATED))
        self.limit(who, counted(self.before, who))
        answers = (self.tell(self.tenants.create(what, who)) for _ in range(3))
        if not any(answer is not None and met(answer) for answer in answers):
            return
        there, asked = counted(self.before, who), self.tenants.asked
        assert asked is not None
        growth = {table: max(asked.growth(table), 0) for table in KINDS}
        short = self.pick([table for table, more in growth.items() if more])
        room = {table: there[table] + more for table, more in growth.items()}
        self.limit(who, {**room, short: room[short] - 1})
        assert met(self.tell(self.tenants.again())) == KINDS[short].title
        self.refused.add((what, KINDS[short].title))
        event(f"no more for {what}: {short}")
        self.limit(who, room)
        assert met(self.tell(self.tenants.again())) is None
        if self.pick((True, True, False)):
            self.limit(who, dict.fromkeys(KINDS))

    def limit(self, project: str, numbers: Mapping[str, int | None]) -> None:
        self.operator.set_limits(project, {KINDS[table].limit: numbers[table] for table in KINDS})
        self.check(None)

    def work(self) -> None:
        match self.pick(("begin", "begin", "end", "end", "stop")):
            case "begin":
                self.stand_in.begin()
            case "end":
                self.stand_in.end()
            case "stop":
                self.stand_in.stop(forgets=self.pick((True, False)))
        self.check(None)

    def tell(self, answer: Any) -> Any:
        """What came of a request. None: there was none."""
        if answer is None:
            return None
        before, ports = self.before, self.ports
        self.check(answer)
        if answer.status_code >= 400:
            assert (self.before, self.ports) == (before, ports), answer.text
        if refused := self.limits.check_answer(answer, self.tenants.asked, before, self.before):
            event(f"refused: {refused}")
        return answer

    def check(self, answer: Any) -> None:
        now = snapshot(self.world)
        try:
            check_step(self.before, now)
            check_rows(now)
        except AssertionError as error:
            asked = answer and (answer.request.method, answer.request.url, answer.request.content, answer.text)
            raise AssertionError(asked) from error
        self.before, self.ports = now, dict(self.world.cloud.ports)

    def teardown(self) -> None:
        if not hasattr(self, "stand_in"):
            return
        check_answers(self.world, self.before)
        self.limits.check_shown(self.world, self.before)
        self.stand_in.finish(well=True)
        now = snapshot(self.world)
        check_rows(now)
        check_settled(now)


def check_settled(now: Any) -> None:
    """Nothing is left half done when there is nothing left to do."""
    for table in PROVISIONED:
        assert {row["provisioning_status"] for row in now[table].values()} <= {"ACTIVE", "ERROR"}


def test_any_order_of_requests(world: World):
    Machine.world, Machine.refused, Machine.in_use = world, set(), set()
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
    assert {what for what, _ in Machine.refused} == set(CREATED)
    assert {title for _, title in Machine.refused} == {kind.title for kind in KINDS.values()}
    assert Machine.in_use == {"availability_zone", "availability_zone_profile"}


@pytest.mark.parametrize("seed", range(2))
def test_requests_at_the_same_time(world: World, seed: int):
    """Threads write to one database file; statuses in between are the state machine's matter.

    Of several who see the last free place, one takes it. Members of a batch take those of the ones that it deletes.
    """
    limits = dict(zip(KINDS, (6, 8, 10, 12, 9, 14, 8), strict=True))
    for project in PROJECTS:
        quota = {KINDS[table].limit: number for table, number in limits.items()}
        world.done(world.call("PUT", f"/quotas/{project}", {"quota": quota}, who="admin"), 202)
    refused: set[str | None] = set()
    broken: list[BaseException] = []

    def work(number: int, turns: int, act: Callable[[random.Random], None]) -> None:
        dice = random.Random(f"{seed}/{number}")  # noqa: S311
        try:
            for _ in range(turns):
                act(dice)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            broken.append(error)

    def ask(who: str) -> Callable[[random.Random], None]:
        return lambda dice: refused.add(met(Tenants(world, dice.choice).step(who)))

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
    assert refused - {None}
    check_rows(now)
    members = {row["id"]: row for row in staying(now["member"].values())}
    for project in PROJECTS:
        for table, number in counted({**now, "member": members}, project).items():
            assert number <= limits[table]
    check_answers(world, now)
    stand_in.finish(well=True)
    now = snapshot(world)
    check_rows(now)
    check_settled(now)
