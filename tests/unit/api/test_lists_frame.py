"""What every list has, and who may see a list below another resource."""

from typing import Any

import pytest
from api_world import World


@pytest.fixture(scope="module")
def world(shared_world: World) -> World:
    return shared_world


@pytest.mark.parametrize(
    ("path", "links"),
    [
        ("/loadbalancers", "loadbalancers_links"),
        ("/listeners", "listeners_links"),
        ("/pools", "pools_links"),
        ("/pools/@pool/members", "members_links"),
        ("/healthmonitors", "healthmonitors_links"),
        ("/l7policies", "l7policies_links"),
        ("/flavors", "flavors_links"),
        ("/flavorprofiles", "flavorprofile_links"),
        ("/loadbalancers/@lb/events", "events_links"),
    ],
)
def test_every_list_has_links(world: World, there: Any, path: str, links: str):
    path = path.replace("@pool", there["pool"]).replace("@lb", there["lb"])
    assert world.call("GET", path, who="admin").json()[links] == []


@pytest.mark.parametrize(
    ("token", "status"),
    [("demo", 200), ("demo-reader", 200), ("admin", 200), ("demo-nobody", 403), ("other", 403), ("unscoped", 403)],
)
def test_members_are_shown_to_the_pools_project(world: World, there: Any, token: str, status: int):
    assert world.call("GET", f"/pools/{there['pool']}/members", who=token).status_code == status
