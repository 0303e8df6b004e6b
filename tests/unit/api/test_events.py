"""The reasons of a load balancer, in pages."""

from typing import Any

import pytest
from api_world import World

from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Member
from hydria.store import events


@pytest.fixture(scope="module")
def world(shared_world: World) -> World:
    return shared_world


@pytest.fixture(scope="module")
def lb(world: World) -> Any:
    """Of the reasons 1 to 7 the even ones are a member's; another one's is beside them."""
    made, other = world.load_balancer(), world.load_balancer()
    for number in range(1, 8):
        with world.services.database.write() as tx:
            if number % 2:
                events.record(tx, made["id"], LoadBalancer, made["id"], level="ERROR", reason=str(number))
            else:
                events.record(tx, made["id"], Member, "member-1", level="WARNING", reason=str(number))
    with world.services.database.write() as tx:
        events.record(tx, other["id"], LoadBalancer, other["id"], level="ERROR", reason="another")
    return made


def page(world: World, url: str) -> tuple[str, dict[str, str]]:
    answer = world.client.get(url, headers={"X-Auth-Token": "demo"})
    assert answer.status_code == 200, answer.text
    content = answer.json()
    links = {link["rel"]: link["href"] for link in content.get("events_links", ())}
    return "".join(event["reason"] for event in content["events"]), links


@pytest.mark.parametrize(
    ("query", "reasons"),
    [
        ("", "7654321"),
        ("?sort=created_at:asc", "1234567"),
        ("?limit=3", "765"),
        ("?level=ERROR", "7531"),
        ("?level=ERROR&level=WARNING", "7654321"),
        ("?resource_type=member&limit=2", "64"),
        ("?resource_id=member-1", "642"),
        ("?resource_id=member-2", ""),
        ("?loadbalancer_id=another", "7654321"),
    ],
)
def test_filters_and_order(world: World, lb: Any, query: str, reasons: str) -> None:
    assert page(world, f"/v2/lbaas/loadbalancers/{lb['id']}/events{query}")[0] == reasons


def test_pages_are_followed_to_the_end_and_back(world: World, lb: Any) -> None:
    first, links = page(world, f"/v2/lbaas/loadbalancers/{lb['id']}/events?limit=3")
    assert (first, set(links)) == ("765", {"next"})
    second, links = page(world, links["next"])
    assert (second, set(links)) == ("432", {"next", "previous"})
    assert page(world, links["previous"])[0] == "765"
    third, links = page(world, links["next"])
    assert (third, set(links)) == ("1", {"previous"})


def test_one_has_these_fields(world: World, lb: Any) -> None:
    newest = world.get(f"/loadbalancers/{lb['id']}/events?limit=1")[0]
    assert set(newest) == {"id", "loadbalancer_id", "resource_type", "resource_id", "level", "reason", "created_at"}
    assert world.get(f"/loadbalancers/{lb['id']}/events?limit=1&fields=reason") == [{"reason": "7"}]


@pytest.mark.parametrize(
    ("query", "text"),
    [("?colour=red", "colour"), ("?marker=nobody", "marker"), ("?limit=x", "limit"), ("?tags=x", "tags")],
)
def test_a_query_that_makes_no_sense(world: World, lb: Any, query: str, text: str) -> None:
    world.refused(world.call("GET", f"/loadbalancers/{lb['id']}/events{query}"), 400, text)
