"""The rollout by itself, against services that are slow, refuse, or are away for a while."""

import collections
import itertools
import threading
from collections.abc import Callable

import pytest

from hydria.base.errors import Conflict, HydriaError, NotFound, Retryable
from hydria.cli.amphora import rollout
from hydria.cli.amphora.outdated import Amphora
from hydria.cli.amphora.rollout import Rollout


class Site:
    """Load balancers of one or two amphorae each. A failover takes a few looks at its load balancer."""

    def __init__(self, *, looks: int = 3) -> None:
        self.there: dict[str, list[str]] = {}
        self.looks = looks
        self.pending: collections.Counter[str] = collections.Counter()
        """Load balancer → looks until it is settled."""
        self.asked: list[str] = []
        self.most = 0
        """Load balancers that were PENDING at once."""
        self.failing: set[str] = set()
        """Load balancers whose failovers end in ERROR."""
        self.keeping: set[str] = set()
        """Amphorae that are still there when their load balancer is ACTIVE."""
        self.errors: list[HydriaError] = []
        """What the next calls raise."""
        self.at_a_look: Callable[[], None] = lambda: None
        self._statuses: dict[str, str] = {}
        self._under_way: dict[str, str] = {}

    def add(self, load_balancer_id: str, *amphora_ids: str) -> list[Amphora]:
        self.there[load_balancer_id] = list(amphora_ids)
        return [Amphora(id=id_, loadbalancer_id=load_balancer_id, status="ALLOCATED") for id_ in amphora_ids]

    def _called(self) -> None:
        if self.errors:
            raise self.errors.pop(0)

    def status(self, load_balancer_id: str) -> str | None:
        self._called()
        self.at_a_look()
        if load_balancer_id not in self.there:
            return None
        if self.pending[load_balancer_id]:
            self.pending[load_balancer_id] -= 1
            if self.pending[load_balancer_id]:
                return "PENDING_UPDATE"
            self._settle(load_balancer_id)
        return self._statuses.get(load_balancer_id, "ACTIVE")

    def _settle(self, load_balancer_id: str) -> None:
        amphora_id = self._under_way.pop(load_balancer_id, None)
        self._statuses[load_balancer_id] = "ERROR" if load_balancer_id in self.failing else "ACTIVE"
        if amphora_id is not None and load_balancer_id not in self.failing and amphora_id not in self.keeping:
            self.there[load_balancer_id].remove(amphora_id)

    def is_there(self, amphora_id: str) -> bool:
        self._called()
        return any(amphora_id in ids for ids in self.there.values())

    def fail_over(self, amphora_id: str) -> None:
        self._called()
        (load_balancer_id,) = (id_ for id_, ids in self.there.items() if amphora_id in ids)
        assert not self.pending[load_balancer_id]
        self.asked.append(amphora_id)
        self._under_way[load_balancer_id] = amphora_id
        self.pending[load_balancer_id] = self.looks
        self.most = max(self.most, sum(left > 0 for left in self.pending.values()))

    def why(self, load_balancer_id: str) -> str:
        return f"No valid host for {load_balancer_id}."


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(rollout, "POLL", 0.0)
    return Site()


def roll(site: Site, amphorae: list[Amphora], at_a_time: int = 1) -> rollout.Outcome:
    return Rollout(site, at_a_time=at_a_time, stopping=threading.Event()).run(amphorae)


def many(site: Site, number: int) -> list[Amphora]:
    return [one for each in range(number) for one in site.add(f"lb{each}", f"a{each}")]


@pytest.mark.parametrize("at_a_time", [1, 3, 10, 20])
def test_all_of_them_and_never_too_many(site: Site, at_a_time: int) -> None:
    outcome = roll(site, many(site, 10), at_a_time)
    assert sorted(outcome.replaced) == sorted(f"a{each}" for each in range(10))
    assert (outcome.skipped, outcome.failures, outcome.not_begun, outcome.under_way) == ([], {}, [], [])
    assert site.most == min(at_a_time, 10)
    assert site.asked == [f"a{each}" for each in range(10)], "in the order in which they were given"


def test_two_of_one_load_balancer_one_after_the_other(site: Site) -> None:
    outcome = roll(site, site.add("lb", "a1", "a2"), at_a_time=5)
    assert (outcome.replaced, site.most) == (["a1", "a2"], 1)


def test_what_is_pending_already_is_awaited_first_and_counts(site: Site) -> None:
    """Another rollout was interrupted while these were under way."""
    amphorae = many(site, 4)
    site.pending["lb0"] = site.pending["lb1"] = 5
    outcome = roll(site, amphorae, at_a_time=2)
    assert (len(outcome.replaced), site.most) == (4, 2)


def test_those_that_are_gone_by_then(site: Site) -> None:
    amphorae = many(site, 4)
    site.there["lb1"].clear()
    del site.there["lb2"]
    outcome = roll(site, amphorae)
    assert (outcome.replaced, outcome.skipped) == (["a0", "a3"], ["a1", "a2"])


@pytest.mark.parametrize("at_a_time", [1, 2])
def test_one_that_fails_ends_it_when_the_others_under_way_have_ended(site: Site, at_a_time: int) -> None:
    amphorae = many(site, 5)
    site.failing.add("lb1")
    outcome = roll(site, amphorae, at_a_time)
    why = "it is ERROR, and amphora a1 is still to be replaced: No valid host for lb1."
    assert outcome.failures == {"lb1": why}
    assert "a0" in outcome.replaced
    assert sorted([*outcome.replaced, *outcome.not_begun]) == ["a0", "a2", "a3", "a4"]
    assert outcome.under_way == []
    assert not +site.pending, "nothing is left to itself"


def test_an_amphora_that_stays_although_all_looks_well_has_failed(site: Site) -> None:
    """Somebody's write after the failed failover has made the load balancer ACTIVE again."""
    amphorae = many(site, 2)
    site.keeping.add("a0")
    outcome = roll(site, amphorae)
    assert "it is ACTIVE, and amphora a0 is still to be replaced" in outcome.failures["lb0"]
    assert (outcome.replaced, outcome.not_begun) == ([], ["a1"])


def test_a_conflict_is_waited_out(site: Site) -> None:
    """As with strict_immutable: between our look and our request somebody else wrote."""
    amphorae, refuse, fail_over = many(site, 2), itertools.count(), site.fail_over

    def busy(amphora_id: str) -> None:
        if next(refuse) < 3:
            raise Conflict("Load Balancer lb0 is immutable and cannot be updated.")
        fail_over(amphora_id)

    site.fail_over = busy  # type: ignore[method-assign] # for a while
    assert roll(site, amphorae).replaced == ["a0", "a1"]


def test_one_that_goes_between_look_and_request(site: Site) -> None:
    amphorae = many(site, 2)

    def gone(amphora_id: str) -> None:
        site.fail_over = Site.fail_over.__get__(site)  # type: ignore[method-assign] # as it was
        raise NotFound(f"Amphora {amphora_id} not found.")

    site.fail_over = gone  # type: ignore[method-assign] # for a while
    outcome = roll(site, amphorae)
    assert (outcome.replaced, outcome.skipped) == (["a1"], ["a0"])


def test_services_that_are_away_for_a_while(site: Site) -> None:
    amphorae = many(site, 2)
    site.errors = [Retryable("no answer") for _ in range(30)]
    assert roll(site, amphorae).replaced == ["a0", "a1"]


def test_services_that_stay_away(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "PATIENCE", 0.05)
    monkeypatch.setattr(rollout, "POLL", 0.01)
    site.errors = [Retryable("connection refused") for _ in range(10_000)]
    with pytest.raises(HydriaError, match=r"nothing was heard\. connection refused"):
        roll(site, many(site, 1))
    assert site.asked == []


def test_interrupted_it_starts_no_further_one_and_says_what_goes_on(site: Site) -> None:
    amphorae, stopping, looks = many(site, 5), threading.Event(), itertools.count()

    def interrupt() -> None:
        if next(looks) == 4:
            stopping.set()

    site.at_a_look = interrupt
    outcome = Rollout(site, at_a_time=2, stopping=stopping).run(amphorae)
    assert outcome.under_way == ["lb0", "lb1"]
    assert (outcome.replaced, outcome.not_begun) == ([], ["a2", "a3", "a4"])
    site.at_a_look = lambda: None
    again = roll(site, amphorae, at_a_time=2)
    assert sorted([*again.replaced, *again.skipped]) == [f"a{each}" for each in range(5)]
    assert len(site.asked) == 5, "none was asked for twice"
    assert site.most == 2
