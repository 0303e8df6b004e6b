"""It must show 1: the operator's guide on real VFs, with traffic from a VF, from the PF and from outside."""

from collections.abc import Iterator

import pytest
from hardware import OURS, Card
from lab_scene import (
    CLIENTS,
    SERVICES,
    TOPOLOGIES,
    VLAN,
    VLAN_BACKEND,
    VLAN_SUBNET,
    Json,
    LabScene,
    Service,
    bridged,
)

from e2e.scene import BACKENDS, member, type_guide
from hydria.cli.demo import guide
from hydria.cli.demo.stage import await_condition
from hydria.fabric.addresses import subnets

FAMILIES = (4, 6)


@pytest.fixture(scope="module", params=TOPOLOGIES)
def topology(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda family: f"IPv{family}")
def balancer(scene: LabScene, topology: str, request: pytest.FixtureRequest) -> Iterator[Json]:
    """One with every service, its members in all three places."""
    assert topology == "SINGLE"
    vip = next(one.name for one in subnets("public") if one.network.version == request.param)
    behind = next(one for one in subnets("members") if one.network.version == request.param)
    numbers = [int(address.rpartition(".")[2]) for address in BACKENDS.values()]
    members = [member(str(behind.host(number).ip), scene.subnet(behind.name), sriov=True) for number in numbers]
    listeners = [service.listener(members) for service in SERVICES]
    sent = {"vip_subnet_id": scene.subnet(vip), "flavor_id": scene.flavor_id, "listeners": listeners}
    made = scene.demo.create("loadbalancers", name=f"every-service-{request.param}", **sent)
    try:
        yield scene.demo.await_active(made["id"], seconds=60)
    finally:
        scene.remove(made["id"])


def test_75c1bdd10_the_guide_as_typed_serves_traffic_through_vfs(scene: LabScene, public: Card, members: Card) -> None:
    before = scene.vfs_in_use()
    said = type_guide(scene.stage, [guide.USE])
    made = scene.demo.named("loadbalancers", "lb1")
    try:
        assert all("ACTIVE" in text for text in said.values())
        assert made["vip_vnic_type"] == "direct"
        assert [one["vnic_type"] for one in scene.members(made).values()] == ["direct"]
        scene.await_answer(made["vip_address"])
        assert who_answers(scene, "client-outside", SERVICES[0], made["vip_address"], 3) == {"backend-a": 3}
        assert scene.kinds(made["vip_address"]) == {"eth1": "vf", "eth2": "vf"}
        assert {pf: count - before[pf] for pf, count in scene.vfs_in_use().items()} == {public.pf: 1, members.pf: 1}
        # As the NICs see it: of each a VF has the MAC of a port.
        direct = {port["mac_address"] for port in scene.octavia_ports() if port["binding:vnic_type"] == "direct"}
        for card in (public, members):
            (mac,) = (vf["address"] for vf in card.settings() if vf["address"].startswith(OURS))
            assert mac in direct
    finally:
        scene.remove(made["id"])
    assert scene.vfs_in_use() == before


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("service", SERVICES, ids=lambda service: str(service.protocol))
def test_a_service_reaches_clients_and_backends_everywhere(
    scene: LabScene, balancer: Json, service: Service, client: str
) -> None:
    vip = balancer["vip_address"]
    await_connection(scene, client, vip, service.port)
    assert set(who_answers(scene, client, service, vip, 6)) == set(BACKENDS)


def test_h5_c88922315_a_graph_of_two_listeners_whose_flavor_names_no_topology(scene: LabScene, balancer: Json) -> None:
    """It stayed PENDING_CREATE; the guide's own flavor is such a one."""
    profile = scene.admin.named("flavorprofiles", "amphora-sriov-profile")
    assert "loadbalancer_topology" not in profile["flavor_data"]
    assert (balancer["flavor_id"], balancer["provisioning_status"]) == (scene.flavor_id, "ACTIVE")
    assert len(balancer["listeners"]) == len(SERVICES)
    for service in SERVICES:
        await_connection(scene, "client-on-a-vf", balancer["vip_address"], service.port)


def test_members_in_a_vlan(scene: LabScene, members: Card) -> None:
    network = scene.admin.call(
        "POST",
        "/v2.0/networks",
        {
            "network": {
                "name": "in-vlan",
                "shared": True,
                "provider:network_type": "vlan",
                "provider:physical_network": "members",
                "provider:segmentation_id": VLAN,
            }
        },
        service="network",
    )["network"]
    subnet = {"network_id": network["id"], "cidr": VLAN_SUBNET, "ip_version": 4, "name": "in-vlan", "gateway_ip": None}
    made = scene.admin.call("POST", "/v2.0/subnets", {"subnet": subnet}, service="network")["subnet"]
    one = member(VLAN_BACKEND, made["id"], sriov=True)
    with scene.balancer("vlan", [one], flavor_id=scene.flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        vlans = [vf["vlan_list"] for vf in members.settings()]
        assert [one for one in vlans if one != [{}]] == [[{"vlan": VLAN}]]
        assert set(who_answers(scene, "client-outside", SERVICES[0], balancer["vip_address"], 2)) == {"backend-c"}
    assert [vf["vlan_list"] for vf in members.settings()] == [[{}]] * len(vlans)
    scene.admin.call("DELETE", f"/v2.0/networks/{network['id']}", service="network")


def test_normal_ports_beside_vfs(scene: LabScene) -> None:
    before = scene.vfs_in_use()
    plain = [member(address, scene.subnet("members-subnet")) for address in BACKENDS.values()]
    with bridged(), scene.balancer("plain", plain) as balancer:
        assert balancer["vip_vnic_type"] == "normal"
        for client in CLIENTS:
            vip = balancer["vip_address"]
            await_condition(
                f"{vip} answers", lambda at=scene.clients[client], vip=vip: scene.connects(vip, 80, host=at), 20
            )
            assert set(who_answers(scene, client, SERVICES[0], vip, 6)) == set(BACKENDS)
        assert scene.kinds(balancer["vip_address"]) == {"eth1": "port", "eth2": "port"}
        assert scene.vfs_in_use() == before


def test_a_killed_amphora_is_replaced_on_vfs(scene: LabScene) -> None:
    members = [member(BACKENDS["backend-a"], scene.subnet("members-subnet"), sriov=True)]
    with scene.balancer("killed", members, flavor_id=scene.flavor_id) as balancer:
        vip = balancer["vip_address"]
        scene.await_answer(vip)
        used, servers = scene.vfs_in_use(), {one["id"] for one in scene.servers()}
        scene.kill_amphorae()

        def is_replaced() -> bool:
            now = {one["id"] for one in scene.servers()}
            return bool(now) and not now & servers and scene.connects(vip, 80)

        await_condition("another amphora serves", is_replaced, 60, 0.2)
        scene.demo.await_active(balancer["id"], seconds=60)
        assert set(who_answers(scene, "client-on-a-vf", SERVICES[0], vip, 3)) == {"backend-a"}
        await_condition("its VFs are back", lambda: scene.vfs_in_use() == used, 30, 0.2)


def await_connection(scene: LabScene, client: str, vip: str, port: int) -> None:
    host = scene.clients[client]
    await_condition(f"{vip}:{port} answers {client}", lambda: scene.connects(vip, port, host=host), 20)


def who_answers(scene: LabScene, client: str, service: Service, vip: str, requests: int) -> dict[str, int]:
    """Backend → how many of so many requests, each on a connection of its own."""
    names = scene.clients[client].inside(lambda: [service.ask(vip, service.port) for _ in range(requests)])
    return {name: names.count(name) for name in names}
