from typing import Any

import httpx
import pytest
from cloud_networking import API, Vlan, fault, make_port
from running_cloud import RunningCloud


def test_seeded_networks_are_the_guide_s(admin: httpx.Client):
    networks = {one["name"]: one for one in admin.get(f"{API}/networks").json()["networks"]}
    assert {name: networks[name]["provider:physical_network"] for name in networks if not name.startswith("test")} == {
        "public": "public",
        "members": "members",
        "lb-mgmt-net": "mgmt",
    }
    assert [networks[name]["shared"] for name in ("public", "members", "lb-mgmt-net")] == [True, True, False]
    subnets = {one["name"]: one for one in admin.get(f"{API}/subnets").json()["subnets"]}
    assert {name: subnets[name]["cidr"] for name in subnets if "-subnet" in name} == {
        "public-subnet": "203.0.113.0/24",
        "public-subnet6": "2001:db8:0:cb::/64",
        "members-subnet": "192.0.2.0/24",
        "members-subnet6": "2001:db8:0:c0::/64",
        "lb-mgmt-subnet": "198.18.0.0/20",
    }
    assert subnets["public-subnet"]["gateway_ip"] is None
    assert subnets["public-subnet"]["allocation_pools"] == [{"start": "203.0.113.100", "end": "203.0.113.199"}]
    assert subnets["lb-mgmt-subnet"]["allocation_pools"][0]["start"] == "198.18.0.2"


def test_second_flat_network_on_a_physical_network_is_409(admin: httpx.Client):
    body = {"network": {"name": "public", "provider:network_type": "flat", "provider:physical_network": "public"}}
    assert fault(admin.post(f"{API}/networks", json=body)) == (409, "FlatNetworkInUse")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param(
            {"provider:physical_network": "moon", "provider:network_type": "flat"},
            (400, "InvalidInput"),
            id="unknown physical network",
        ),
        pytest.param({"provider:network_type": "vlan"}, (400, "InvalidInput"), id="no physical network"),
        pytest.param({"provider:network_type": "vxlan"}, (400, "InvalidInput"), id="unknown type"),
        pytest.param({}, (503, "NoNetworkAvailable"), id="tenant network"),
        pytest.param({"status": "ACTIVE"}, (400, "InvalidInput"), id="read-only attribute"),
        pytest.param({"colour": "red"}, (400, "InvalidInput"), id="unknown attribute"),
        pytest.param({"mtu": 10}, (400, "InvalidInput"), id="mtu too small"),
    ],
)
def test_bad_network_is_refused_and_not_made(admin: httpx.Client, values: dict[str, Any], expected: Any):
    before = admin.get(f"{API}/networks").json()
    assert fault(admin.post(f"{API}/networks", json={"network": {"name": "bad", **values}})) == expected
    assert admin.get(f"{API}/networks").json() == before


@pytest.mark.parametrize(
    ("values", "gateway", "pools"),
    [
        pytest.param({}, "10.9.1.1", [("10.9.1.2", "10.9.1.6")], id="default gateway is the first address"),
        pytest.param({"gateway_ip": None}, None, [("10.9.1.1", "10.9.1.6")], id="no gateway"),
        pytest.param(
            {"gateway_ip": "10.9.1.3"},
            "10.9.1.3",
            [("10.9.1.1", "10.9.1.2"), ("10.9.1.4", "10.9.1.6")],
            id="in between",
        ),
        pytest.param(
            {"allocation_pools": [{"start": "10.9.1.4", "end": "10.9.1.5"}]},
            "10.9.1.1",
            [("10.9.1.4", "10.9.1.5")],
            id="pool",
        ),
    ],
)
def test_gateway_and_pools_of_a_subnet(
    admin: httpx.Client, vlan: Vlan, values: dict[str, Any], gateway: str | None, pools: list[tuple[str, str]]
):
    body = {"subnet": {"network_id": vlan[0]["id"], "ip_version": 4, "cidr": "10.9.1.0/29", **values}}
    subnet = admin.post(f"{API}/subnets", json=body).json()["subnet"]
    assert subnet["gateway_ip"] == gateway
    assert [(pool["start"], pool["end"]) for pool in subnet["allocation_pools"]] == pools
    assert admin.get(f"{API}/subnets/{subnet['id']}").json()["subnet"] == subnet
    assert subnet["id"] in admin.get(f"{API}/networks/{vlan[0]['id']}").json()["network"]["subnets"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"cidr": "10.9.0.4/30"}, (400, "InvalidInput"), id="overlap"),
        pytest.param({"cidr": "10.9"}, (400, "InvalidInput"), id="no cidr"),
        pytest.param({"ip_version": 6}, (400, "InvalidInput"), id="other version"),
        pytest.param({"gateway_ip": "10.1.1.1"}, (400, "InvalidInput"), id="gateway elsewhere"),
        pytest.param(
            {"allocation_pools": [{"start": "10.9.1.6", "end": "10.9.1.2"}]},
            (400, "InvalidAllocationPool"),
            id="pool upside down",
        ),
        pytest.param(
            {"allocation_pools": [{"start": "10.9.1.2", "end": "10.9.2.2"}]},
            (400, "OutOfBoundsAllocationPool"),
            id="pool outside",
        ),
        pytest.param(
            {"allocation_pools": [{"start": "10.9.1.1", "end": "10.9.1.2"}]},
            (409, "GatewayConflictWithAllocationPools"),
            id="gateway in pool",
        ),
        pytest.param(
            {"allocation_pools": [{"start": "10.9.1.2", "end": "10.9.1.4"}, {"start": "10.9.1.4", "end": "10.9.1.5"}]},
            (409, "OverlappingAllocationPools"),
            id="pools overlap",
        ),
        pytest.param({"network_id": "none"}, (404, "NetworkNotFound"), id="unknown network"),
        pytest.param({"dns_nameservers": ["x"]}, (400, "InvalidInput"), id="bad name server"),
        pytest.param(
            {"host_routes": [{"destination": "x", "nexthop": "10.9.1.1"}]}, (400, "InvalidInput"), id="bad route"
        ),
    ],
)
def test_bad_subnet_is_refused(admin: httpx.Client, vlan: Vlan, values: dict[str, Any], expected: Any):
    body = {"subnet": {"network_id": vlan[0]["id"], "ip_version": 4, "cidr": "10.9.1.0/29", **values}}
    assert fault(admin.post(f"{API}/subnets", json=body)) == expected
    assert len(admin.get(f"{API}/networks/{vlan[0]['id']}").json()["network"]["subnets"]) == 1


def test_projects_see_their_own_and_what_is_shared(admin: httpx.Client, demo: httpx.Client, ids: dict[str, str]):
    assert {one["name"] for one in demo.get(f"{API}/networks").json()["networks"]} == {"public", "members"}
    assert "lb-mgmt-subnet" not in {one["name"] for one in demo.get(f"{API}/subnets").json()["subnets"]}
    assert fault(demo.get(f"{API}/networks/{ids['lb-mgmt-net']}")) == (404, "NetworkNotFound")
    theirs = make_port(admin, ids["public"]).json()["port"]["id"]
    mine = make_port(demo, ids["public"]).json()["port"]
    assert "binding:profile" not in mine
    assert [port["id"] for port in demo.get(f"{API}/ports").json()["ports"]] == [mine["id"]]
    assert fault(demo.delete(f"{API}/ports/{theirs}")) == (404, "PortNotFound")
    assert demo.delete(f"{API}/ports/{mine['id']}").status_code == 204
    assert admin.delete(f"{API}/ports/{theirs}").status_code == 204


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("networks", {"network": {"provider:physical_network": "public"}}, id="provider network"),
        pytest.param("networks", {"network": {"shared": True}}, id="shared network"),
        pytest.param("ports", {"port": {"network_id": "public", "binding:host_id": "host1"}}, id="host"),
        pytest.param("ports", {"port": {"network_id": "public", "project_id": "other"}}, id="other project"),
        pytest.param(
            "ports", {"port": {"network_id": "public", "fixed_ips": [{"ip_address": "203.0.113.150"}]}}, id="address"
        ),
        pytest.param("ports", {"port": {"network_id": "public", "mac_address": "fa:16:3e:00:00:02"}}, id="mac"),
        pytest.param(
            "subnets", {"subnet": {"network_id": "public", "cidr": "10.0.0.0/24"}}, id="subnet of a shared network"
        ),
        pytest.param("qos/policies", {"policy": {"name": "fast"}}, id="QoS policy"),
    ],
)
def test_only_administrators(demo: httpx.Client, ids: dict[str, str], path: str, body: Any):
    body = {
        name: {key: ids.get(value, value) if key == "network_id" else value for key, value in values.items()}
        for name, values in body.items()
    }
    before = demo.get(f"{API}/{path}").json()
    assert fault(demo.post(f"{API}/{path}", json=body)) == (403, "PolicyNotAuthorized")
    assert demo.get(f"{API}/{path}").json() == before


def test_security_groups(demo: httpx.Client, ids: dict[str, str]):
    (default,) = demo.get(f"{API}/security-groups").json()["security_groups"]
    assert default["name"] == "default"
    assert len(default["security_group_rules"]) == 4
    group = demo.post(f"{API}/security-groups", json={"security_group": {"name": "web"}}).json()["security_group"]
    rule = {
        "security_group_id": group["id"],
        "direction": "ingress",
        "protocol": "tcp",
        "port_range_min": 80,
        "port_range_max": 80,
    }
    made = demo.post(f"{API}/security-group-rules", json={"security_group_rule": rule})
    assert made.status_code == 201
    assert fault(demo.post(f"{API}/security-group-rules", json={"security_group_rule": rule})) == (
        409,
        "SecurityGroupRuleExists",
    )
    bad = {**rule, "port_range_min": 90}
    assert fault(demo.post(f"{API}/security-group-rules", json={"security_group_rule": bad})) == (
        400,
        "SecurityGroupInvalidPortRange",
    )
    port = make_port(demo, ids["public"], security_groups=[group["id"]]).json()["port"]
    assert fault(demo.delete(f"{API}/security-groups/{group['id']}")) == (409, "SecurityGroupInUse")
    assert fault(make_port(demo, ids["public"], security_groups=["none"])) == (404, "SecurityGroupNotFound")
    demo.delete(f"{API}/ports/{port['id']}").raise_for_status()
    assert demo.delete(f"{API}/security-group-rules/{made.json()['security_group_rule']['id']}").status_code == 204
    assert demo.delete(f"{API}/security-groups/{group['id']}").status_code == 204


def test_qos_policy(admin: httpx.Client, ids: dict[str, str]):
    policy = admin.post(f"{API}/qos/policies", json={"policy": {"name": "slow", "shared": True}}).json()["policy"]
    rules = f"{API}/qos/policies/{policy['id']}/bandwidth_limit_rules"
    rule = admin.post(rules, json={"bandwidth_limit_rule": {"max_kbps": 1000}}).json()["bandwidth_limit_rule"]
    assert fault(admin.post(rules, json={"bandwidth_limit_rule": {"max_kbps": 5}})) == (409, "QoSRuleParameterConflict")
    assert admin.get(f"{API}/qos/policies/{policy['id']}").json()["policy"]["rules"] == [rule]
    changed = admin.put(f"{rules}/{rule['id']}", json={"bandwidth_limit_rule": {"max_kbps": 2000}})
    assert changed.json()["bandwidth_limit_rule"]["max_kbps"] == 2000
    port = make_port(admin, ids["public"], qos_policy_id=policy["id"]).json()["port"]
    assert fault(admin.delete(f"{API}/qos/policies/{policy['id']}")) == (409, "QosPolicyInUse")
    admin.delete(f"{API}/ports/{port['id']}").raise_for_status()
    assert admin.delete(f"{rules}/{rule['id']}").status_code == 204
    assert admin.delete(f"{API}/qos/policies/{policy['id']}").status_code == 204


def test_minimum_bandwidth(admin: httpx.Client):
    policy = admin.post(f"{API}/qos/policies", json={"policy": {"name": "fast"}}).json()["policy"]
    path = f"{API}/qos/policies/{policy['id']}"
    rules = f"{path}/minimum_bandwidth_rules"
    rule = admin.post(rules, json={"minimum_bandwidth_rule": {"min_kbps": 1000}}).json()["minimum_bandwidth_rule"]
    assert rule == {
        "id": rule["id"],
        "type": "minimum_bandwidth",
        "qos_policy_id": policy["id"],
        "min_kbps": 1000,
        "direction": "egress",
    }
    limits = f"{path}/bandwidth_limit_rules"
    refused = admin.post(limits, json={"bandwidth_limit_rule": {"max_kbps": 999}})
    assert fault(refused) == (409, "QoSRuleParameterConflict")
    limit = admin.post(limits, json={"bandwidth_limit_rule": {"max_kbps": 1000}}).json()["bandwidth_limit_rule"]
    assert fault(admin.put(f"{rules}/{rule['id']}", json={"minimum_bandwidth_rule": {"min_kbps": 1001}}))[0] == 409
    assert fault(admin.post(rules, json={"minimum_bandwidth_rule": {"direction": "ingress"}}))[0] == 400
    shown = admin.get(path).json()["policy"]["rules"]
    assert {one["type"]: one for one in shown} == {"bandwidth_limit": limit, "minimum_bandwidth": rule}
    assert admin.get(rules).json() == {"minimum_bandwidth_rules": [rule]}
    assert fault(admin.get(f"{rules}/{limit['id']}")) == (404, "QosRuleNotFound")
    types = admin.get(f"{API}/qos/rule-types").json()["rule_types"]
    assert {one["type"] for one in types} == {"bandwidth_limit", "minimum_bandwidth"}
    assert admin.delete(f"{rules}/{rule['id']}").status_code == 204
    assert admin.delete(path).status_code == 204


def test_a_policy_must_exist(admin: httpx.Client, ids: dict[str, str], vlan: Vlan):
    assert fault(make_port(admin, ids["public"], qos_policy_id="none")) == (404, "QosPolicyNotFound")
    update = admin.put(f"{API}/networks/{vlan[0]['id']}", json={"network": {"qos_policy_id": "none"}})
    assert fault(update) == (404, "QosPolicyNotFound")


def test_a_profile_is_for_administrators(admin: httpx.Client, demo: httpx.Client, ids: dict[str, str]):
    profile = {"binding:profile": {"trusted": "true"}}
    port = make_port(admin, ids["public"], **profile).json()["port"]
    assert port["binding:profile"] == {"trusted": "true"}
    assert fault(make_port(demo, ids["public"], **profile)) == (403, "PolicyNotAuthorized")
    admin.delete(f"{API}/ports/{port['id']}").raise_for_status()


def test_tags(admin: httpx.Client, vlan: Vlan):
    path = f"{API}/networks/{vlan[0]['id']}/tags"
    assert admin.put(path, json={"tags": ["b", "a", "a"]}).json() == {"tags": ["a", "b"]}
    assert admin.put(f"{path}/c").status_code == 201
    assert admin.get(f"{path}/c").status_code == 204
    assert admin.delete(f"{path}/a").status_code == 204
    assert fault(admin.delete(f"{path}/a")) == (404, "TagNotFound")
    assert admin.get(path).json() == {"tags": ["b", "c"]}
    assert admin.delete(path).status_code == 204
    assert admin.get(path).json() == {"tags": []}


def test_discovery(cloud: RunningCloud, admin: httpx.Client):
    assert httpx.get(f"{cloud.url}/networking").json()["versions"][0]["id"] == "v2.0"
    extensions = {one["alias"] for one in admin.get(f"{API}/extensions").json()["extensions"]}
    assert {"binding", "provider", "allowed-address-pairs", "qos", "security-group"} <= extensions
    assert admin.get(f"{API}/extensions/router").status_code == 404
    (agent,) = admin.get(f"{API}/agents").json()["agents"]
    assert agent["configurations"]["device_mappings"] == {"public": ["pf-public"], "members": ["pf-members"]}
    project = admin.get("/identity/v3/projects?name=demo").json()["projects"][0]["id"]
    assert set(admin.get(f"{API}/quotas/{project}").json()["quota"].values()) == {-1}
    assert fault(admin.get(f"{API}/nothing")) == (404, "HTTPNotFound")
