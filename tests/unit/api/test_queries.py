"""What a list can be asked for, on every collection alike."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from api_world import NOBODY, World, a_world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from many_rows import MANY, fill, new_id

from hydria.api.policy import Policy
from hydria.base.config import Api, Quotas

COLLECTIONS = {
    "loadbalancers": "/v2/lbaas/loadbalancers",
    "listeners": "/v2/lbaas/listeners",
    "pools": "/v2/lbaas/pools",
    "members": "/v2/lbaas/pools/@pool/members",
    "healthmonitors": "/v2/lbaas/healthmonitors",
    "l7policies": "/v2/lbaas/l7policies",
    "rules": "/v2/lbaas/l7policies/@policy/rules",
    "flavors": "/v2/lbaas/flavors",
    "flavorprofiles": "/v2/lbaas/flavorprofiles",
    "availability_zones": "/v2/lbaas/availabilityzones",
    "availability_zone_profiles": "/v2/lbaas/availabilityzoneprofiles",
    "quotas": "/v2/lbaas/quotas",
    "amphorae": "/v2/octavia/amphorae",
    "events": "/v2/lbaas/loadbalancers/@lb/events",
}
KEYS = {"availability_zones": "name", "quotas": "project_id"}
"""By what rows are told apart that have no id."""
NOT_DATED = ("flavors", "flavorprofiles", "availability_zones", "availability_zone_profiles", "quotas")
NO_SUCH: dict[str, dict[str, Any]] = {
    **{name: {"name": "x"} for name in NOT_DATED},
    "availability_zones": {"description": "x"},
    "quotas": {"pool": 77},
}
"""A filter that finds nothing."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, default_policy: Policy) -> Iterator[World]:
    ten_pools = Quotas(default_pool_quota=10)
    with a_world(tmp_path_factory.mktemp("queries"), empty_database, default_policy, Api(), quotas=ten_pools) as made:
        yield made


@pytest.fixture(scope="module")
def paths(world: World) -> dict[str, str]:
    there = fill(world)
    return {
        name: "/".join(there[step[1:]] if step.startswith("@") else step for step in path.split("/"))
        for name, path in COLLECTIONS.items()
    }


def ask(world: World, path: str, query: str = "", who: str = "admin") -> Any:
    return world.client.get(f"{path}{query}", headers={"X-Auth-Token": who})


def rows(world: World, path: str, collection: str, /, **query: Any) -> list[dict[str, Any]]:
    answer = ask(world, path, f"?{urlencode(query, doseq=True)}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()[collection]
    return found


def asked(value: Any) -> list[str]:
    """How a filter spells a value that an answer shows."""
    match value:
        case None | []:
            return []
        case bool():
            return [str(value).lower(), str(value), "yes" if value else "0"]
        case [{"id": str(first)}, *_]:
            return [first]
        case [str(), *_]:
            return value
        case list() | dict():
            return [json.dumps(value)]
        case _:
            return [str(value)]


@pytest.mark.parametrize("name", COLLECTIONS)
def test_every_attribute_of_an_answer_is_a_filter(world: World, paths: dict[str, str], name: str):
    plain, rich = rows(world, paths[name], name, limit=2)
    for attribute, text in itertools.chain.from_iterable(
        [(key, text) for key, value in row.items() for text in asked(value)] for row in (plain, rich)
    ):
        found = rows(world, paths[name], name, **{attribute: text})
        expected = [row for row in rows(world, paths[name], name) if text in asked(row[attribute])
                    or (attribute in {"listeners", "pools", "members", "rules", "l7policies"}
                        and {"id": text} in row[attribute])]  # fmt: skip
        assert found == expected, (attribute, text)
        assert found


@pytest.mark.parametrize("name", COLLECTIONS)
def test_filters_are_and_between_names_and_or_within_one(world: World, paths: dict[str, str], name: str):
    first, second = rows(world, paths[name], name, limit=2)
    key = KEYS.get(name, "id")
    both = rows(world, paths[name], name, **{key: [first[key], second[key], new_id()]})
    assert both == [first, second]
    one = {attribute: value for attribute, value in first.items() if isinstance(value, str)}
    assert rows(world, paths[name], name, **{**one, key: [first[key], second[key]]})[0] == first
    no_such = NO_SUCH.get(name, {"created_at": "2001-01-01T00:00:00"})
    assert rows(world, paths[name], name, **{key: first[key]}, **no_such) == []


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize(
    "query",
    ["colour=red", "generation=1", "sort=colour", "sort=id:up", "sort=id:asc:desc", "sort=", "sort_key=colour",
     "sort_key=id&sort_dir=up", "sort_dir=asc", "limit=many", "limit=", f"marker={NOBODY}",
     "marker=", "created_at=yesterday", "id=%00", "%00=1"],
)  # fmt: skip
def test_a_query_that_makes_no_sense(world: World, paths: dict[str, str], name: str, query: str):
    world.refused(ask(world, paths[name], f"?{query}"), 400, "")


@pytest.mark.parametrize(
    ("name", "query", "named"),
    [
        ("loadbalancers", "admin_state_up=perhaps", "admin_state_up"),
        ("loadbalancers", "additional_vips=x", "additional_vips"),
        ("loadbalancers", "sort=tags", "tags"),
        ("loadbalancers", "sort=listeners", "listeners"),
        ("listeners", "insert_headers=[]", "insert_headers"),
        ("listeners", "protocol_port=http", "protocol_port"),
        ("listeners", f"protocol_port={2**70}", "protocol_port"),
        ("pools", "session_persistence={", "session_persistence"),
        ("rules", "name=x", "name"),
        ("flavors", "tags=x", "tags"),
        ("flavors", "project_id=demo", "project_id"),
        ("flavors", "tenant_id=demo", "project_id"),
        ("flavors", "created_at=2026-01-01T00:00:00", "created_at"),
        ("availability_zones", "id=x", "'id'"),
        ("availability_zones", "enabled=perhaps", "enabled"),
        ("availability_zone_profiles", "project_id=demo", "project_id"),
        ("quotas", "member=many", "member"),
        ("quotas", "name=x", "name"),
        ("amphorae", "not-tags-any=x", "tags"),
        ("healthmonitors", "http_version=new", "http_version"),
    ],
)
def test_values_that_no_row_can_have(world: World, paths: dict[str, str], name: str, query: str, named: str):
    world.refused(ask(world, paths[name], f"?{query}"), 400, named)


def test_amphorae_are_found_by_their_load_balancers_project(world: World, paths: dict[str, str]):
    assert len(rows(world, paths["amphorae"], "amphorae", project_id="demo")) == MANY
    assert rows(world, paths["amphorae"], "amphorae", project_id="other") == []


def test_several_projects(world: World, paths: dict[str, str]):
    assert len(rows(world, paths["pools"], "pools", project_id=["demo", "other"])) == MANY
    assert rows(world, paths["pools"], "pools", project_id=["admin", "other"]) == []
    refused = ask(world, paths["pools"], "?project_id=demo&project_id=other", who="demo")
    world.refused(refused, 403, "Policy does not allow")
    world.refused(ask(world, paths["pools"], "?project_id=demo&tenant_id=other", who="demo"), 403, "Policy does not")


@pytest.mark.parametrize(
    ("given_", "seconds"), [("", 0), ("Z", 0), ("+02:00", 7200)], ids=["no zone", "UTC", "another zone"]
)
def test_dates_are_asked_for_as_they_are_shown(world: World, paths: dict[str, str], given_: str, seconds: int):
    shown = rows(world, paths["pools"], "pools", limit=1)[0]["created_at"]
    found = rows(world, paths["pools"], "pools", created_at=f"{shown}{given_}")
    assert bool(found) == (seconds == 0)


@pytest.mark.parametrize("name", COLLECTIONS)
def test_a_page_costs_the_same_number_of_statements_whatever_its_length(world: World, paths: dict[str, str], name: str):
    counted: list[str] = []
    engine = world.services.database._engine

    def count(*arguments: Any) -> None:
        counted.append(arguments[2])

    sa.event.listen(engine, "before_cursor_execute", count)
    try:
        numbers = set()
        for limit in (1, MANY):
            counted.clear()
            assert len(rows(world, paths[name], name, limit=limit)) == limit
            numbers.add(len(counted))
    finally:
        sa.event.remove(engine, "before_cursor_execute", count)
    assert len(numbers) == 1


@pytest.mark.parametrize("name", COLLECTIONS)
def test_fields_are_chosen_in_lists_and_of_one(world: World, paths: dict[str, str], name: str):
    key, other = KEYS.get(name, "id"), next(iter(NO_SUCH.get(name, {"created_at": ""})))
    (shown,) = rows(world, paths[name], name, limit=1, fields=[key, other, "colour"])
    assert set(shown) == {key, other}
    if name != "events":
        single = ask(world, f"{paths[name]}/{shown[key]}", f"?fields={other}&fields=colour").json()
        assert next(iter(single.values())) == {other: shown[other]}


def followed(world: World, url: str, name: str, rel: str) -> list[list[str]]:
    pages = []
    while True:
        answer = world.client.get(url, headers={"X-Auth-Token": "admin"}).json()
        pages.append([row[KEYS.get(name, "id")] for row in answer[name]])
        links = {link["rel"]: link["href"] for link in answer[f"{name}_links".replace("profiles_", "profile_")]}
        if rel not in links:
            return pages
        url = links[rel]


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize("limit", [60, 100])
def test_pages_follow_each_other_forward_and_back(world: World, paths: dict[str, str], name: str, limit: int):
    whole = [row[KEYS.get(name, "id")] for row in rows(world, paths[name], name)]
    forward = followed(world, f"{paths[name]}?limit={limit}", name, "next")
    assert list(itertools.chain(*forward)) == whole
    assert (forward[-1] == []) == (MANY % limit == 0)  # after a full page there is one more
    back = followed(world, f"{paths[name]}?limit={limit}&marker={whole[-1]}&page_reverse=True", name, "previous")
    assert list(itertools.chain(*reversed(back))) == whole[:-1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True, max_examples=40, deadline=None)
@given(data=st.data())
def test_any_sort_pages_through_everything_once(world: World, paths: dict[str, str], data: st.DataObject):
    name = data.draw(st.sampled_from([name for name in COLLECTIONS if name != "events"]))
    (row,) = rows(world, paths[name], name, limit=1)
    plain = [key for key in row if ask(world, paths[name], f"?sort={key}&limit=1").status_code == 200]
    assert {KEYS.get(name, "id"), *([] if name in NOT_DATED else ["created_at"])} <= set(plain)
    keys = data.draw(st.lists(st.tuples(st.sampled_from(plain), st.sampled_from(["asc", "desc"])), max_size=3))
    sort = ",".join(f"{key}:{way}" for key, way in keys)
    limit = data.draw(st.integers(70, MANY))
    query = f"limit={limit}{'&sort=' + sort if sort else ''}"
    whole = rows(world, paths[name], name, **({"sort": sort} if sort else {}))
    pages = followed(world, f"{paths[name]}?{query}", name, "next")
    assert list(itertools.chain(*pages)) == [row[KEYS.get(name, "id")] for row in whole]
    for key, way in keys[:1]:
        values = [(row[key] is None, row[key]) for row in whole if row[key] is not None]
        assert values == sorted(values, reverse=way == "desc")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sort=name:desc,id:asc", "sort_key=name&sort_dir=desc&sort_key=id&sort_dir=asc"),
        ("sort=name:desc,id:asc", "sort_key=name,id&sort_dir=desc"),
        ("sort=name", "sort_key=name"),
        ("sort=name&sort=id:desc", "sort=name:asc,id:desc"),
        ("sort=name", "sort=name,id:asc"),
        ("sort=created_at", ""),
        ("limit=infinite", "limit=0"),
        ("limit=5000", "limit=-3"),
        ("limit=3&limit=7", "limit=7"),
    ],
)
def test_two_spellings_of_one_question(world: World, paths: dict[str, str], one: str, other: str):
    answers = [ask(world, paths["loadbalancers"], f"?{query}").json()["loadbalancers"] for query in (one, other)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("query", "share"),
    [
        ("tags=blue", 0.5),
        ("tags=blue,red", 0.5),
        ("tags=blue&tags=red", 0.5),
        ("tags=blue,green", 0),
        ("tags-any=blue,green", 0.5),
        ("tags-any=blue&tags-any=green", 0.5),
        ("not-tags=blue,green", 1),
        ("not-tags=blue&not-tags=red", 0.5),
        ("not-tags-any=blue,green", 0.5),
        ("not-tags-any=green", 1),
        ("tags=blue&not-tags-any=red", 0),
        ("tags=", 1),
    ],
)
def test_tags(world: World, paths: dict[str, str], query: str, share: float):
    assert len(ask(world, paths["loadbalancers"], f"?{query}").json()["loadbalancers"]) == MANY * share


class TestSwitches:
    """A feature that is off is passed over."""

    @pytest.fixture
    def api(self) -> Api:
        off = dict.fromkeys(("allow_pagination", "allow_sorting", "allow_filtering", "allow_field_selection"), False)
        return Api(pagination_max_limit=2, **off)

    def test_off(self, tmp_path: Path, empty_database: Path, default_policy: Policy, api: Api):
        with a_world(tmp_path, empty_database, default_policy, api) as world:
            for name in "cab":
                world.load_balancer(name=name)
            for query in (
                "limit=1",
                "marker=x",
                "limit=many",
                "sort=name",
                "name=a",
                "colour=red",
                "tags=x",
                "fields=id",
            ):
                answer = ask(world, "/v2/lbaas/loadbalancers", f"?{query}", who="demo").json()
                assert [row["name"] for row in answer["loadbalancers"]] == ["c", "a", "b"]
                assert answer["loadbalancers_links"] == []
            assert ask(world, "/v2/lbaas/loadbalancers", "?project_id=other").json()["loadbalancers"] == []
            assert len(ask(world, "/v2/lbaas/providers", "?name=nothing").json()["providers"]) == 2
            one = answer["loadbalancers"][0]["id"]
            assert len(ask(world, f"/v2/lbaas/loadbalancers/{one}", "?fields=id").json()["loadbalancer"]) > 10
