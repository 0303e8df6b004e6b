"""Amphorae, as operators look at them."""

from typing import Any

import pytest
from api_world import NOBODY, World

from hydria.model.amphora import Amphora
from hydria.model.status import AmphoraStatus
from hydria.store import amphorae

OLD, NEW = "11111111-0000-4000-8000-000000000001", "11111111-0000-4000-8000-000000000002"
NO_AMPHORA = f"Amphora {NOBODY} not found."


@pytest.fixture(scope="module")
def world(shared_world: World) -> World:
    return shared_world


@pytest.fixture(scope="module", autouse=True)
def lb(world: World) -> Any:
    """That of OLD; NEW belongs to another one."""
    lb, other = world.load_balancer(name="lb1"), world.load_balancer(name="lb2")
    old = {"status": AmphoraStatus.ALLOCATED, "image_id": "image-1", "compute_id": "server-1"}
    with world.services.database.write() as tx:
        amphorae.insert(tx, Amphora(id=OLD, loadbalancer_id=lb["id"], **old))
        amphorae.insert(
            tx, Amphora(id=NEW, loadbalancer_id=other["id"], status=AmphoraStatus.ERROR, image_id="image-2")
        )
    return lb


def octavia(world: World, method: str, path: str = "", who: str = "admin") -> Any:
    return world.client.request(method, f"/v2.0/octavia/amphorae{path}", headers={"X-Auth-Token": who})


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", (OLD, NEW)),
        ("?loadbalancer_id=@lb", (OLD,)),
        ("?image_id=image-2", (NEW,)),
        ("?image_id=image-1&image_id=image-2", (OLD, NEW)),
        ("?status=ERROR", (NEW,)),
        ("?role=MASTER", ()),
        ("?compute_id=server-1", (OLD,)),
        ("?sort=image_id:desc", (NEW, OLD)),
        (f"?id={NEW}", (NEW,)),
        ("?limit=1", (OLD,)),
        (f"?marker={OLD}", (NEW,)),
    ],
)
def test_lists(world: World, lb: Any, query: str, found: tuple[str, ...]) -> None:
    answer = octavia(world, "GET", query.replace("@lb", lb["id"])).json()
    assert tuple(one["id"] for one in answer["amphorae"]) == found
    assert bool(answer["amphorae_links"]) is ("limit" in query or "marker" in query)


@pytest.mark.parametrize("query", ["?colour=red", "?replace_for=LINK", "?marker=nobody", "?tags=x"])
def test_a_list_that_makes_no_sense(world: World, query: str) -> None:
    assert octavia(world, "GET", query).status_code == 400


def test_one_is_shown_as_clients_know_it(world: World, lb: Any) -> None:
    shown = octavia(world, "GET", f"/{OLD}").json()["amphora"]
    assert (shown["id"], shown["loadbalancer_id"], shown["status"]) == (OLD, lb["id"], "ALLOCATED")
    rest = "role compute_id lb_network_ip vrrp_ip ha_ip vrrp_port_id ha_port_id cert_expiration cert_busy updated_at "
    rest += "vrrp_interface vrrp_id vrrp_priority cached_zone created_at image_id compute_flavor"
    assert set(shown) == {"id", "loadbalancer_id", "status", *rest.split()}
    only = octavia(world, "GET", f"/{OLD}?fields=id&fields=image_id").json()["amphora"]
    assert only == {"id": OLD, "image_id": "image-1"}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("DELETE", ""), ("GET", "/stats"), ("PUT", "/config"), ("PUT", "/failover")],
    ids=lambda value: value or "itself",
)
def test_what_is_not_there(world: World, method: str, path: str) -> None:
    world.refused(octavia(world, method, f"/{NOBODY}{path}"), 404, NO_AMPHORA)


def test_nor_is_the_load_balancer(world: World) -> None:
    answer = world.call("PUT", f"/loadbalancers/{NOBODY}/failover", who="admin")
    world.refused(answer, 404, f"Load Balancer {NOBODY} not found.")


@pytest.mark.parametrize("path", ["", f"/{OLD}", f"/{OLD}/stats"])
def test_others_see_nothing(world: World, path: str) -> None:
    world.refused(octavia(world, "GET", path, "demo"), 403, "Policy does not allow this request to be performed.")
