"""The Placement API of the embedded cloud, read as clients read it."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from compute_fakes import FakeNics, Points
from compute_http import NOBODY, served
from compute_world import ADMIN, PROJECT, World, until
from litestar import Litestar
from litestar.testing import TestClient
from running_cloud import RunningCloud

from hydria.cloud.compute.aggregates import CreateAggregate
from hydria.cloud.resource_providers import api
from hydria.cloud.resource_providers.providers import OVERCOMMIT, VFS
from hydria.sriov.inventory import VfId


class Client:
    def __init__(self, client: TestClient[Litestar]) -> None:
        self._client = client

    def __call__(self, path: str, *, version: str = "1.39", user: str = "admin", method: str = "GET") -> httpx.Response:
        headers = {"X-Auth-Token": user, "OpenStack-API-Version": f"placement {version}"}
        return self._client.request(method, f"/placement{path}", headers=headers)

    def ok(self, path: str, **options: str) -> Any:
        answer = self(path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def named(self, name: str) -> dict[str, Any]:
        (found,) = self.ok(f"/resource_providers?name={name}")["resource_providers"]
        return dict(found)

    def of(self, name: str, what: str) -> Any:
        return self.ok(f"/resource_providers/{self.named(name)['uuid']}/{what}")[what]


@pytest.fixture
def call(world: World) -> Iterator[Client]:
    with served(world, api.router) as client:
        yield Client(client)


def running(world: World, *networks: str) -> str:
    server_id = world.create(world.flavor(), *(world.port(network).id for network in networks))
    until(lambda: world.status(server_id) == "ACTIVE")
    return server_id


def test_a_host_and_a_child_for_each_pf(call: Client):
    found = call.ok("/resource_providers")["resource_providers"]
    assert [one["name"] for one in found] == ["host1", "host1:pf-members", "host1:pf-public"]
    host, *pfs = found
    assert (host["parent_provider_uuid"], host["root_provider_uuid"]) == (None, host["uuid"])
    assert {(pf["parent_provider_uuid"], pf["root_provider_uuid"]) for pf in pfs} == {(host["uuid"], host["uuid"])}
    assert call.ok(f"/resource_providers/{host['uuid']}") == host
    assert {link["rel"] for link in host["links"]} == {"self", *api.LINKS}


def test_vfs_are_inventory_and_claims_are_usage(call: Client, world: World):
    world.nics.foreign[VfId("pf-public", 3)] = "vfio-pci"
    before = call.named("host1:pf-public")["generation"]
    server_id = running(world, "public", "public")
    assert call.of("host1:pf-public", "inventories")[VFS] == {
        "total": 4,
        "reserved": 1,
        "min_unit": 1,
        "max_unit": 4,
        "step_size": 1,
        "allocation_ratio": 1.0,
    }
    assert call.of("host1:pf-public", "usages") == {VFS: 2}
    assert call.of("host1:pf-members", "usages") == {VFS: 0}
    assert call.of("host1:pf-public", "allocations") == {server_id: {"resources": {VFS: 2}}}
    assert call.of("host1:pf-public", "traits") == ["CUSTOM_PHYSNET_PUBLIC", "CUSTOM_VNIC_TYPE_DIRECT", "HW_NIC_SRIOV"]
    assert call.named("host1:pf-public")["generation"] != before
    own = call.ok(f"/allocations/{server_id}")
    assert (own["project_id"], own["user_id"]) == (PROJECT, "u1")
    assert [one["resources"] for one in own["allocations"].values()] == [{"MEMORY_MB": 64, "VCPU": 1}, {VFS: 2}]
    assert call.ok(f"/usages?project_id={PROJECT}")["usages"] == {"MEMORY_MB": 64, "VCPU": 1, VFS: 2}
    assert call.ok(f"/allocations/{NOBODY}") == {"allocations": {}}


def test_cpu_memory_and_disk_have_no_limit_and_say_so(call: Client, world: World):
    running(world)
    inventories = call.of("host1", "inventories")
    assert set(inventories) == {"VCPU", "MEMORY_MB", "DISK_GB"}
    assert all(one["total"] > 0 and one["allocation_ratio"] > 1000 for one in inventories.values())
    assert call.of("host1", "usages") == {"DISK_GB": 0, "MEMORY_MB": 64, "VCPU": 1}
    assert call.of("host1", "traits") == [OVERCOMMIT]


def test_vfs_without_link_are_reserved(call: Client, world: World):
    running(world, "public")
    world.nics.down.add("pf-public")
    inventory = call.of("host1:pf-public", "inventories")[VFS]
    assert (inventory["total"], inventory["reserved"]) == (4, 3)
    assert call.of("host1:pf-public", "usages") == {VFS: 1}


def test_a_pf_that_is_gone_keeps_what_is_claimed(call: Client, world: World):
    running(world, "public")
    world.nics.lose_pf("pf-public")
    assert call.of("host1:pf-public", "inventories")[VFS]["total"] == 1
    assert call.of("host1:pf-public", "usages") == {VFS: 1}
    assert "CUSTOM_PHYSNET_PUBLIC" in call.of("host1:pf-public", "traits")


def test_aggregates_are_the_hosts(call: Client, world: World):
    aggregate = world.compute.aggregates.create(ADMIN, CreateAggregate(name="sriov"))
    world.compute.aggregates.add_host(ADMIN, aggregate.id, "host1")
    assert call.of("host1", "aggregates") == [aggregate.uuid]
    found = call.ok(f"/resource_providers?member_of={aggregate.uuid}")["resource_providers"]
    assert [one["name"] for one in found] == ["host1"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("name=host1:pf-public", ["host1:pf-public"], id="name"),
        pytest.param("resources=SRIOV_NET_VF:4", ["host1:pf-members"], id="what is free"),
        pytest.param("resources=SRIOV_NET_VF:2", ["host1:pf-members", "host1:pf-public"], id="enough in both"),
        pytest.param("required=HW_NIC_SRIOV,CUSTOM_PHYSNET_MEMBERS", ["host1:pf-members"], id="traits"),
        pytest.param("required=!HW_NIC_SRIOV", ["host1"], id="not a trait"),
        pytest.param(f"uuid={NOBODY}", [], id="uuid"),
        pytest.param(f"in_tree={NOBODY}", [], id="tree of nobody"),
    ],
)
def test_filters(call: Client, world: World, query: str, names: list[str]):
    running(world, "public")
    assert [one["name"] for one in call.ok(f"/resource_providers?{query}")["resource_providers"]] == names


def test_in_tree_is_the_host_with_its_pfs(call: Client):
    child = call.named("host1:pf-public")["uuid"]
    assert len(call.ok(f"/resource_providers?in_tree={child}")["resource_providers"]) == 3


@pytest.mark.parametrize(
    ("path", "options", "status", "word"),
    [
        pytest.param(f"/resource_providers/{NOBODY}", {}, 404, NOBODY, id="no such provider"),
        pytest.param("/resource_providers?colour=red", {}, 400, "colour", id="unknown filter"),
        pytest.param("/resource_providers?uuid=x", {}, 400, "UUID", id="no UUID"),
        pytest.param("/resource_providers?resources=VFS", {}, 400, "VFS", id="no amount"),
        pytest.param(
            "/resource_providers?in_tree=x", {"version": "1.13"}, 400, "in_tree", id="filter of a later version"
        ),
        pytest.param("/traits", {"version": "1.5"}, 404, "1.6", id="path of a later version"),
        pytest.param("/resource_providers", {"version": "1.99"}, 406, "1.39", id="version to come"),
        pytest.param("/resource_providers", {"version": "x"}, 400, "Version", id="no version"),
        pytest.param("/resource_providers", {"user": "member"}, 403, "placement", id="for administrators"),
        pytest.param("/resource_providers", {"method": "POST"}, 405, "only be read", id="create"),
        pytest.param(f"/resource_providers/{NOBODY}", {"method": "DELETE"}, 405, "only be read", id="delete"),
        pytest.param(f"/resource_providers/{NOBODY}/inventories", {"method": "PUT"}, 405, "only be read", id="set"),
        pytest.param(f"/allocations/{NOBODY}", {"method": "PUT"}, 405, "only be read", id="allocate"),
        pytest.param("/usages", {}, 400, "project_id", id="usages of no project"),
    ],
)
def test_refusals(call: Client, path: str, options: dict[str, str], status: int, word: str):
    answer = call(path, **options)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["status"]) == (status, status)
    assert word in error["detail"]
    # A method that no route has is refused before the routes' middleware.
    assert status == 405 or answer.headers["OpenStack-API-Version"].startswith("placement 1.")


def test_discovery_needs_no_token(call: Client):
    (version,) = call.ok("/", user="nobody")["versions"]
    assert (version["id"], version["min_version"], version["max_version"]) == ("v1.0", "1.0", "1.39")


@pytest.mark.client
def test_official_client(cloud: RunningCloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cloud.services.compute.hosts, "_nics", FakeNics(Points(), vfs=3))

    def openstack(line: str) -> list[str]:
        newest = ("--os-placement-api-version", "1.39")
        return cloud.openstack(*newest, *line.split(), "-f", "value").splitlines()

    providers = {line.split()[1]: line.split()[0] for line in openstack("resource provider list -c uuid -c name")}
    assert set(providers) == {"host1", "host1:pf-public", "host1:pf-members"}
    pf = providers["host1:pf-public"]
    assert openstack(f"resource provider show {pf} -c name -c parent_provider_uuid") == [
        "host1:pf-public",
        providers["host1"],
    ]
    assert openstack(f"resource provider inventory list {pf} -c resource_class -c total -c used") == [f"{VFS} 3 0"]
    assert openstack(f"resource provider usage show {pf}") == [f"{VFS} 0"]
    assert "CUSTOM_PHYSNET_PUBLIC" in openstack(f"resource provider trait list {pf}")
    assert openstack(f"resource provider aggregate list {pf}") == []
