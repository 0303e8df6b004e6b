"""How many of each kind projects may have: the tests' own account of it, which knows in advance what is refused."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from api_world import PROVISIONED, World

Rows = dict[str, dict[str, dict[str, Any]]]
UNLIMITED = -1
PROJECTS = ("demo", "other")


@dataclass(frozen=True)
class Kind:
    limit: str
    """Its name in a quota."""
    title: str
    """In a refusal."""
    bodies: tuple[str, ...]
    """Under which names requests hold one of them, or a list."""


KINDS: Mapping[str, Kind] = {
    "load_balancer": Kind("loadbalancer", "Load Balancer", ("loadbalancer",)),
    "listener": Kind("listener", "Listener", ("listener", "listeners")),
    "pool": Kind("pool", "Pool", ("pool", "pools", "default_pool", "redirect_pool")),
    "l7policy": Kind("l7policy", "L7 Policy", ("l7policy", "l7policies")),
    "l7rule": Kind("l7rule", "L7 Rule", ("rule", "rules")),
    "member": Kind("member", "Member", ("member", "members")),
    "health_monitor": Kind("healthmonitor", "Health Monitor", ("healthmonitor",)),
}
_TABLES = {name: table for table, kind in KINDS.items() for name in kind.bodies}
OLDER = {"loadbalancer": "load_balancer", "healthmonitor": "health_monitor"}
"""Limit → its deprecated spelling."""
assert set(KINDS) == set(PROVISIONED)


@dataclass(frozen=True)
class Asked:
    """What a request adds to a project, if it is granted."""

    project: str
    new: Counter[str]
    gone: Counter[str] = field(default_factory=Counter)
    """What it deletes at the same time; that counts for nothing in this request."""

    def growth(self, table: str) -> int:
        return self.new[table] - self.gone[table]


def parts(body: Any) -> Counter[str]:
    """How many of each kind a POST makes, itself included."""
    found: Counter[str] = Counter()
    for name, value in body.items():
        for item in value if isinstance(value, list) else [value]:
            if name in _TABLES and isinstance(item, dict) and set(item) != {"name"}:  # that is a pool's name only
                found[_TABLES[name]] += 1
                found += parts(item)
    return found


def batch(members: list[dict[str, Any]], pool: dict[str, Any], rows: Rows, *, additive: bool) -> Asked:
    """The whole set of a pool's members, put."""
    own = [row for row in rows["member"].values() if row["pool_id"] == pool["id"]]
    there = {_place(row) for row in own if row["provisioning_status"] != "PENDING_DELETE"}
    named = [_place(item) for item in members]
    new = [place for place in named if place not in there]
    gone = set() if additive else there - set(named)
    return Asked(pool["project_id"], Counter(member=len(new)), Counter(member=len(gone)))


def _place(member: dict[str, Any]) -> tuple[str, int]:
    return member["address"], member["protocol_port"]


def counted(rows: Rows, project: str) -> Counter[str]:
    """What is being deleted counts until its row is gone."""
    return Counter({table: sum(row["project_id"] == project for row in rows[table].values()) for table in KINDS})


class Limits:
    """Those that were set, and what follows."""

    def __init__(self, defaults: Mapping[str, int]) -> None:
        self.defaults = {kind.limit: defaults.get(kind.limit, UNLIMITED) for kind in KINDS.values()}
        self.own: dict[str, dict[str, int]] = {}
        """Project → limit → number, where it is not the default."""

    def put(self, project: str, changes: Mapping[str, int | None]) -> None:
        changed = {**self.own.get(project, {}), **changes}
        self.own[project] = {name: number for name, number in changed.items() if number is not None}
        if not self.own[project]:
            self.reset(project)

    def reset(self, project: str) -> None:
        self.own.pop(project, None)

    def of(self, project: str) -> dict[str, int]:
        return {**self.defaults, **self.own.get(project, {})}

    def shown(self, project: str) -> dict[str, Any]:
        return _shown(self.of(project), project)

    def exceeded(self, asked: Asked, before: Rows) -> set[str]:
        """The titles of what the request would make too many of."""
        there, limits = counted(before, asked.project), self.of(asked.project)
        return {
            kind.title
            for table, kind in KINDS.items()
            if (growth := asked.growth(table)) > 0
            and limits[kind.limit] != UNLIMITED
            and there[table] + growth > limits[kind.limit]
        }

    def check_answer(self, answer: Any, asked: Asked | None, before: Rows, now: Rows) -> str | None:
        """It was refused for a quota, or granted, as foreseen; and the rows are then as many more as it says.

        Returns what there was enough of, None when that was not why it was refused.
        """
        short = self.exceeded(asked, before) if asked is not None else set()
        refused = met(answer)
        assert refused is None or refused in short, (refused, short, asked)
        assert not (short and answer.is_success), (short, asked)
        for project in PROJECTS:
            granted = answer.is_success and asked is not None and asked.project == project
            more = counted(now, project)
            more.subtract(counted(before, project))
            assert more == (asked.new if asked is not None and granted else Counter())
        return refused

    def check_shown(self, world: World, rows: Rows) -> None:
        """`quota show`, to whom it may concern; the list; and the rows, all the same."""
        stored = {
            project: {name: number for name, number in row.items() if name in self.defaults and number is not None}
            for project, row in rows["quota"].items()
        }
        assert stored == self.own
        for project in PROJECTS:
            for who in (project, "admin"):
                assert world.get(f"/quotas/{project}", who=who) == self.shown(project)
            assert world.get("/quotas/defaults", who=project) == _shown(self.defaults, project)
            (other,) = set(PROJECTS) - {project}
            world.refused(world.call("GET", f"/quotas/{other}", who=project), 403, "")
        for who in (*PROJECTS, "admin"):
            listed = {item["project_id"]: item for item in world.get("/quotas", who=who)}
            theirs = {project for project in self.own if who in (project, "admin")}
            assert listed.keys() == theirs
            for project, item in listed.items():
                assert item == self.shown(project)


def _shown(numbers: Mapping[str, int], project: str) -> dict[str, Any]:
    """With the deprecated spellings, and whose it is."""
    older = {older: numbers[name] for name, older in OLDER.items()}
    return {**numbers, **older, "project_id": project, "tenant_id": project}


def met(answer: Any) -> str | None:
    """What a project has enough of, if the answer says so."""
    begin = "Quota has been met for resources: "
    if answer is None or answer.status_code != 403 or not answer.json()["faultstring"].startswith(begin):
        return None
    return str(answer.json()["faultstring"].removeprefix(begin))


def bad_changes() -> Iterator[dict[str, Any]]:
    """What no quota may be."""
    for name in ("listener", "loadbalancer", "health_monitor"):
        for value in (-2, 2_000_000_001, "many", "", 1.5, True, [], {}):
            yield {name: value}
    yield {"loadbalancer": 1, "load_balancer": 2}
    yield {"amphora": 1}
    yield {"project_id": "demo"}
