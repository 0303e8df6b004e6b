"""Servers over the Compute API: create, show, list, interfaces, actions, and what is refused."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from compute_http import NOBODY, ComputeClient, create, flavor_body, served
from compute_world import World, until

from hydria.cloud.compute import api


@pytest.fixture
def call(world: World) -> Iterator[ComputeClient]:
    with served(world, api.router) as client:
        yield ComputeClient(client)


def test_server(call: ComputeClient, world: World):
    port = world.port("public")
    user_data = b'#cloud-config\n{"write_files": []}'
    server_id = create(
        call,
        world,
        ports=[{"port": port.id}],
        user_data=base64.b64encode(user_data).decode(),
        config_drive=True,
        metadata={"a": "b"},
        tags=["t"],
    )
    shown = call.ok("GET", f"/servers/{server_id}")["server"]
    assert (shown["status"], shown["OS-EXT-STS:vm_state"], shown["OS-EXT-STS:power_state"]) == ("ACTIVE", "active", 1)
    assert (shown["metadata"], shown["tags"], shown["config_drive"]) == ({"a": "b"}, ["t"], "True")
    assert (shown["OS-EXT-SRV-ATTR:host"], shown["OS-EXT-AZ:availability_zone"]) == ("host1", "nova")
    assert shown["flavor"]["original_name"] == "small"
    assert [name for name, addresses in shown["addresses"].items() for _ in addresses] == ["mgmt", "public"]
    assert shown["addresses"]["public"][0]["OS-EXT-IPS-MAC:mac_addr"] == port.mac_address
    assert "fault" not in shown
    assert world.hypervisor.files[server_id] == user_data
    old = call.ok("GET", f"/servers/{server_id}", version="2.1")["server"]
    assert old["flavor"]["id"] == "f"
    assert "tags" not in old
    assert call("DELETE", f"/servers/{server_id}").status_code == 204
    until(lambda: call("GET", f"/servers/{server_id}").status_code == 404)
    world.balanced()


def test_server_list_filters_and_pages(call: ComputeClient, world: World):
    ids = [create(call, world, name=name) for name in ("amphora-1", "amphora-2", "other")]
    newest_first = ids[::-1]

    def listed(query: str) -> list[str]:
        return [server["id"] for server in call.ok("GET", f"/servers{query}")["servers"]]

    assert listed("") == newest_first
    assert listed("?name=^amphora") == [ids[1], ids[0]]
    assert listed("?status=ACTIVE&host=host1") == newest_first
    assert listed("?status=ERROR") == []
    assert listed("?all_tenants=True&deleted=False") == newest_first
    assert listed(f"?limit=1&marker={ids[2]}") == [ids[1]]
    page = call.ok("GET", "/servers/detail?limit=2")
    assert [server["id"] for server in page["servers"]] == newest_first[:2]
    (link,) = page["servers_links"]
    assert f"marker={ids[1]}" in link["href"]
    assert call.ok("GET", "/servers", user="member")["servers"] == []


def test_server_in_error_shows_the_fault(call: ComputeClient, world: World):
    world.hypervisor.fail = "it would not boot"
    server_id = create(call, world)
    shown = call.ok("GET", f"/servers/{server_id}")["server"]
    assert shown["status"] == "ERROR"
    assert (shown["fault"]["code"], shown["fault"]["message"]) == (500, "it would not boot")
    assert shown["fault"]["created"]


def test_interfaces(call: ComputeClient, world: World):
    server_id = create(call, world)
    port = world.port("members")
    attach = {"interfaceAttachment": {"port_id": port.id}}
    answer = call("POST", f"/servers/{server_id}/os-interface", attach)
    assert answer.status_code == 200
    attached = answer.json()["interfaceAttachment"]
    assert (attached["port_id"], attached["mac_addr"], attached["port_state"]) == (port.id, port.mac_address, "ACTIVE")
    by_network = {"interfaceAttachment": {"net_id": world.networks["members"]}}
    made = call.ok("POST", f"/servers/{server_id}/os-interface", by_network)["interfaceAttachment"]["port_id"]
    assert len(call.ok("GET", f"/servers/{server_id}/os-interface")["interfaceAttachments"]) == 3
    assert call.fault("POST", f"/servers/{server_id}/os-interface", attach)[:2] == (409, "conflictingRequest")
    for port_id in (port.id, made):
        assert call("DELETE", f"/servers/{server_id}/os-interface/{port_id}").status_code == 202
        assert call.fault("DELETE", f"/servers/{server_id}/os-interface/{port_id}")[0] == 404
    (left,) = call.ok("GET", f"/servers/{server_id}/os-interface")["interfaceAttachments"]
    assert left["net_id"] == world.networks["mgmt"]
    unknown = {"interfaceAttachment": {"port_id": NOBODY}}
    assert call.fault("POST", f"/servers/{server_id}/os-interface", unknown)[:2] == (404, "itemNotFound")
    world.balanced()


def test_actions(call: ComputeClient, world: World):
    server_id = create(call, world)
    action = f"/servers/{server_id}/action"
    output = call("POST", action, {"os-getConsoleOutput": {"length": 1}})
    assert (output.status_code, output.json()) == (200, {"output": f"{server_id}\n"})
    for body, after in (
        ({"os-stop": None}, "SHUTOFF"),
        ({"os-start": None}, "ACTIVE"),
        ({"reboot": {"type": "SOFT"}}, "ACTIVE"),
        ({"reboot": {"type": "HARD"}}, "ACTIVE"),
    ):
        assert call("POST", action, body).status_code == 202
        until(lambda after=after: call.ok("GET", f"/servers/{server_id}")["server"]["status"] == after)
    assert call.fault("POST", action, {"os-start": None})[:2] == (409, "conflictingRequest")
    call.ok("POST", action, {"os-resetState": {"state": "error"}})
    assert call.ok("GET", f"/servers/{server_id}")["server"]["status"] == "ERROR"
    assert call.fault("POST", action, {"explode": {}})[0] == 400


@pytest.mark.parametrize(
    ("values", "word"),
    [
        pytest.param({"networks": [{"uuid": NOBODY}]}, NOBODY, id="unknown network"),
        pytest.param({"networks": [{"port": NOBODY}]}, NOBODY, id="unknown port"),
        pytest.param({"networks": [{}]}, "networks", id="neither port nor network"),
        pytest.param({"imageRef": NOBODY}, "Can not find requested image", id="unknown image"),
        pytest.param({"imageRef": "amphora"}, "Invalid imageRef provided.", id="name of an image"),
        pytest.param({"user_data": "?"}, "base64", id="user data"),
        pytest.param({"user_data": base64.b64encode(b"#cloud-config\n{").decode()}, "cloud-config", id="cloud config"),
        pytest.param({"availability_zone": "mars"}, "availability zone", id="zone"),
        pytest.param({"availability_zone": "nova:mars"}, "mars", id="forced host"),
        pytest.param({"max_count": 3}, "max_count", id="several"),
        pytest.param({"metadata": {"a": 1}}, "metadata", id="metadata"),
        pytest.param({"colour": "red"}, "colour", id="unknown field"),
    ],
)
def test_bad_server_requests_change_nothing(call: ComputeClient, world: World, values: dict[str, Any], word: str):
    call.ok("POST", "/flavors", flavor_body(id="f"))
    server = {"name": "s", "flavorRef": "f", "networks": "none", **values}
    status, name, message = call.fault("POST", "/servers", {"server": server})
    assert (status, name) == (400, "badRequest")
    assert word in message
    assert call.ok("GET", "/servers")["servers"] == []
    if "user_data" not in values:
        assert world.hypervisor.files == {}
