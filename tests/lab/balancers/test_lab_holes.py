"""Holes of upstream and bugs of its history, on real VFs: end-to-end tests on this scene, and a few of its own.

docs/holes.md says which test is whose. Those of the agent alone are in test_lab_agent_holes.py.
"""

import contextlib
import json
import os
import signal
from collections.abc import Iterator

import pytest
from hardware import Card, ip, is_home, until
from keystoneauth1.identity.v3 import Password
from keystoneauth1.session import Session
from lab_scene import Json, LabScene, bridged

from e2e import test_bad_input, test_firewall, test_members
from e2e.scene import BACKENDS, Traffic, member
from e2e.test_failover import FAILED_AT_MOST
from e2e.test_members import member_flavor
from hydria.cli.demo import guide
from hydria.cli.demo.client import CallFailed, graph
from hydria.cli.demo.stage import await_condition

__all__ = ["member_flavor"]


@pytest.fixture(scope="module")
def served(scene: LabScene) -> Iterator[Json]:
    """A VIP of each family on one VF, three backends behind another; the listener on port 80 is all between tests."""
    members = [member(address, scene.subnet("members-subnet"), sriov=True) for address in BACKENDS.values()]
    extra = [{"subnet_id": scene.subnet("public-subnet6")}]
    with scene.balancer("holes", members, flavor_id=scene.flavor_id, additional_vips=extra) as balancer:
        scene.await_answer(balancer["vip_address"])
        yield balancer


@pytest.fixture(scope="module")
def dual(served: Json) -> Json:
    return served


@pytest.fixture(scope="module")
def target(served: Json) -> Json:
    return served


@pytest.fixture
def normal_ports() -> Iterator[None]:
    with bridged():
        yield


with_normal_ports = pytest.mark.usefixtures("normal_ports")

test_h7_an_ipv4_wildcard_does_not_admit_ipv6 = test_firewall.test_h7_an_ipv4_wildcard_does_not_admit_ipv6
test_h19_the_vip_answers_echo_requests = test_firewall.test_the_vip_answers_echo_requests
test_h20_tightening_allowed_cidrs = test_firewall.test_h20_tightening_allowed_cidrs_ends_established_flows
test_h22_a_disabled_listener = test_firewall.test_h22_a_disabled_listener_is_closed_and_opens_again
test_70f15c54d_a_listener_is_updated = test_firewall.test_only_allowed_cidrs_are_answered_and_updates_take_effect
test_8b8078aa674ff60a_security_groups_are_refused = test_bad_input.test_security_groups_are_refused_on_a_vf_vip


def test_h11_an_update_asks_nothing_of_the_vips_vf(scene: LabScene, served: Json) -> None:
    """Neutron refuses security groups on such a port, and upstream tried at every update."""
    before = vf_ports(scene)
    assert before
    with Traffic(scene.client, served["vip_address"]) as traffic:
        scene.demo.update("loadbalancers", served["id"], description="updated", vip_sg_ids=[])
        scene.demo.await_active(served["id"])
        traffic.await_more(5)
    assert traffic.failures == []
    assert vf_ports(scene) == before
    with pytest.raises(CallFailed) as refused:
        scene.demo.update("loadbalancers", served["id"], vip_sg_ids=[test_bad_input.NOBODY])
    assert refused.value.status == 400
    assert vf_ports(scene) == before


def vf_ports(scene: LabScene) -> list[Json]:
    ports = [port for port in scene.octavia_ports() if port["binding:vnic_type"] == "direct"]
    return sorted(ports, key=lambda port: str(port["id"]))


def test_411e7c6db_a_listener_made_while_the_amphora_does_not_answer(scene: LabScene, served: Json) -> None:
    """The firewall's update failed, and with it the listener."""
    with contextlib.ExitStack() as stack:
        for agent in scene.agents():
            os.kill(agent, signal.SIGSTOP)
            stack.callback(os.kill, agent, signal.SIGCONT)
        fields = {"protocol": "TCP", "protocol_port": 8085, "default_pool_id": None}
        made = scene.demo.create("listeners", loadbalancer_id=served["id"], **fields)
        assert not scene.connects(served["vip_address"], 8085)
        assert scene.demo.get(f"/listeners/{made['id']}")["provisioning_status"] == "PENDING_CREATE"
        scene.await_answer(served["vip_address"])
    scene.demo.await_active(served["id"])
    assert scene.connects(served["vip_address"], 8085)
    scene.demo.delete("listeners", made["id"])
    scene.demo.await_active(served["id"])


def test_h14_a_missing_project_is_said_to_be_missing(scene: LabScene) -> None:
    body = {"loadbalancer": {"vip_subnet_id": scene.subnet("public-subnet"), "flavor_id": scene.flavor_id}}
    entry = json.loads(scene.stage.state.clouds.read_text())["clouds"]["admin"]
    login = {name: value for name, value in entry["auth"].items() if not name.startswith("project")}
    nobodys = Session(auth=Password(**login, unscoped=True))
    # Who has no project is told no catalogue.
    endpoint = scene.admin._session.get_endpoint(service_type="load-balancer", interface="public")
    answer = nobodys.post(f"{endpoint}/v2/lbaas/loadbalancers", json=body, raise_exc=False)
    assert answer.json()["faultstring"] == "Missing project ID in request where one is required."


def test_h21_a4317a80d_the_only_amphora_is_replaced(scene: LabScene, served: Json) -> None:
    """Its server is gone, and with it all that there was of amphorae: a new one comes, with VFs and all VIPs."""
    used = scene.vfs_in_use()
    (old,) = scene.servers()
    scene.service.call("DELETE", f"/servers/{old['id']}", service="compute")

    def is_replaced() -> bool:
        return [one["id"] for one in scene.servers()] not in ([], [old["id"]]) and scene.connects(
            served["vip_address"], 80
        )

    await_condition("another amphora serves", is_replaced, 60, 0.2)
    scene.demo.await_active(served["id"], seconds=60)
    for vip in (served["vip_address"], served["additional_vips"][0]["ip_address"]):
        scene.await_answer(vip)
    await_condition("as many VFs are in use as before", lambda: scene.vfs_in_use() == used, 30, 0.2)


def test_a4317a80d_failover_moves_both_vips_to_other_vfs(scene: LabScene, served: Json) -> None:
    """The old one serves until the new one does, each with VFs of its own; then as many are in use as before."""
    used = scene.vfs_in_use()
    (old,) = scene.servers()
    with Traffic(scene.client, served["vip_address"]) as traffic:
        scene.admin.call("PUT", f"/v2/lbaas/loadbalancers/{served['id']}/failover")
        scene.demo.await_active(served["id"], seconds=60)
        failed = len(traffic.failures)
        traffic.await_more(20, 60.0)
    print(f"failover: {traffic.answers.total()} answered, failed: {traffic.failures}")
    assert failed <= FAILED_AT_MOST
    assert len(traffic.failures) == failed, "none after it has ended"
    (new,) = scene.servers()
    assert new["id"] != old["id"]
    for vip in (served["vip_address"], served["additional_vips"][0]["ip_address"]):
        scene.await_answer(vip)
    await_condition("as many VFs are in use as before", lambda: scene.vfs_in_use() == used, 30, 0.2)


test_h3_h16_the_first_listener_opens = test_firewall.test_h3_and_h16_the_first_listener_opens_and_the_last_one_closes
test_h4_ordinary_vip_with_vf_members = with_normal_ports(test_members.test_h4_ordinary_vip_with_vf_members)
test_h15_vf_vip_with_ordinary_members = with_normal_ports(test_members.test_h15_vf_vip_with_ordinary_members)
test_h6_of_mixed_members = with_normal_ports(test_members.test_h6_of_mixed_members_in_one_request_the_first_decides)
test_8b8d969d0_a_member_in_the_vips_network = (
    test_members.test_a_member_in_the_vips_network_is_reached_through_the_vips_vf
)
test_54c059d94_a_vf_member_needs_a_flavor = test_members.test_a_vf_member_needs_a_flavor_that_allows_it


def test_h9_the_vip_in_the_management_network(scene: LabScene, member_flavor: str) -> None:
    """Members have VFs; the VIP is told apart from the management address, in the same network."""
    network = f"/v2.0/networks?name={scene.stage.config.controller.management_network}"
    (subnet,) = scene.admin.call("GET", network, service="network")["networks"][0]["subnets"]
    members = [member(BACKENDS["backend-a"], scene.subnet("members-subnet"), sriov=True)]
    made = scene.admin.create("loadbalancers", **graph("h9", subnet, members, flavor_id=member_flavor))
    try:
        vip = scene.admin.await_active(made["id"], seconds=60)["vip_address"]
        assert scene.kinds(vip) == {"eth1": "port", "eth2": "vf"}
        here = scene.clients["client-on-the-pf"]
        await_condition(f"{vip} answers", lambda: scene.connects(vip, 80, host=here), 10)
    finally:
        scene.admin.delete("loadbalancers", made["id"], cascade=True)
        scene.admin.await_gone(made["id"], seconds=60)


def test_h12_no_vf_is_free_until_somebody_gives_one_back(scene: LabScene, public: Card) -> None:
    """Told at once, host by host, without a server that would fail; and made good as soon as it can be."""
    servers = {one["id"] for one in scene.servers()}
    with elsewhere(public):
        body = graph("h12", scene.subnet("public-subnet"), [], flavor_id=scene.flavor_id)
        until("nobody counts on them any more", lambda: free(scene) == 0)
        waits = scene.demo.create("loadbalancers", **body)["id"]
        assert scene.demo.await_settled(waits)["provisioning_status"] == "ERROR"
        (why,) = scene.demo.reasons(waits)
        assert "VFs free on physical network public" in why
        assert guide.HOST in why
        assert {one["id"] for one in scene.servers()} == servers
    try:
        until("they count again", lambda: free(scene) > 0)
        scene.demo.update("loadbalancers", waits, description="there is room now")
        vip = scene.demo.await_active(waits)["vip_address"]
        assert scene.kinds(vip) == {"eth1": "vf"}
    finally:
        scene.remove(waits)


def free(scene: LabScene) -> int:
    (host,) = scene.admin.call("GET", "/os-hypervisors/detail", service="compute")["hypervisors"]
    return int(host["hydria:vfs"]["public"]["free"])


@contextlib.contextmanager
def elsewhere(card: Card) -> Iterator[None]:
    """Somebody else has every VF that is at home."""
    names = [card.vf(index) for index, pci in enumerate(card.vfs) if is_home(pci)]
    ip("netns add elsewhere")
    try:
        for name in names:
            ip(f"link set dev {name} netns elsewhere")
        yield
    finally:
        for name in names:
            ip(f"link set dev {name} netns 1", netns="elsewhere")
        ip("netns delete elsewhere")
