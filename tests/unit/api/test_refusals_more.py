"""Bad input to operators' resources, to PUT, to batches, and of the wrong people: code, text, and nothing changed."""

from typing import Any

import pytest
from api_world import NOBODY, World, refuse


@pytest.fixture(scope="module")
def world(shared_world: World) -> World:
    return shared_world


@pytest.mark.parametrize(
    ("data", "status", "text"),
    [
        pytest.param("{", 400, "JSON object", id="no JSON"),
        pytest.param("[]", 400, "JSON object", id="no object"),
        pytest.param('{"colour": "red"}', 501, "colour", id="unknown key"),
        pytest.param('{"sriov_vip": "true"}', 501, "sriov_vip", id="text for a boolean"),
        pytest.param('{"loadbalancer_topology": "RING"}', 501, "loadbalancer_topology", id="unknown topology"),
        pytest.param('{"compute_flavor": "huge"}', 400, "Compute flavor huge not found.", id="missing compute flavor"),
        pytest.param('{"vf_trust": true}', 400, "needs sriov_vip or allow_member_sriov", id="settings of no VF"),
        pytest.param('{"sriov_vip": true, "vf_trust": "on"}', 501, "vf_trust", id="text for a VF's boolean"),
        pytest.param('{"sriov_vip": true, "vf_max_tx_rate": -1}', 501, "vf_max_tx_rate", id="negative rate"),
        pytest.param('{"sriov_vip": true, "vf_max_tx_rate": 1.5}', 501, "vf_max_tx_rate", id="broken rate"),
        pytest.param(
            '{"allow_member_sriov": true, "vf_min_tx_rate": 200, "vf_max_tx_rate": 100}',
            400,
            "vf_min_tx_rate (200 Mbit/s) must not be more than vf_max_tx_rate (100 Mbit/s)",
            id="least above most",
        ),
        pytest.param('{"amp_image_tag": "old"}', 400, "No image has the tag old", id="missing image"),
    ],
)
def test_flavor_data(world: World, there: Any, data: Any, status: int, text: str):
    body = {"name": "p", "provider_name": "amphora", "flavor_data": data}
    refuse(world, there, "POST /flavorprofiles", {"flavorprofile": body}, (status, text), who="admin")
    change = {"flavorprofile": {"flavor_data": data}}
    refuse(world, there, "PUT /flavorprofiles/@profile", change, (status, text), who="admin")


def test_a_topology_that_is_not_served(world: World, there: Any):
    data = '{"loadbalancer_topology": "ACTIVE_STANDBY"}'
    body = {"name": "p", "provider_name": "amphora", "flavor_data": data}
    refuse(world, there, "POST /flavorprofiles", {"flavorprofile": body}, (501, "ACTIVE_STANDBY"), who="admin")
    unused = {
        "profile": world.post("/flavorprofiles", {"flavorprofile": {**body, "flavor_data": "{}"}}, who="admin")["id"]
    }
    change = {"flavorprofile": {"flavor_data": data}}
    refuse(world, unused, "PUT /flavorprofiles/@profile", change, (501, "ACTIVE_STANDBY"), who="admin")
    refuse(world, there, "PUT /flavorprofiles/@profile", change, (409, "in use"), who="admin")


ADMIN, OTHER, READER = "admin", "other", "demo-reader"


def other(id_: str, request: str, body: Any, status: int, *text_and_who: str):
    text, who = (*text_and_who, "demo")[:2]
    return pytest.param(request, body, status, text, who, id=id_)


@pytest.mark.parametrize(
    ("request_line", "body", "status", "text", "token"),
    [
        other(
            "missing profile",
            "POST /flavors",
            {"flavor": {"name": "x", "flavor_profile_id": NOBODY}},
            400,
            "not found",
            ADMIN,
        ),
        other(
            "name taken",
            "POST /flavors",
            {"flavor": {"name": "plain", "flavor_profile_id": "@profile"}},
            409,
            "already exists",
            ADMIN,
        ),
        other(
            "not for users", "POST /flavors", {"flavor": {"name": "x", "flavor_profile_id": "@profile"}}, 403, "Policy"
        ),
        other(
            "profile is fixed",
            "PUT /flavors/@flavor",
            {"flavor": {"flavor_profile_id": "@profile"}},
            400,
            "Unknown attribute",
            ADMIN,
        ),
        other(
            "provider",
            "POST /flavorprofiles",
            {"flavorprofile": {"name": "x", "provider_name": "f5", "flavor_data": "{}"}},
            400,
            "f5",
            ADMIN,
        ),
        other("profiles are not shown to users", "GET /flavorprofiles", None, 403, "Policy"),
        other("profile in use", "DELETE /flavorprofiles/@profile", None, 409, "in use", ADMIN),
        other(
            "data in use",
            "PUT /flavorprofiles/@profile",
            {"flavorprofile": {"flavor_data": "{}"}},
            409,
            "in use",
            ADMIN,
        ),
        other("unknown provider", "GET /providers/f5/flavor_capabilities", None, 400, "f5", ADMIN),
        other("capabilities are the operator's", "GET /providers/amphora/flavor_capabilities", None, 403, "Policy"),
        other(
            "a VIP stays",
            "PUT /loadbalancers/@lb",
            {"loadbalancer": {"vip_subnet_id": "@public"}},
            400,
            "Unknown attribute",
        ),
        other(
            "PUT missing group", "PUT /loadbalancers/@lb", {"loadbalancer": {"vip_sg_ids": [NOBODY]}}, 400, "not found"
        ),
        other("PUT missing LB", "PUT /loadbalancers/@nobody", {"loadbalancer": {}}, 404, "Load Balancer"),
        other("children", "DELETE /loadbalancers/@lb", None, 400, "it has children"),
        other("DELETE missing LB", "DELETE /loadbalancers/@nobody", None, 404, "not found"),
        other(
            "protocol stays", "PUT /listeners/@listener", {"listener": {"protocol": "TCP"}}, 400, "Unknown attribute"
        ),
        other(
            "PUT pairing",
            "PUT /listeners/@listener",
            {"listener": {"default_pool_id": "@tcp_pool"}},
            400,
            "valid option",
        ),
        other(
            "PUT foreign pool",
            "PUT /listeners/@listener",
            {"listener": {"default_pool_id": "@other_pool"}},
            404,
            "Pool",
        ),
        other("PUT family", "PUT /listeners/@listener", {"listener": {"allowed_cidrs": ["::/0"]}}, 400, "family"),
        other("PUT null", "PUT /pools/@pool", {"pool": {"lb_algorithm": None}}, 400, "lb_algorithm"),
        other("PUT algorithm", "PUT /pools/@pool", {"pool": {"lb_algorithm": "SOURCE_IP_PORT"}}, 501, "support"),
        other(
            "PUT request_sriov",
            "PUT /pools/@pool/members/@member",
            {"member": {"request_sriov": True}},
            400,
            "Unknown attribute",
        ),
        other(
            "PUT address",
            "PUT /pools/@pool/members/@member",
            {"member": {"address": "1.2.3.4"}},
            400,
            "Unknown attribute",
        ),
        other("member of another pool", "GET /pools/@tcp_pool/members/@member", None, 404, "Member"),
        other("members of no pool", "GET /pools/@nobody/members", None, 404, "Pool"),
        other(
            "PUT url_path on TCP",
            "PUT /healthmonitors/@monitor",
            {"healthmonitor": {"url_path": "/x"}},
            400,
            "url_path",
        ),
        other(
            "PUT pool",
            "PUT /healthmonitors/@monitor",
            {"healthmonitor": {"pool_id": "@tcp_pool"}},
            400,
            "Unknown attribute",
        ),
        other("another's LB", "GET /loadbalancers/@lb", None, 403, "Policy", OTHER),
        other("another's pool", "PUT /pools/@pool", {"pool": {"name": "x"}}, 403, "Policy", OTHER),
        other("another's listener", "DELETE /listeners/@listener", None, 403, "Policy", OTHER),
        other("a reader does not delete", "DELETE /listeners/@listener", None, 403, "Policy", READER),
        other(
            "a reader does not add",
            "POST /pools/@pool/members",
            {"member": {"address": "1.2.3.4", "protocol_port": 1}},
            403,
            "Policy",
            READER,
        ),
        other("a reader does not replace", "PUT /pools/@pool/members", {"members": []}, 403, "Policy", READER),
        other("members is no list", "PUT /pools/@pool/members", {"members": {}}, 400, "list"),
        other(
            "known member twice",
            "PUT /pools/@pool/members",
            {"members": [{"address": "192.0.2.10", "protocol_port": 80}] * 2},
            400,
            "named twice",
        ),
        other(
            "new member twice",
            "PUT /pools/@pool/members",
            {"members": [{"address": "192.0.2.9", "protocol_port": 80}] * 2},
            409,
            "already using",
        ),
        other(
            "batch subnet",
            "PUT /pools/@pool/members",
            {"members": [{"address": "192.0.2.9", "protocol_port": 80, "subnet_id": NOBODY}]},
            404,
            f"Subnet {NOBODY}",
        ),
        other(
            "batch VF",
            "PUT /pools/@pool/members",
            {"members": [{"address": "192.0.2.9", "protocol_port": 80, "request_sriov": True}]},
            400,
            "SR-IOV",
        ),
    ],
)
def test_others(*, world: World, there: Any, request_line: Any, body: Any, status: int, text: str, token: str):
    refuse(world, there, request_line, body, (status, text), who=token)


@pytest.mark.parametrize(
    "text", ["not-a-uuid", "04e8f862-203e-4b83-af8f-6cc266cf2428", "00000000-0000-0000-0000-000000000000"]
)
@pytest.mark.parametrize("kind", ["loadbalancers", "listeners", "pools", "healthmonitors", "flavors"])
def test_what_is_not_there_is_404(world: World, kind: str, text: str):
    world.refused(world.call("GET", f"/{kind}/{text}"), 404, f"{text} not found.")
