"""The Compute API over HTTP: paths, bodies, status codes and versions as clients of Nova know them."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from compute_world import ADMIN, NETWORKS, World, until
from litestar import Litestar
from litestar.di import Provide
from litestar.testing import TestClient

from hydria.cloud import faults
from hydria.cloud.compute import api
from hydria.cloud.context import Context
from hydria.cloud.web import AnyRequest
from hydria.sriov.inventory import VfId

MEMBER = Context(user_id="u2", project_id="2" * 32, roles=frozenset({"member"}))
NOBODY = "00000000-0000-4000-8000-000000000000"
VERSION = "OpenStack-API-Version"


class Client:
    def __init__(self, client: TestClient[Litestar]) -> None:
        self._client = client

    def __call__(
        self, method: str, path: str, body: Any = None, *, version: str = "2.100", user: str = "admin"
    ) -> httpx.Response:
        headers = {"X-Auth-Token": user, VERSION: f"compute {version}"}
        return self._client.request(method, f"/compute/v2.1{path}", json=body, headers=headers)

    def ok(self, method: str, path: str, body: Any = None, **options: str) -> Any:
        answer = self(method, path, body, **options)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def fault(self, method: str, path: str, body: Any = None, **options: str) -> tuple[int, str, str]:
        answer = self(method, path, body, **options)
        ((name, fault),) = answer.json().items()
        assert fault["code"] == answer.status_code
        return answer.status_code, name, fault["message"]


@pytest.fixture
def call(world: World) -> Iterator[Client]:
    def context(request: AnyRequest) -> Context:
        return {"admin": ADMIN, "member": MEMBER}[request.headers["X-Auth-Token"]]

    app = Litestar(
        [api.router],
        dependencies={
            "context": Provide(context, sync_to_thread=False),
            "compute": Provide(lambda: world.compute, sync_to_thread=False),
        },
        exception_handlers={Exception: faults.to_response},
        openapi_config=None,
    )
    with TestClient(app) as client:
        yield Client(client)


def flavor_body(**values: Any) -> dict[str, Any]:
    return {"flavor": {"name": "small", "ram": 64, "vcpus": 1, "disk": 0, **values}}


def test_discovery(call: Client):
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
def test_microversions(call: Client, header: str, status: int, echoed: str):
    answer = call._client.get("/compute/v2.1/flavors/detail", headers={"X-Auth-Token": "admin", VERSION: header})
    assert answer.status_code == status
    assert answer.headers[VERSION] == echoed
    assert VERSION in answer.headers["Vary"]


def test_guides_aggregate_steps(call: Client):
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
def test_faults(call: Client, method: str, path: str, body: Any, expected: tuple[int, str, str]):
    call.ok("POST", "/os-aggregates", {"aggregate": {"name": "a"}})
    before = call.ok("GET", "/os-aggregates")
    assert call.fault(method, path, body) == expected
    assert call.ok("GET", "/os-aggregates") == before


def test_guides_flavor(call: Client):
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


def test_private_flavor_is_its_projects(call: Client):
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


def test_members_may_not_administer(call: Client):
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


def _create(call: Client, world: World, **values: Any) -> str:
    """A server on the management network, waited for."""
    if not call.ok("GET", "/flavors")["flavors"]:
        call.ok("POST", "/flavors", flavor_body(id="f"))
    networks = [{"uuid": world.networks["mgmt"]}, *values.pop("ports", ())]
    server = {"name": "amphora-1", "flavorRef": "f", "imageRef": NOBODY, "networks": networks, **values}
    answer = call("POST", "/servers", {"server": server})
    assert answer.status_code == 202, answer.text
    server_id = answer.json()["server"]["id"]
    assert answer.headers["Location"].endswith(f"/compute/v2.1/servers/{server_id}")
    until(lambda: call.ok("GET", f"/servers/{server_id}")["server"]["OS-EXT-STS:task_state"] is None)
    return server_id


def test_server(call: Client, world: World):
    port = world.port("public")
    user_data = b'#cloud-config\n{"write_files": []}'
    server_id = _create(
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


def test_server_list_filters_and_pages(call: Client, world: World):
    ids = [_create(call, world, name=name) for name in ("amphora-1", "amphora-2", "other")]
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


def test_server_in_error_shows_the_fault(call: Client, world: World):
    world.hypervisor.fail = "it would not boot"
    server_id = _create(call, world)
    shown = call.ok("GET", f"/servers/{server_id}")["server"]
    assert shown["status"] == "ERROR"
    assert (shown["fault"]["code"], shown["fault"]["message"]) == (500, "it would not boot")
    assert shown["fault"]["created"]


def test_interfaces(call: Client, world: World):
    server_id = _create(call, world)
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


def test_actions(call: Client, world: World):
    server_id = _create(call, world)
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
        pytest.param({"user_data": "?"}, "base64", id="user data"),
        pytest.param({"user_data": base64.b64encode(b"#cloud-config\n{").decode()}, "cloud-config", id="cloud config"),
        pytest.param({"availability_zone": "mars"}, "availability zone", id="zone"),
        pytest.param({"availability_zone": "nova:mars"}, "mars", id="forced host"),
        pytest.param({"max_count": 3}, "max_count", id="several"),
        pytest.param({"metadata": {"a": 1}}, "metadata", id="metadata"),
        pytest.param({"colour": "red"}, "colour", id="unknown field"),
    ],
)
def test_bad_server_requests_change_nothing(call: Client, world: World, values: dict[str, Any], word: str):
    call.ok("POST", "/flavors", flavor_body(id="f"))
    server = {"name": "s", "flavorRef": "f", "networks": "none", **values}
    status, name, message = call.fault("POST", "/servers", {"server": server})
    assert (status, name) == (400, "badRequest")
    assert word in message
    assert call.ok("GET", "/servers")["servers"] == []
    if "user_data" not in values:
        assert world.hypervisor.files == {}


def test_hypervisors_show_vfs(call: Client, world: World):
    _create(call, world, ports=[{"port": world.port("public").id}])
    (hypervisor,) = call.ok("GET", "/os-hypervisors/detail")["hypervisors"]
    assert hypervisor["hypervisor_hostname"] == "host1"
    none = {"claimed": 0, "foreign": 0, "away": 0}
    assert hypervisor["hydria:vfs"] == {
        "members": {"total": 4, "used": 0, "free": 4, **none},
        "public": {**none, "total": 4, "used": 1, "free": 3, "claimed": 1},
    }
    assert call.ok("GET", f"/os-hypervisors/{hypervisor['id']}")["hypervisor"] == hypervisor
    assert set(hypervisor["hydria:vfs"]) == set(NETWORKS)


def test_hypervisors_show_what_keeps_vfs_from_being_free(call: Client, world: World):
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


def test_hypervisors_show_claims_on_a_pf_that_is_gone(call: Client, world: World):
    _create(call, world, ports=[{"port": world.port("public").id}])
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


def test_services_and_zones(call: Client, world: World):
    (service,) = call.ok("GET", "/os-services?host=host1&binary=nova-compute")["services"]
    changed = call.ok("PUT", f"/os-services/{service['id']}", {"status": "disabled", "disabled_reason": "repair"})
    assert (changed["service"]["status"], changed["service"]["disabled_reason"]) == ("disabled", "repair")
    server_id = _create(call, world)
    fault = call.ok("GET", f"/servers/{server_id}")["server"]["fault"]["message"]
    assert fault == "No valid host was found. host1: compute service is disabled"
    call.ok("PUT", f"/os-services/{service['id']}", {"status": "enabled"})
    call.ok("POST", "/os-aggregates", {"aggregate": {"name": "a", "availability_zone": "z1"}})
    call.ok("POST", "/os-aggregates/1/action", {"add_host": {"host": "host1"}})
    (zone,) = call.ok("GET", "/os-availability-zone/detail")["availabilityZoneInfo"]
    assert (zone["zoneName"], list(zone["hosts"])) == ("z1", ["host1"])
    server_id = _create(call, world, availability_zone="z1")
    assert call.ok("GET", f"/servers/{server_id}")["server"]["status"] == "ACTIVE"


def test_server_group_keeps_servers_apart(call: Client, world: World):
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


def test_constant_answers(call: Client):
    assert call.ok("GET", "/os-keypairs") == {"keypairs": []}
    assert call.ok("GET", "/limits")["limits"]["absolute"]["totalInstancesUsed"] == 0
    assert call.ok("GET", f"/os-quota-sets/{ADMIN.project_id}")["quota_set"]["instances"] == -1
