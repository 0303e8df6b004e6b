"""Filters, sorting, pages, choice of fields, and who sees what."""

from typing import Any

import pytest
import sqlalchemy as sa
from api_world import World


@pytest.fixture(scope="module")
def world(shared_world: World) -> World:
    return shared_world


@pytest.fixture(scope="module")
def five(world: World):
    return [
        world.load_balancer(name=name, tags=tags)
        for name, tags in (("b", ["x"]), ("a", ["x", "y"]), ("c", []), ("e", ["y"]), ("d", []))
    ]


@pytest.fixture(scope="module")
def another(world: World):
    body = {"loadbalancer": {"name": "z", "vip_subnet_id": world.public}}
    return world.post("/loadbalancers", body, who="other")


def names(world: World, query: str, **more: Any):
    return "".join(item["name"] for item in world.get(f"/loadbalancers{query}", **more))


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "baced"),
        ("?sort=name", "abcde"),
        ("?sort=name:desc", "edcba"),
        ("?sort_key=name&sort_dir=desc", "edcba"),
        ("?sort_key=admin_state_up&sort_key=name&sort_dir=asc&sort_dir=desc", "edcba"),
        ("?name=a&name=d", "ad"),
        ("?name=a&provider=amphora", "a"),
        ("?name=a&admin_state_up=false", ""),
        ("?admin_state_up=True", "baced"),
        ("?tags=x", "ba"),
        ("?tags=x,y", "a"),
        ("?tags-any=x,y", "bae"),
        ("?not-tags=x,y", "bced"),
        ("?not-tags-any=x,y", "cd"),
        ("?limit=2", "ba"),
        ("?limit=0", "baced"),
        ("?limit=-1", "baced"),
        ("?sort=name&limit=2", "ab"),
        ("?project_id=demo", "baced"),
        ("?tenant_id=demo&name=c", "c"),
    ],
)
def test_filters_and_order(world: World, query: str, expected: str):
    assert names(world, query) == expected


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("?colour=red", "colour"),
        ("?generation=1", "generation"),
        ("?vip_port_owned=true", "vip_port_owned"),
        ("?admin_state_up=perhaps", "admin_state_up"),
        ("?limit=many", "limit"),
        ("?sort=colour", "colour"),
        ("?sort=name:sideways", "sideways"),
        ("?marker=4f7a2f6e-0000-4000-8000-000000000000", "arker"),
    ],
)
def test_a_query_that_makes_no_sense(world: World, query: str, text: str):
    world.refused(world.call("GET", f"/loadbalancers{query}"), 400, text)


@pytest.mark.usefixtures("five")
def test_pages_are_followed_to_the_end_and_back(world: World):
    def page(url: str) -> tuple[str, dict[str, str]]:
        answer = world.client.get(url, headers={"X-Auth-Token": "demo"}).json()
        links = {link["rel"]: link["href"] for link in answer.get("loadbalancers_links", ())}
        return "".join(item["name"] for item in answer["loadbalancers"]), links

    first, links = page("/v2.0/lbaas/loadbalancers?sort=name&limit=2&admin_state_up=true")
    assert (first, set(links)) == ("ab", {"next"})
    assert links["next"].startswith("http://testserver.local/v2.0/lbaas/loadbalancers?")
    second, links = page(links["next"])
    assert (second, set(links)) == ("cd", {"next", "previous"})
    third, last_links = page(links["next"])
    assert (third, set(last_links)) == ("e", {"previous"})
    assert page(links["previous"])[0] == "ab"


def test_fields(world: World, five: Any):
    assert world.get("/loadbalancers?fields=name&fields=id&limit=1") == [{"name": "b", "id": five[0]["id"]}]
    assert world.get(f"/loadbalancers/{five[0]['id']}?fields=name") == {"name": "b"}


def test_children_are_found_by_their_parent(world: World, five: Any):
    first, second = five[:2]
    listener = world.listener(first)
    world.listener(second)
    assert [item["id"] for item in world.get(f"/listeners?loadbalancer_id={first['id']}")] == [listener["id"]]


@pytest.mark.usefixtures("five", "another")
@pytest.mark.parametrize(
    ("token", "query", "seen"),
    [
        pytest.param("demo", "", "abcde", id="own"),
        pytest.param("demo-reader", "", "abcde", id="a reader's own"),
        pytest.param("other", "", "z", id="the other's own"),
        pytest.param("admin", "", "abcdez", id="an admin sees all"),
        pytest.param("admin", "?project_id=other", "z", id="an admin asks for one"),
    ],
)
def test_lists_end_at_the_project(world: World, token: str, query: str, seen: str):
    assert "".join(sorted(names(world, query, who=token))) == seen


@pytest.mark.parametrize(
    ("token", "query"),
    [
        pytest.param("demo", "?project_id=other", id="another project"),
        pytest.param("demo-nobody", "", id="no role"),
        pytest.param("unscoped", "", id="no project"),
    ],
)
def test_lists_refused(world: World, token: str, query: str):
    world.refused(world.call("GET", f"/loadbalancers{query}", who=token), 403, "Policy does not allow")


@pytest.mark.usefixtures("five")
def test_a_page_costs_the_same_number_of_statements_whatever_its_length(world: World):
    counted = []
    engine = world.services.database._engine
    sa.event.listen(engine, "before_cursor_execute", lambda *arguments: counted.append(arguments[2]))
    world.get("/loadbalancers?limit=1")
    short = len(counted)
    counted.clear()
    world.get("/loadbalancers")
    assert len(counted) == short
