"""The Compute API over HTTP: paths, bodies, status codes and versions as clients of Nova know them."""

from collections.abc import Iterator
from typing import Any

import pytest
from compute_fakes import NETWORKS
from compute_http import MEMBER, NOBODY, VERSION, ComputeClient, create, flavor_body, served
from compute_world import ADMIN, World, until

from hydria.cloud.compute import api
from hydria.sriov.inventory import VfId


@pytest.fixture
def call(world: World) -> Iterator[ComputeClient]:
    with served(world, api.router) as client:
        yield ComputeClient(client)


def test_discovery(call: ComputeClient):
    document = call.ok("GET", "/")["version"]
    assert (document["version"], document["min_version"], document["id"]) == ("2.100", "2.1", "v2.1")
    assert document["links"][0]["href"].endswith("/compute/v2.1/")


@pytest.mark.parametrize(
    ("header", "status", "echoed"),
    [
        pytest.param("compute 2.81", 200, "compute 2.81", id="asked for"),
        pytest.param("compute latest", 200, "compute 2.100", id="latest"),
        pytest.param("volume 3.1, compute 2.5", 200, "compute 2.5", id="among others"),
        pytest.param("volume 3.1", 200, "compute 2.1", id="of another service"),
        pytest.param("compute 2.101", 406, "compute 2.1", id="too new"),
        pytest.param("compute 3.1", 406, "compute 2.1", id="other major"),
        pytest.param("compute x", 400, "compute 2.1", id="no version"),
    ],
)
def test_microversions(call: ComputeClient, header: str, status: int, echoed: str):
    answer = call._client.get("/compute/v2.1/flavors/detail", headers={"X-Auth-Token": "admin", VERSION: header})
    assert answer.status_code == status
    assert answer.headers[VERSION] == echoed
    assert VERSION in answer.headers["Vary"]


def test_guides_aggregate_steps(call: ComputeClient):
    created = call("POST", "/os-aggregates", {"aggregate": {"name": "sriov_aggregate"}})
    assert created.status_code == 200
    aggregate = created.json()["aggregate"]
    assert (aggregate["id"], aggregate["hosts"], aggregate["metadata"]) == (1, [], {})
    assert call.fault("GET", "/os-aggregates/sriov_aggregate")[:2] == (404, "itemNotFound")
    call.ok("POST", "/os-aggregates/1/action", {"add_host": {"host": "host1"}})
    for metadata in ({"sriov-nic": "true"}, {"public-sriov": "true", "sriov-nic": None}):
        call.ok("POST", "/os-aggregates/1/action", {"set_metadata": {"metadata": metadata}})
    (shown,) = call.ok("GET", "/os-aggregates")["aggregates"]
    assert (shown["hosts"], shown["metadata"]) == (["host1"], {"public-sriov": "true"})
    assert call.fault("DELETE", "/os-aggregates/1")[:2] == (400, "badRequest")
    call.ok("POST", "/os-aggregates/1/action", {"remove_host": {"host": "host1"}})
    assert call("DELETE", "/os-aggregates/1").status_code == 200
    assert call.ok("GET", "/os-aggregates")["aggregates"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        pytest.param(
            "POST",
            "/os-aggregates",
            {"aggregate": {"name": "a"}},
            (409, "conflictingRequest", "Aggregate a already exists."),
            id="duplicate aggregate",
        ),
        pytest.param(
            "POST",
            "/os-aggregates/1/action",
            {"add_host": {"host": "nowhere"}},
            (404, "itemNotFound", "Compute host nowhere could not be found."),
            id="unknown host",
        ),
        pytest.param(
            "POST",
            "/os-aggregates/1/action",
            {"remove_host": {"host": "host1"}},
            (404, "itemNotFound", "Aggregate 1 has no host host1."),
            id="host not in aggregate",
        ),
        pytest.param(
            "POST",
            "/os-aggregates",
            {"aggregate": {"name": ""}},
            (
                400,
                "badRequest",
                "Invalid input for field/attribute name. Value: ''. Expected `str` of length >= 1.",
            ),
            id="empty name",
        ),
        pytest.param(
            "POST",
            "/os-aggregates",
            {"aggregate": {"name": "b", "colour": "red"}},
            (
                400,
                "badRequest",
                (
                    "Invalid input for field/attribute aggregate. Value: '...'. "
                    "Additional properties are not allowed ('colour' was unexpected)."
                ),
            ),
            id="unknown field",
        ),
        pytest.param(
            "POST",
            "/os-aggregates",
            {},
            (
                400,
                "badRequest",
                "Invalid input for field/attribute aggregate. Value: 'None'. 'aggregate' is a required property.",
            ),
            id="no envelope",
        ),
        pytest.param(
            "GET",
            "/flavors/nothing",
            None,
            (404, "itemNotFound", "Flavor nothing could not be found."),
            id="unknown flavor",
        ),
        pytest.param(
            "GET",
            f"/servers/{NOBODY}",
            None,
            (404, "itemNotFound", f"Instance {NOBODY} could not be found."),
            id="unknown server",
        ),
        pytest.param(
            "POST",
            "/servers",
            {"server": {"name": "s", "flavorRef": "nothing", "networks": "none"}},
            (400, "badRequest", "Flavor nothing could not be found."),
            id="server of an unknown flavor",
        ),
        pytest.param(
            "GET",
            f"/os-server-groups/{NOBODY}",
            None,
            (404, "itemNotFound", f"Instance group {NOBODY} could not be found."),
            id="unknown group",
        ),
        pytest.param(
            "GET",
            "/servers?name=(",
            None,
            (
                400,
                "badRequest",
                (
                    "Invalid input for field/attribute name. Value: '('. It is no regular expression: "
                    "missing ), unterminated subpattern at position 0."
                ),
            ),
            id="bad name filter",
        ),
        pytest.param(
            "GET", "/servers?marker=x", None, (400, "badRequest", "marker [x] not found"), id="unknown marker"
        ),
    ],
)
def test_faults(call: ComputeClient, method: str, path: str, body: Any, expected: tuple[int, str, str]):
    call.ok("POST", "/os-aggregates", {"aggregate": {"name": "a"}})
    before = call.ok("GET", "/os-aggregates")
    assert call.fault(method, path, body) == expected
    assert call.ok("GET", "/os-aggregates") == before


def test_guides_flavor(call: ComputeClient):
    body = flavor_body(
        **{"id": "amphora-sriov-flavor", "os-flavor-access:is_public": False, "swap": 0, "OS-FLV-EXT-DATA:ephemeral": 0}
    )
    assert call("POST", "/flavors", body, version="2.61").status_code == 200
    specs = {"extra_specs": {"hw_rng:allowed": "True", "public-sriov": "true"}}
    assert call.ok("POST", "/flavors/amphora-sriov-flavor/os-extra_specs", specs) == specs
    shown = call.ok("GET", "/flavors/amphora-sriov-flavor", version="2.61")["flavor"]
    assert (shown["extra_specs"], shown["os-flavor-access:is_public"]) == (specs["extra_specs"], False)
    assert "extra_specs" not in call.ok("GET", "/flavors/amphora-sriov-flavor", version="2.60")["flavor"]
    assert call.fault("POST", "/flavors", body) == (
        409,
        "conflictingRequest",
        "Flavor with ID amphora-sriov-flavor already exists.",
    )
    assert call("DELETE", "/flavors/amphora-sriov-flavor/os-extra_specs/public-sriov").status_code == 200
    assert call.fault("GET", "/flavors/amphora-sriov-flavor/os-extra_specs/public-sriov")[0] == 404
    assert call("DELETE", "/flavors/amphora-sriov-flavor").status_code == 202


def test_private_flavor_is_its_projects(call: ComputeClient):
    private = call.ok("POST", "/flavors", flavor_body(**{"id": "p", "os-flavor-access:is_public": False}))["flavor"]
    assert call.ok("GET", "/flavors/p/os-flavor-access")["flavor_access"] == [
        {"flavor_id": "p", "tenant_id": ADMIN.project_id}
    ]
    assert call.ok("GET", "/flavors", user="member")["flavors"] == []
    assert call.fault("GET", "/flavors/p", user="member")[0] == 404
    create = {"server": {"name": "s", "flavorRef": private["id"], "networks": "none"}}
    refused = (400, "badRequest", "Flavor p could not be found.")
    assert call.fault("POST", "/servers", create, user="member") == refused
    grant = {"addTenantAccess": {"tenant": MEMBER.project_id}}
    call.ok("POST", "/flavors/p/action", grant)
    assert call.fault("POST", "/flavors/p/action", grant)[0] == 409
    assert [flavor["id"] for flavor in call.ok("GET", "/flavors", user="member")["flavors"]] == ["p"]
    assert call("POST", "/servers", create, user="member").status_code == 202
    call.ok("POST", "/flavors/p/action", {"removeTenantAccess": {"tenant": ADMIN.project_id}})
    assert call.fault("POST", "/servers", create) == refused
    assert call.ok("GET", "/flavors?is_public=None")["flavors"][0]["id"] == "p"
    assert call.fault("GET", "/flavors?is_public=maybe")[0] == 400


def test_members_may_not_administer(call: ComputeClient):
    for method, path, body in (
        ("POST", "/os-aggregates", {"aggregate": {"name": "a"}}),
        ("POST", "/flavors", flavor_body()),
        ("GET", "/os-hypervisors/detail", None),
        ("GET", "/os-services", None),
        ("GET", "/servers/detail?all_tenants=1", None),
    ):
        status, name, message = call.fault(method, path, body, user="member")
        assert (status, name) == (403, "forbidden")
        assert message.startswith("Policy doesn't allow os_compute_api:")


def test_hypervisors_show_vfs(call: ComputeClient, world: World):
    create(call, world, ports=[{"port": world.port("public").id}])
    (hypervisor,) = call.ok("GET", "/os-hypervisors/detail")["hypervisors"]
    assert hypervisor["hypervisor_hostname"] == "host1"
    none = {"claimed": 0, "foreign": 0, "away": 0}
    assert hypervisor["hydria:vfs"] == {
        "members": {"total": 4, "used": 0, "free": 4, **none},
        "public": {**none, "total": 4, "used": 1, "free": 3, "claimed": 1},
    }
    assert call.ok("GET", f"/os-hypervisors/{hypervisor['id']}")["hypervisor"] == hypervisor
    assert set(hypervisor["hydria:vfs"]) == set(NETWORKS)


def test_hypervisors_show_what_keeps_vfs_from_being_free(call: ComputeClient, world: World):
    world.nics.foreign[VfId("pf-public", 0)] = "vfio-pci"
    world.nics.down.add("pf-members")
    (hypervisor,) = call.ok("GET", "/os-hypervisors/detail")["hypervisors"]
    assert hypervisor["hydria:vfs"] == {
        "members": {"total": 4, "used": 4, "free": 0, "claimed": 0, "foreign": 0, "away": 0},
        "public": {"total": 4, "used": 1, "free": 3, "claimed": 0, "foreign": 1, "away": 0},
    }
    pfs = {pf["name"]: pf for pf in hypervisor["hydria:pfs"]}
    assert (pfs["pf-public"]["link_up"], pfs["pf-public"]["speed_mbps"]) == (True, 10_000)
    assert (pfs["pf-members"]["link_up"], pfs["pf-members"]["vfs"]["free"]) == (False, 0)


def test_hypervisors_show_claims_on_a_pf_that_is_gone(call: ComputeClient, world: World):
    create(call, world, ports=[{"port": world.port("public").id}])
    world.nics.lose_pf("pf-public")
    (hypervisor,) = call.ok("GET", "/os-hypervisors/detail")["hypervisors"]
    assert hypervisor["hydria:vfs"]["public"] == {
        "total": 1,
        "used": 1,
        "free": 0,
        "claimed": 1,
        "foreign": 0,
        "away": 0,
    }
    assert [(pf["name"], pf["present"]) for pf in hypervisor["hydria:pfs"]] == [
        ("pf-members", True),
        ("pf-public", False),
    ]


def test_services_and_zones(call: ComputeClient, world: World):
    (service,) = call.ok("GET", "/os-services?host=host1&binary=nova-compute")["services"]
    changed = call.ok("PUT", f"/os-services/{service['id']}", {"status": "disabled", "disabled_reason": "repair"})
    assert (changed["service"]["status"], changed["service"]["disabled_reason"]) == ("disabled", "repair")
    server_id = create(call, world)
    fault = call.ok("GET", f"/servers/{server_id}")["server"]["fault"]["message"]
    assert fault == "No valid host was found. host1: compute service is disabled"
    call.ok("PUT", f"/os-services/{service['id']}", {"status": "enabled"})
    call.ok("POST", "/os-aggregates", {"aggregate": {"name": "a", "availability_zone": "z1"}})
    call.ok("POST", "/os-aggregates/1/action", {"add_host": {"host": "host1"}})
    (zone,) = call.ok("GET", "/os-availability-zone/detail")["availabilityZoneInfo"]
    assert (zone["zoneName"], list(zone["hosts"])) == ("z1", ["host1"])
    server_id = create(call, world, availability_zone="z1")
    assert call.ok("GET", f"/servers/{server_id}")["server"]["status"] == "ACTIVE"


def test_server_group_keeps_servers_apart(call: ComputeClient, world: World):
    body = {"server_group": {"name": "g", "policy": "anti-affinity"}}
    group = call.ok("POST", "/os-server-groups", body)["server_group"]
    assert (group["policy"], group["members"]) == ("anti-affinity", [])
    call.ok("POST", "/flavors", flavor_body(id="f"))
    server = {"name": "s", "flavorRef": "f", "networks": "none"}
    body = {"server": server, "os:scheduler_hints": {"group": group["id"]}}
    ids = [call.ok("POST", "/servers", body)["server"]["id"] for _ in range(2)]
    until(lambda: all(call.ok("GET", f"/servers/{id_}")["server"]["status"] != "BUILD" for id_ in ids))
    shown = [call.ok("GET", f"/servers/{id_}")["server"] for id_ in ids]
    assert sorted(server["status"] for server in shown) == ["ACTIVE", "ERROR"]
    assert shown[0]["server_groups"] == [group["id"]]
    (listed,) = call.ok("GET", "/os-server-groups", version="2.13")["server_groups"]
    assert (listed["policies"], sorted(listed["members"])) == (["anti-affinity"], sorted(ids))
    assert call("DELETE", f"/os-server-groups/{group['id']}").status_code == 204
    world.balanced()


def test_constant_answers(call: ComputeClient):
    assert call.ok("GET", "/os-keypairs") == {"keypairs": []}
    assert call.ok("GET", "/limits")["limits"]["absolute"]["totalInstancesUsed"] == 0
    assert call.ok("GET", f"/os-quota-sets/{ADMIN.project_id}")["quota_set"]["instances"] == -1
