"""VIPs in all their forms, graphs, and what a load balancer shows of itself."""

from typing import Any

import msgspec
import pytest
from api_world import World

from hydria.drivers.cloud import FixedIp, PortRequest
from hydria.model.heartbeat import ListenerStats
from hydria.model.load_balancer import LoadBalancer
from hydria.store import events


def network(world: World):
    return world.cloud.network("public").id


def a_port(world: World, *fixed_ips: Any, project_id: str = "demo", device_id: str = ""):
    request = PortRequest(
        network_id=network(world),
        name="mine",
        fixed_ips=tuple(FixedIp(subnet_id=subnet, ip_address=address) for subnet, address in fixed_ips),
        project_id=project_id,
        device_id=device_id,
    )
    return world.cloud.create_port(request)


def vip(lb: Any):
    return lb["vip_subnet_id"], lb["vip_address"]


def test_network_only_prefers_ipv4(world: World):
    lb = world.load_balancer(vip_subnet_id=None, vip_network_id=network(world))
    assert vip(lb) == (world.public, "203.0.113.2")


def test_network_and_address_choose_the_subnet(world: World):
    lb = world.load_balancer(vip_subnet_id=None, vip_network_id=network(world), vip_address="2001:DB8:1::0:77")
    assert vip(lb) == (world.public6, "2001:db8:1::77")


def test_a_subnet_needs_an_address_for_the_vip_and_one_for_the_amphora(world: World):
    tiny = world.cloud.add_network("tiny", "198.51.100.0/29", "2001:db8:7::/64")
    for _ in range(4):  # of five
        world.cloud.create_port(PortRequest(network_id=tiny.id, name="x"))
    lb = world.load_balancer(vip_subnet_id=None, vip_network_id=tiny.id)
    assert lb["vip_address"].startswith("2001:db8:7::")


def test_a_network_without_free_addresses(world: World):
    tiny = world.cloud.add_network("tiny", "198.51.100.0/30")
    before = world.rows()
    body = {"loadbalancer": {"vip_network_id": tiny.id}}
    world.refused(world.call("POST", "/loadbalancers", body), 400, "no subnet with 2 free addresses")
    assert world.rows() == before


def test_a_subnet_without_free_addresses_conflicts(world: World):
    tiny = world.cloud.add_network("tiny", "198.51.100.0/30")
    world.cloud.create_port(PortRequest(network_id=tiny.id, name="x"))
    before = world.rows()
    body = {"loadbalancer": {"vip_subnet_id": tiny.subnets[0]}}
    world.refused(world.call("POST", "/loadbalancers", body), 409, "No more IP addresses")
    assert world.rows() == before


def test_port_security_must_be_on(world: World):
    bare = world.cloud.add_network("bare", "198.51.100.0/24", port_security=False)
    body = {"loadbalancer": {"vip_subnet_id": bare.subnets[0]}}
    world.refused(world.call("POST", "/loadbalancers", body), 400, "Port security must be enabled on the VIP network")


def test_dual_stack(world: World):
    second = {"subnet_id": world.public6, "ip_address": "2001:db8:1::9"}
    lb = world.load_balancer(additional_vips=[second])
    assert lb["additional_vips"] == [{**second, "port_id": lb["vip_port_id"]}]
    port = world.cloud.ports[lb["vip_port_id"]]
    assert [fixed.ip_address for fixed in port.fixed_ips] == [lb["vip_address"], "2001:db8:1::9"]
    assert world.listener(lb, allowed_cidrs=["10.1.2.3/8", "2001:db8::1"])["allowed_cidrs"] == [
        "10.0.0.0/8",
        "2001:db8::1/128",
    ]


def test_the_users_port_stays_the_users(world: World):
    port = a_port(world, (world.public, "203.0.113.50"))
    lb = world.load_balancer(vip_subnet_id=None, vip_port_id=port.id)
    assert (lb["vip_port_id"], *vip(lb)) == (port.id, world.public, "203.0.113.50")
    assert lb["vip_network_id"] == port.network_id
    assert list(world.cloud.ports) == [port.id]
    with world.services.database.read() as tx:
        (owned,) = tx.connection.exec_driver_sql("SELECT vip_port_owned FROM load_balancer").one()
    assert not owned


def test_a_port_of_several_addresses_needs_a_choice(world: World):
    port = a_port(world, (world.public, "203.0.113.50"), (world.public6, "2001:db8:1::50"))
    body = {"loadbalancer": {"vip_port_id": port.id}}
    world.refused(world.call("POST", "/loadbalancers", body), 400, "2 fixed IPs to choose from")
    lb = world.load_balancer(vip_port_id=port.id, vip_subnet_id=world.public6)
    assert vip(lb) == (world.public6, "2001:db8:1::50")


def test_a_port_of_several_addresses_can_carry_all_vips(world: World):
    port = a_port(world, (world.public, "203.0.113.50"), (world.public6, "2001:db8:1::50"))
    lb = world.load_balancer(vip_port_id=port.id, additional_vips=[{"subnet_id": world.public6}])
    assert lb["additional_vips"] == [
        {"subnet_id": world.public6, "ip_address": "2001:db8:1::50", "port_id": port.id},
    ]


def test_anothers_port_does_not_exist(world: World):
    port = a_port(world, (world.public, "203.0.113.50"), project_id="other")
    body = {"loadbalancer": {"vip_port_id": port.id}}
    world.refused(world.call("POST", "/loadbalancers", body), 400, f"Port {port.id} not found.")


@pytest.mark.parametrize(("data", "kind"), [('{"sriov_vip": true}', "direct"), ("{}", "normal"), (None, "normal")])
def test_the_flavor_decides_about_the_vip(world: World, data: Any, kind: str):
    flavor_id = world.flavor(data)["id"] if data else None
    lb = world.load_balancer(flavor_id=flavor_id)
    assert (lb["vip_vnic_type"], lb["flavor_id"], lb["provider"]) == (kind, flavor_id, "amphora")
    assert world.cloud.ports[lb["vip_port_id"]].vnic_type == "normal"


GROUP = "4f7a2f6e-2222-4000-8000-000000000000"


def test_security_groups_and_vfs_exclude_each_other(world: World):
    world.cloud.existing.add(("security-groups", GROUP))
    flavor_id = world.flavor()["id"]
    before = world.rows()
    body = {"vip_subnet_id": world.public, "flavor_id": flavor_id, "vip_sg_ids": [GROUP]}
    text = "VIP Security Groups are not allowed with VNIC direct type"
    world.refused(world.call("POST", "/loadbalancers", {"loadbalancer": body}), 400, text)
    assert world.rows() == before
    lb = world.load_balancer(flavor_id=flavor_id, vip_sg_ids=[])
    path = f"/loadbalancers/{lb['id']}"
    world.refused(world.call("PUT", path, {"loadbalancer": {"vip_sg_ids": [GROUP]}}), 400, text)
    assert world.put(path, {"loadbalancer": {"vip_sg_ids": []}})["vip_sg_ids"] == []


def test_security_groups_and_allowed_cidrs_exclude_each_other(world: World):
    world.cloud.existing.add(("security-groups", GROUP))
    lb = world.load_balancer()
    listener = world.listener(lb, allowed_cidrs=["10.0.0.0/8"])
    path = f"/loadbalancers/{lb['id']}"
    world.refused(world.call("PUT", path, {"loadbalancer": {"vip_sg_ids": [GROUP]}}), 400, "allowed_cidrs")
    world.put(f"/listeners/{listener['id']}", {"listener": {"allowed_cidrs": None}})
    assert world.put(path, {"loadbalancer": {"vip_sg_ids": [GROUP]}})["vip_sg_ids"] == [GROUP]
    body = {"listener": {"allowed_cidrs": ["10.0.0.0/8"]}}
    world.refused(world.call("PUT", f"/listeners/{listener['id']}", body), 400, "vip_sg_ids")


def test_an_admin_creates_for_a_project(world: World):
    body = {"loadbalancer": {"vip_subnet_id": world.public, "tenant_id": "demo"}}
    lb = world.post("/loadbalancers", body, who="admin")
    assert lb["project_id"] == lb["tenant_id"] == "demo"
    assert world.get(f"/loadbalancers/{lb['id']}")["id"] == lb["id"]


GRAPH = {
    "name": "graph",
    "listeners": [
        {"name": "web", "protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "blue"}},
        {
            "name": "raw",
            "protocol": "TCP",
            "protocol_port": 5000,
            "default_pool": {
                "name": "green",
                "protocol": "TCP",
                "lb_algorithm": "LEAST_CONNECTIONS",
                "members": [{"address": "192.0.2.30", "protocol_port": 5000}],
            },
        },
    ],
    "pools": [
        {
            "name": "blue",
            "protocol": "HTTP",
            "lb_algorithm": "ROUND_ROBIN",
            "members": [
                {"address": "192.0.2.10", "protocol_port": 80, "request_sriov": True},
                {"address": "192.0.2.11", "protocol_port": 80},
            ],
            "healthmonitor": {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1},
        }
    ],
}


def test_a_whole_graph_at_once(world: World):
    flavor = world.flavor()
    lb = world.load_balancer(flavor_id=flavor["id"], **GRAPH)
    web, raw = lb["listeners"]
    blue, green = sorted(lb["pools"], key=lambda pool: pool["name"])
    assert (web["default_pool_id"], raw["default_pool_id"]) == (blue["id"], green["id"])
    assert (web["default_pool"], web["loadbalancers"]) == (blue, [{"id": lb["id"]}])
    assert [member["vnic_type"] for member in blue["members"]] == ["direct", "normal"]
    assert blue["healthmonitor"]["expected_codes"] == "200"
    assert blue["listeners"] == [{"id": web["id"]}]
    assert green["healthmonitor"] is None
    assert world.get(f"/loadbalancers/{lb['id']}")["listeners"] == [{"id": web["id"]}, {"id": raw["id"]}]
    tree = world.get(f"/loadbalancers/{lb['id']}/statuses")["loadbalancer"]
    assert [len(item["pools"][0]["members"]) for item in tree["listeners"]] == [2, 1]
    assert tree["listeners"][0]["pools"][0]["health_monitor"]["type"] == "HTTP"
    assert {item["provisioning_status"] for item in world.get("/pools")} == {"PENDING_CREATE"}


def changed(path: str, value: Any):
    """GRAPH with one thing different."""
    graph = msgspec.json.decode(msgspec.json.encode(GRAPH))
    *way, last = path
    at = graph
    for step in way:
        at = at[step]
    at[last] = value
    return graph


@pytest.mark.parametrize(
    ("path", "value", "status", "text"),
    [
        pytest.param(("listeners", 1, "protocol_port"), 80, 409, "already using", id="two on one port"),
        pytest.param(("listeners", 0, "default_pool"), {"name": "red"}, 400, "red", id="no such pool"),
        pytest.param(("listeners", 0, "protocol"), "UDP", 400, "valid option", id="protocol of a nested listener"),
        pytest.param(("listeners", 0, "loadbalancer_id"), "x", 400, "Unknown attribute", id="listener's parent"),
        pytest.param(("listeners", 0, "allowed_cidrs"), ["::/0"], 400, "family", id="family of no VIP"),
        pytest.param(("pools", 0, "name"), "green", 400, "uniquely", id="a name twice"),
        pytest.param(("pools", 0, "name"), None, 400, "must have a name", id="a pool without name"),
        pytest.param(("pools", 0, "protocol"), "TCP", 400, "valid option", id="pool does not fit its listener"),
        pytest.param(("pools", 0, "listener_id"), GROUP, 400, "listener_id", id="pool's parent"),
        pytest.param(("pools", 0, "lb_algorithm"), "SOURCE_IP_PORT", 501, "support", id="algorithm"),
        pytest.param(("pools", 0, "members", 0, "weight"), -1, 400, "weight", id="weight"),
        pytest.param(("pools", 0, "members", 0, "subnet_id"), GROUP, 400, f"Subnet {GROUP}", id="member's subnet"),
        pytest.param(("pools", 0, "members", 0, "address"), "192.0.2.11", 409, "already using", id="same member"),
        pytest.param(("pools", 0, "healthmonitor", "type"), "SCTP", 400, "valid option", id="monitor's type"),
        pytest.param(("pools", 0, "healthmonitor", "url_path"), "/a b", 400, "url_path", id="monitor's path"),
        pytest.param(("flavor_id",), None, 400, "SR-IOV member ports", id="VF member without flavor"),
    ],
)
def test_a_graph_is_checked_like_single_requests(world: World, path: str, value: Any, status: int, text: str):
    body = {"vip_subnet_id": world.public, **changed(path, value)}
    body.setdefault("flavor_id", world.flavor()["id"])
    before = world.rows()
    world.refused(world.call("POST", "/loadbalancers", {"loadbalancer": body}), status, text)
    assert world.rows() == before


def test_stats_and_events(world: World):
    lb = world.load_balancer()
    listener = world.listener(lb)
    zero = dict.fromkeys(ListenerStats.__struct_fields__, 0)
    assert world.get(f"/loadbalancers/{lb['id']}/stats") == zero
    assert world.get(f"/listeners/{listener['id']}/stats") == zero
    assert world.get(f"/loadbalancers/{lb['id']}/events") == []
    with world.services.database.write() as tx:
        reason = "No valid host was found. host1: no free VF."
        events.record(tx, lb["id"], LoadBalancer, lb["id"], level="ERROR", reason=reason)
    (event,) = world.get(f"/loadbalancers/{lb['id']}/events")
    assert (event["level"], event["reason"]) == ("ERROR", "No valid host was found. host1: no free VF.")
    for view in ("stats", "status", "events"):
        world.refused(world.call("GET", f"/loadbalancers/{lb['id']}/{view}", who="other"), 403, "Policy")


def test_flavors_profiles_and_providers(world: World):
    flavor = world.flavor("{}")
    assert set(world.get(f"/flavors/{flavor['id']}")) >= {"id", "name", "description", "enabled", "flavor_profile_id"}
    changed_flavor = {"flavor": {"enabled": False, "description": "d"}}
    assert world.put(f"/flavors/{flavor['id']}", changed_flavor, who="admin")["enabled"] is False
    lb = world.load_balancer()
    with world.services.database.write() as tx:
        tx.connection.exec_driver_sql("UPDATE load_balancer SET flavor_id = ?", (flavor["id"],))
    world.refused(world.call("DELETE", f"/flavors/{flavor['id']}", who="admin"), 409, "in use")
    world.delete(f"/loadbalancers/{lb['id']}")
    world.settle()
    world.delete(f"/flavors/{flavor['id']}", who="admin")
    world.delete(f"/flavorprofiles/{flavor['flavor_profile_id']}", who="admin")
    assert [item["name"] for item in world.get("/providers")] == ["amphora", "octavia"]
    assert world.get("/providers?fields=name&name=octavia") == [{"name": "octavia"}]
    capabilities = world.get("/providers/amphora/flavor_capabilities", who="admin")
    assert {"sriov_vip", "allow_member_sriov"} <= {item["name"] for item in capabilities}
    described = {item["name"]: item["description"] for item in capabilities if item["name"].startswith("vf_")}
    assert sorted(described) == ["vf_max_tx_rate", "vf_min_tx_rate", "vf_spoofchk", "vf_trust"]
    assert all(described.values())


@pytest.mark.parametrize(
    "data",
    [
        '{"sriov_vip": true, "vf_trust": true, "vf_spoofchk": false}',
        '{"allow_member_sriov": true, "vf_min_tx_rate": 100, "vf_max_tx_rate": 100}',
        '{"sriov_vip": true, "vf_min_tx_rate": 100, "vf_max_tx_rate": 0}',
    ],
    ids=["trusted", "rates of members", "no upper limit"],
)
def test_vf_settings_are_kept_as_they_were_given(world: World, data: str):
    flavor = world.flavor(data)
    assert world.get(f"/flavorprofiles/{flavor['flavor_profile_id']}", who="admin")["flavor_data"] == data


def test_amphorae_are_for_operators(world: World):
    headers = {"X-Auth-Token": "admin"}
    assert world.client.get("/v2.0/octavia/amphorae", headers=headers).json() == {"amphorae": []}
    world.refused(world.client.get("/v2.0/octavia/amphorae/x", headers=headers), 404, "Amphora x not found.")
    world.refused(world.client.get("/v2.0/octavia/amphorae", headers={"X-Auth-Token": "demo"}), 403, "Policy")
