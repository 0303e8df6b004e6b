"""What a list can be asked for, on every collection alike."""

import datetime as dt
import itertools
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from api_world import NOBODY, World, a_world
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hydria.api.policy import Policy
from hydria.base.config import Api
from hydria.model.amphora import Amphora
from hydria.model.event import Event
from hydria.model.flavor import Flavor, FlavorProfile
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import AdditionalVip, LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool, SessionPersistence
from hydria.store import resources

MANY = 200
START = dt.datetime.fromisoformat("2026-01-01T00:00:00")
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
    "amphorae": "/v2/octavia/amphorae",
    "events": "/v2/lbaas/loadbalancers/@lb/events",
}


def new_id() -> str:
    return str(uuid.uuid4())


def fill(world: World) -> dict[str, str]:
    """MANY rows of everything, each other one with whatever may be null or empty filled in."""
    lbs = [LoadBalancer(id=new_id(), project_id="demo", name=f"lb{n % 7}", **_vips(n)) for n in range(MANY)]
    own: dict[str, Any] = {"project_id": "demo"}
    lb = lbs[0].id
    pools = [Pool(id=new_id(), loadbalancer_id=lb, protocol="UDP", lb_algorithm="SOURCE_IP", **own, **_pool(n))
             for n in range(MANY)]  # fmt: skip
    listeners = [Listener(id=new_id(), loadbalancer_id=lb, protocol="HTTP", protocol_port=n + 1, **own,
                          **_listener(n, pools[n].id)) for n in range(MANY)]  # fmt: skip
    members = [Member(id=new_id(), pool_id=pools[0].id, address=f"192.0.2.{n}", protocol_port=80, **own,
                      **_member(n)) for n in range(MANY)]  # fmt: skip
    monitors = [HealthMonitor(id=new_id(), pool_id=pools[n].id, type="HTTP", delay=n, timeout=1, max_retries=1, **own,
                              **_monitor(n)) for n in range(MANY)]  # fmt: skip
    policies = [L7Policy(id=new_id(), listener_id=listeners[0].id, action="REJECT", position=n + 1, **own,
                         **_policy(n, pools[0].id)) for n in range(MANY)]  # fmt: skip
    l7rules = [L7Rule(id=new_id(), l7policy_id=policies[0].id, type="HEADER", compare_type="REGEX", value=f"v{n % 3}",
                      key="k" if n % 2 else None, **own) for n in range(MANY)]  # fmt: skip
    profiles = [FlavorProfile(id=new_id(), name=f"p{n}", provider_name="amphora", flavor_data="{}")
                for n in range(MANY)]  # fmt: skip
    flavors = [Flavor(id=new_id(), name=f"f{n}", flavor_profile_id=profiles[0].id) for n in range(MANY)]
    amphorae = [Amphora(id=new_id(), loadbalancer_id=lb, vrrp_id=n if n % 2 else None) for n in range(MANY)]
    events = [Event(id=new_id(), loadbalancer_id=lb, resource_type="pool", resource_id=lb, level="ERROR", reason="why",
                    created_at=START + dt.timedelta(seconds=n % 60)) for n in range(MANY)]  # fmt: skip
    with world.services.database.write() as tx:
        for rows in (profiles, flavors, lbs, pools, listeners, members, monitors, policies, l7rules, amphorae, events):
            resources.insert_all(tx, rows)  # type: ignore[arg-type]
    return {"lb": lb, "pool": pools[0].id, "policy": policies[0].id}


def _vips(n: int) -> Any:
    if not n % 2:
        return {}
    more = AdditionalVip(subnet_id=new_id(), ip_address="192.0.2.9")
    return {
        "vip_address": f"192.0.2.{n}", "vip_subnet_id": new_id(), "vip_network_id": new_id(), "vip_port_id": new_id(),
        "vip_qos_policy_id": new_id(), "provider": "amphora", "availability_zone": "nova",
        "additional_vips": [more], "vip_sg_ids": [new_id(), new_id()], "tags": ["blue", "red"],
    }  # fmt: skip


def _pool(n: int) -> Any:
    persistence = SessionPersistence(type="SOURCE_IP", persistence_timeout=n)
    return {"session_persistence": persistence, "tls_versions": ["TLSv1.2"], "tls_enabled": True} if n % 2 else {}


def _listener(n: int, pool_id: str) -> Any:
    if not n % 2:
        return {}
    return {
        "default_pool_id": pool_id, "insert_headers": {"X-Forwarded-For": "true"}, "allowed_cidrs": ["192.0.2.0/24"],
        "sni_container_refs": ["http://x/1"], "hsts_max_age": n, "alpn_protocols": ["h2", "http/1.1"],
    }  # fmt: skip


def _member(n: int) -> Any:
    more = {"subnet_id": new_id(), "monitor_address": "192.0.2.1", "monitor_port": n, "backup": True}
    return more if n % 2 else {}


def _monitor(n: int) -> Any:
    return {"http_version": 1.1, "url_path": "/a", "expected_codes": "200", "domain_name": "a.b"} if n % 2 else {}


def _policy(n: int, pool_id: str) -> Any:
    return {"redirect_pool_id": pool_id, "redirect_http_code": 302} if n % 2 else {}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, default_policy: Policy) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("queries"), empty_database, default_policy, Api()) as made:
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
        assert [row["id"] for row in found] == [row["id"] for row in expected], (attribute, text)
        assert found


@pytest.mark.parametrize("name", COLLECTIONS)
def test_filters_are_and_between_names_and_or_within_one(world: World, paths: dict[str, str], name: str):
    first, second = rows(world, paths[name], name, limit=2)
    both = rows(world, paths[name], name, id=[first["id"], second["id"], new_id()])
    assert both == [first, second]
    one = {key: value for key, value in first.items() if isinstance(value, str) and key != "id"}
    assert rows(world, paths[name], name, **one, id=[first["id"], second["id"]])[0] == first
    assert rows(world, paths[name], name, id=first["id"], created_at="2001-01-01T00:00:00") == []


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
    (shown,) = rows(world, paths[name], name, limit=1, fields=["id", "created_at", "colour"])
    assert set(shown) == {"id", "created_at"}
    if name != "events":
        single = ask(world, f"{paths[name]}/{shown['id']}", "?fields=id").json()
        assert next(iter(single.values())) == {"id": shown["id"]}


def followed(world: World, url: str, name: str, rel: str) -> list[list[str]]:
    pages = []
    while True:
        answer = world.client.get(url, headers={"X-Auth-Token": "admin"}).json()
        pages.append([row["id"] for row in answer[name]])
        links = {link["rel"]: link["href"] for link in answer[f"{name}_links".replace("profiles_", "profile_")]}
        if rel not in links:
            return pages
        url = links[rel]


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize("limit", [60, 100])
def test_pages_follow_each_other_forward_and_back(world: World, paths: dict[str, str], name: str, limit: int):
    whole = [row["id"] for row in rows(world, paths[name], name)]
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
    assert {"id", "created_at"} <= set(plain)
    keys = data.draw(st.lists(st.tuples(st.sampled_from(plain), st.sampled_from(["asc", "desc"])), max_size=3))
    sort = ",".join(f"{key}:{way}" for key, way in keys)
    limit = data.draw(st.integers(70, MANY))
    query = f"limit={limit}{'&sort=' + sort if sort else ''}"
    whole = rows(world, paths[name], name, **({"sort": sort} if sort else {}))
    pages = followed(world, f"{paths[name]}?{query}", name, "next")
    assert list(itertools.chain(*pages)) == [row["id"] for row in whole]
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
