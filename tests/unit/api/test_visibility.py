"""What others own in the cloud is to a tenant as if it were not there; the service itself sees it."""

from typing import Any

import pytest
from api_world import World, refuse

from hydria.drivers.cloud import FixedIp, PortRequest
from hydria.drivers.fakes import id_of

PRIVATE, PRIVATE6 = id_of("subnet", "10.9.0.0/24"), id_of("subnet", "2001:db8:9::/64")
NETWORK, GROUP, POLICY = id_of("network", "private"), id_of("security-groups", "x"), id_of("qos-policies", "x")


@pytest.fixture(scope="module")
def world(shared_world: World) -> World:
    cloud = shared_world.cloud
    cloud.add_network("private", "10.9.0.0/24", "2001:db8:9::/64")
    cloud.existing |= {("security-groups", GROUP), ("qos-policies", POLICY)}
    hide(shared_world, PRIVATE, PRIVATE6, NETWORK, GROUP, POLICY)
    return shared_world


def hide(world: World, *ids: str) -> None:
    world.cloud.hidden["demo"].update(ids)


MEMBER = {"address": "10.9.0.7", "protocol_port": 80, "subnet_id": PRIVATE}
POOL = {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": [MEMBER]}
LISTENER = {"protocol": "HTTP", "protocol_port": 8081, "default_pool": POOL}
VIP, LBS, SUBNET = {"vip_subnet_id": "@public"}, "POST /loadbalancers", f"Subnet {PRIVATE} not found."


def lb(**values: Any) -> Any:
    return {"loadbalancer": values}


CASES: dict[str, tuple[str, Any, int, str]] = {
    "VIP subnet": (LBS, lb(vip_subnet_id=PRIVATE), 400, SUBNET),
    "VIP subnet and network": (LBS, lb(vip_subnet_id=PRIVATE, vip_network_id=NETWORK), 400, SUBNET),
    "VIP network": (LBS, lb(vip_network_id=NETWORK), 400, f"Network {NETWORK} not found."),
    "additional VIP": (LBS, lb(**VIP, additional_vips=[{"subnet_id": PRIVATE}]), 400, SUBNET),
    "vip_sg_ids": (LBS, lb(**VIP, vip_sg_ids=[GROUP]), 400, f"Security group {GROUP} not found."),
    "vip_qos_policy_id": (LBS, lb(**VIP, vip_qos_policy_id=POLICY), 400, f"QoS policy {POLICY} not found."),
    "PUT vip_sg_ids": ("PUT /loadbalancers/@lb", lb(vip_sg_ids=[GROUP]), 400, f"Security group {GROUP} not found."),
    "PUT vip_qos_policy_id": (
        "PUT /loadbalancers/@lb",
        lb(vip_qos_policy_id=POLICY),
        400,
        f"QoS policy {POLICY} not found.",
    ),
    "member": ("POST /pools/@pool/members", {"member": MEMBER}, 400, SUBNET),
    "member of a new pool": ("POST /pools", {"pool": {**POOL, "loadbalancer_id": "@lb"}}, 400, SUBNET),
    "member of a new listener": ("POST /listeners", {"listener": {**LISTENER, "loadbalancer_id": "@lb"}}, 400, SUBNET),
    "member of a tree's pool": (LBS, lb(**VIP, pools=[POOL]), 400, SUBNET),
    "member of a tree's listener": (LBS, lb(**VIP, listeners=[LISTENER]), 400, SUBNET),
    "member of a batch": ("PUT /pools/@pool/members", {"members": [MEMBER]}, 404, SUBNET),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_another_projects_is_as_if_missing(world: World, there: Any, case: str):
    request, body, status, text = CASES[case]
    refuse(world, there, request, body, (status, text))


def private_port(world: World, project_id: str) -> str:
    fixed = (FixedIp(subnet_id=PRIVATE),)
    return world.cloud.create_port(PortRequest(network_id=NETWORK, name="p", fixed_ips=fixed, project_id=project_id)).id


def test_a_port(world: World, there: Any):
    others, hidden = private_port(world, "other"), private_port(world, "demo")
    hide(world, hidden)
    for port in (others, hidden):
        refuse(world, there, LBS, lb(vip_port_id=port), (400, f"Port {port} not found."))


def test_his_own_port_may_be_where_he_sees_nothing_else(world: World):
    port = private_port(world, "demo")
    made = world.post("/loadbalancers", lb(vip_port_id=port))
    assert (made["vip_port_id"], made["vip_subnet_id"], made["vip_network_id"]) == (port, PRIVATE, NETWORK)


def test_a_subnet_he_does_not_see_is_not_chosen(world: World):
    network = world.cloud.add_network("mixed", "10.8.0.0/24", "10.7.0.0/24")
    hide(world, network.subnets[0])
    assert world.post("/loadbalancers", lb(vip_network_id=network.id))["vip_subnet_id"] == network.subnets[1]


def test_who_sees_it_may_use_it(world: World):
    made = world.post("/loadbalancers", lb(vip_subnet_id=PRIVATE, pools=[POOL], vip_sg_ids=[GROUP]), who="other")
    assert (made["vip_subnet_id"], made["pools"][0]["members"][0]["subnet_id"]) == (PRIVATE, PRIVATE)
