"""Availability zones, their profiles, and what they mean to new load balancers."""

import json
from typing import Any
from urllib.parse import quote

import pytest
from api_world import NOBODY, World, refuse

from hydria.drivers.cloud import PortRequest

NULLS = "00000000-0000-0000-0000-000000000000"
PROFILE = {"name": "p", "provider_name": "amphora", "availability_zone_data": "{}"}


@pytest.fixture
def there(world: World) -> dict[str, str]:
    world.cloud.add_host("host1", zone="az1")
    zone = world.zone("east", json.dumps({"compute_zone": "az1"}), description="by the sea")
    return {
        "profile": zone["availability_zone_profile_id"],
        "idle": world.zone("idle", enabled=False)["availability_zone_profile_id"],
        "network": world.cloud.network("public").id,
        "members": world.cloud.network("members").id,
    }


def profile(world: World, **values: Any) -> Any:
    body = {"availability_zone_profile": {**PROFILE, **values}}
    return world.post("/availabilityzoneprofiles", body, who="admin")


def test_a_zone_is_known_by_its_name(world: World, there: dict[str, str]):
    shown = {"name": "east", "description": "by the sea", "enabled": True}
    shown["availability_zone_profile_id"] = there["profile"]
    assert world.get("/availabilityzones/east") == shown
    assert world.get("/availabilityzones?enabled=true") == [shown]
    changed = {**shown, "description": "", "enabled": False}
    body = {"availability_zone": {"description": None, "enabled": False}}
    assert world.put("/availabilityzones/east", body, who="admin") == changed
    assert world.get("/availabilityzones/east") == changed
    world.delete("/availabilityzones/east", who="admin")
    world.refused(world.call("GET", "/availabilityzones/east"), 404, "Availability Zone east not found.")
    assert [zone["name"] for zone in world.get("/availabilityzones")] == ["idle"]


@pytest.mark.parametrize("name", ["ost 1", "östlich", "x" * 255, "a.b", "nova:host", NOBODY, "default", "50 % off"])
def test_any_name_can_be_asked_for(world: World, name: str):
    world.zone(name)
    path = f"/availabilityzones/{quote(name)}"
    assert world.get(path)["name"] == name
    world.put(path, {"availability_zone": {"enabled": False}}, who="admin")
    assert [zone["enabled"] for zone in world.get("/availabilityzones")] == [False]
    world.delete(path, who="admin")
    assert world.get("/availabilityzones") == []


def test_a_profile(world: World):
    data = {"compute_zone": None, "management_network": world.cloud.network("members").id}
    made = profile(world, availability_zone_data=json.dumps(data))
    assert made == {**PROFILE, "id": made["id"], "availability_zone_data": json.dumps(data)}
    path = f"/availabilityzoneprofiles/{made['id']}"
    assert world.get(path, who="admin") == made
    body = {"availability_zone_profile": {"name": "q", "provider_name": "octavia", "availability_zone_data": "{}"}}
    changed = {**made, **body["availability_zone_profile"]}
    assert world.put(path, body, who="admin") == changed
    assert world.get("/availabilityzoneprofiles", who="admin") == [changed]
    world.delete(path, who="admin")
    assert world.get("/availabilityzoneprofiles", who="admin") == []


def test_capabilities_are_the_keys(world: World):
    path = "/providers/amphora/availability_zone_capabilities"
    listed = world.get(path, who="admin")
    assert {item["name"] for item in listed} == {
        "compute_zone", "volume_zone", "management_network", "valid_vip_networks",
    }  # fmt: skip
    assert all(item["description"] for item in listed)
    assert world.get(path.replace("amphora", "octavia"), who="admin") == listed
    (only,) = world.get(f"{path}?name=compute_zone&fields=description", who="admin")
    assert only == {"description": "The compute availability zone."}
    world.refused(world.call("GET", path), 403, "Policy")
    world.refused(world.call("GET", "/providers/f5/availability_zone_capabilities", who="admin"), 400, "f5")


ZONE = "availability_zone"
AS_PROFILE = "availability_zone_profile"
ZONES, PROFILES = "/availabilityzones", "/availabilityzoneprofiles"


def data(**values: Any) -> dict[str, Any]:
    return {AS_PROFILE: {**PROFILE, "availability_zone_data": json.dumps(values)}}


@pytest.mark.parametrize(
    ("request_", "body", "fault"),
    [
        pytest.param(f"POST {ZONES}", {ZONE: {"name": "a"}}, (400, f"{AS_PROFILE}_id"), id="no profile"),
        pytest.param(f"POST {ZONES}", {ZONE: {f"{AS_PROFILE}_id": "@profile"}}, (400, "name"), id="no name"),
        pytest.param(f"POST {ZONES}", {ZONE: {"name": "", f"{AS_PROFILE}_id": "@profile"}}, (400, "name"), id="empty"),
        pytest.param(
            f"POST {ZONES}", {ZONE: {"name": "x" * 256, f"{AS_PROFILE}_id": "@profile"}}, (400, "name"), id="long"
        ),
        pytest.param(
            f"POST {ZONES}",
            {ZONE: {"name": "a", f"{AS_PROFILE}_id": NOBODY}},
            (400, f"Availability Zone Profile {NOBODY} not found."),
            id="missing profile",
        ),
        pytest.param(
            f"POST {ZONES}",
            {ZONE: {"name": "east", f"{AS_PROFILE}_id": "@profile"}},
            (409, "An availability zone of east already exists."),
            id="a name twice",
        ),
        pytest.param(
            f"POST {ZONES}", {ZONE: {"name": NULLS, f"{AS_PROFILE}_id": "@profile"}}, (409, NULLS), id="nobody's name"
        ),
        pytest.param(f"PUT {ZONES}/east", {ZONE: {"name": "west"}}, (400, "name"), id="another name"),
        pytest.param(
            f"PUT {ZONES}/east", {ZONE: {f"{AS_PROFILE}_id": "@idle"}}, (400, f"{AS_PROFILE}_id"), id="another profile"
        ),
        pytest.param(f"PUT {ZONES}/east", {ZONE: {"enabled": "perhaps"}}, (400, "enabled"), id="enabled"),
        pytest.param(f"PUT {ZONES}/west", {ZONE: {}}, (404, "Availability Zone west not found."), id="no such zone"),
        pytest.param(f"DELETE {ZONES}/{NULLS}", None, (404, "not found"), id="nobody's"),
        pytest.param(f"GET {ZONES}/{NULLS}", None, (404, "not found"), id="nobody's shown"),
        pytest.param(f"POST {PROFILES}", data(compute_zone="mars"), (400, "mars not found"), id="compute zone"),
        pytest.param(
            f"POST {PROFILES}",
            data(management_network=NOBODY),
            (400, f"Network {NOBODY} not found."),
            id="management network",
        ),
        pytest.param(
            f"POST {PROFILES}", data(management_network="public"), (400, "Network public"), id="a network's name"
        ),
        pytest.param(f"POST {PROFILES}", data(valid_vip_networks=[NOBODY]), (400, NOBODY), id="VIP network"),
        pytest.param(f"POST {PROFILES}", data(compute_zone=5), (501, "compute_zone"), id="type"),
        pytest.param(f"POST {PROFILES}", data(valid_vip_networks="x"), (501, "valid_vip_networks"), id="no list"),
        pytest.param(f"POST {PROFILES}", data(colour="red"), (501, "colour"), id="unknown key"),
        pytest.param(
            f"POST {PROFILES}", {AS_PROFILE: {**PROFILE, "availability_zone_data": "{"}}, (400, "JSON"), id="no JSON"
        ),
        pytest.param(
            f"POST {PROFILES}", {AS_PROFILE: {**PROFILE, "availability_zone_data": "[]"}}, (400, "JSON"), id="no object"
        ),
        pytest.param(
            f"POST {PROFILES}", {AS_PROFILE: {**PROFILE, "provider_name": "f5"}}, (400, "'f5'"), id="provider"
        ),
        pytest.param(
            f"PUT {PROFILES}/@profile",
            {AS_PROFILE: {"provider_name": "octavia"}},
            (409, "in use"),
            id="provider in use",
        ),
        pytest.param(
            f"PUT {PROFILES}/@profile",
            {AS_PROFILE: {"availability_zone_data": "{}"}},
            (409, "in use"),
            id="data in use",
        ),
        pytest.param(f"DELETE {PROFILES}/@profile", None, (409, "in use"), id="profile in use"),
        pytest.param(f"DELETE {PROFILES}/{NOBODY}", None, (404, "not found"), id="no such profile"),
    ],
)
def test_refused(world: World, there: dict[str, str], request_: str, body: Any, fault: tuple[int, str]):
    refuse(world, there, request_, body, fault, who="admin")


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        pytest.param(f"POST {ZONES}", {ZONE: {"name": "a", f"{AS_PROFILE}_id": "@profile"}}, id="make a zone"),
        pytest.param(f"PUT {ZONES}/east", {ZONE: {"enabled": False}}, id="change a zone"),
        pytest.param(f"DELETE {ZONES}/idle", None, id="delete a zone"),
        pytest.param(f"GET {PROFILES}", None, id="list profiles"),
        pytest.param(f"GET {PROFILES}/@profile", None, id="show a profile"),
        pytest.param(f"POST {PROFILES}", {AS_PROFILE: PROFILE}, id="make a profile"),
        pytest.param(f"PUT {PROFILES}/@profile", {AS_PROFILE: {"name": "x"}}, id="change a profile"),
        pytest.param(f"DELETE {PROFILES}/@profile", None, id="delete a profile"),
    ],
)
def test_they_are_the_operators(world: World, there: dict[str, str], request_: str, body: Any):
    refuse(world, there, request_, body, (403, "Policy does not allow"))


def test_a_profile_in_use_can_have_another_name(world: World, there: dict[str, str]):
    path = f"{PROFILES}/{there['profile']}"
    assert world.put(path, {AS_PROFILE: {"name": "new"}}, who="admin")["name"] == "new"


def test_a_load_balancer_in_a_zone(world: World, there: dict[str, str]):
    lb = world.load_balancer(availability_zone="east")
    assert lb["availability_zone"] == "east"
    assert world.get("/loadbalancers?availability_zone=east")[0]["id"] == lb["id"]
    refuse(world, there, f"DELETE {ZONES}/east", None, (409, "in use"), who="admin")
    world.put(f"{ZONES}/east", {ZONE: {"enabled": False}}, who="admin")
    refuse(world, there, f"PUT /loadbalancers/{lb['id']}", {"loadbalancer": {ZONE: None}}, (400, ZONE))
    world.delete(f"/loadbalancers/{lb['id']}")
    refuse(world, there, f"DELETE {ZONES}/east", None, (409, "in use"), who="admin")  # until it is gone
    world.settle()
    world.delete(f"{ZONES}/east", who="admin")


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        pytest.param("west", "Availability zone west not found.", id="missing"),
        pytest.param("idle", "availability zone is not allowed in this deployment: idle", id="disabled"),
        pytest.param(NULLS, "not found", id="nobody's"),
        pytest.param("", "not found", id="empty"),
        pytest.param(5, "availability_zone", id="no text"),
    ],
)
def test_a_zone_that_cannot_be_had(world: World, there: dict[str, str], zone: Any, text: str):
    body = {"loadbalancer": {"vip_subnet_id": world.public, ZONE: zone}}
    refuse(world, there, "POST /loadbalancers", body, (400, text))


@pytest.mark.parametrize("vip", ["vip_subnet_id", "vip_network_id", "vip_port_id"])
@pytest.mark.parametrize(
    ("valid", "allowed"),
    [
        pytest.param(None, True, id="not said"),
        pytest.param([], True, id="none named"),
        pytest.param(["network"], True, id="this one"),
        pytest.param(["members", "network"], True, id="this one too"),
        pytest.param(["members"], False, id="another one"),
    ],
)
def test_vips_are_in_networks_of_the_zone(world: World, there: dict[str, str], valid: Any, allowed: bool, vip: str):
    networks = None if valid is None else [there[name] for name in valid]
    world.zone("zone", json.dumps({"valid_vip_networks": networks}))
    own = {"vip_subnet_id": world.public, "vip_network_id": there["network"]}
    if vip == "vip_port_id":
        own[vip] = world.cloud.create_port(PortRequest(network_id=there["network"], name="p", project_id="demo")).id
    body = {vip: own[vip], ZONE: "zone"}
    if allowed:
        assert world.post("/loadbalancers", {"loadbalancer": body})["vip_network_id"] == there["network"]
    else:
        refuse(world, there, "POST /loadbalancers", {"loadbalancer": body}, (400, there["members"]))
