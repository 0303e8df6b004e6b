import concurrent.futures
from typing import Any

import httpx
import pytest
from running_cloud import RunningCloud

from hydria.base.config import Config
from hydria.cloud.app import open_services
from hydria.cloud.context import CLOUD
from hydria.cloud.network.errors import PortBound

API = "/networking/v2.0"
Vlan = tuple[dict[str, Any], dict[str, Any]]
"""A network and its subnet."""


def fault(answer: httpx.Response) -> tuple[int, str]:
    body = answer.json()["NeutronError"]
    assert set(body) == {"type", "message", "detail"}
    return answer.status_code, body["type"]


@pytest.fixture(scope="module")
def ids(admin: httpx.Client):
    """Name → id of the seeded networks and subnets."""
    resources = admin.get(f"{API}/networks").json()["networks"] + admin.get(f"{API}/subnets").json()["subnets"]
    return {one["name"]: one["id"] for one in resources}


@pytest.fixture
def vlan(admin: httpx.Client, request: pytest.FixtureRequest):
    """A network of its own for a test, with an IPv4 subnet of five free addresses."""
    body = {
        "network": {"name": request.node.name, "provider:network_type": "vlan", "provider:physical_network": "public"}
    }
    network = admin.post(f"{API}/networks", json=body).json()["network"]
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": "10.9.0.0/29"}}
    subnet = admin.post(f"{API}/subnets", json=body).json()["subnet"]
    yield network, subnet
    for port in admin.get(f"{API}/ports", params={"network_id": network["id"]}).json()["ports"]:
        admin.delete(f"{API}/ports/{port['id']}").raise_for_status()
    admin.delete(f"{API}/networks/{network['id']}").raise_for_status()


def make_port(client: httpx.Client, network_id: str, **values: Any):
    return client.post(f"{API}/ports", json={"port": {"network_id": network_id, **values}})


def addresses(port: dict[str, Any]):
    return [one["ip_address"] for one in port["fixed_ips"]]


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


def test_port_gets_one_address_per_ip_version(admin: httpx.Client, ids: dict[str, str]):
    port = make_port(admin, ids["members"], name="vip").json()["port"]
    assert addresses(port) == ["192.0.2.100", "2001:db8:0:c0::100"]
    assert port["mac_address"].startswith("fa:16:3e:")
    assert (port["status"], port["binding:vif_type"], port["binding:vnic_type"]) == ("DOWN", "unbound", "normal")
    assert len(port["security_groups"]) == 1
    admin.delete(f"{API}/ports/{port['id']}").raise_for_status()
    assert fault(admin.get(f"{API}/ports/{port['id']}")) == (404, "PortNotFound")


@pytest.mark.parametrize(
    ("fixed_ips", "expected"),
    [
        pytest.param([{"ip_address": "10.9.0.5"}], ["10.9.0.5"], id="address"),
        pytest.param([{"subnet_id": "SUBNET", "ip_address": "10.9.0.5"}], ["10.9.0.5"], id="both"),
        pytest.param([{"subnet_id": "SUBNET"}], ["10.9.0.2"], id="subnet"),
        pytest.param([{"subnet_id": "SUBNET"}, {"ip_address": "10.9.0.6"}], ["10.9.0.2", "10.9.0.6"], id="two"),
        pytest.param([], [], id="none"),
        pytest.param([{"ip_address": "10.9.0.8"}], (400, "InvalidIpForNetwork"), id="on no subnet"),
        pytest.param([{"ip_address": "10.9.0.7"}], (400, "InvalidIpForNetwork"), id="broadcast address"),
        pytest.param(
            [{"subnet_id": "SUBNET", "ip_address": "10.8.0.1"}], (400, "InvalidIpForSubnet"), id="on another subnet"
        ),
        pytest.param([{"subnet_id": "none"}], (404, "SubnetNotFound"), id="unknown subnet"),
        pytest.param([{"ip_address": "x"}], (400, "InvalidInput"), id="no address"),
        pytest.param([{}], (400, "InvalidInput"), id="neither"),
        pytest.param(
            [{"ip_address": "10.9.0.5"}, {"ip_address": "10.9.0.5"}], (409, "IpAddressAlreadyAllocated"), id="twice"
        ),
    ],
)
def test_fixed_ips(admin: httpx.Client, vlan: Vlan, fixed_ips: list[dict[str, str]], expected: Any):
    network, subnet = vlan
    asked = [{key: subnet["id"] if value == "SUBNET" else value for key, value in one.items()} for one in fixed_ips]
    answer = make_port(admin, network["id"], fixed_ips=asked)
    if isinstance(expected, list):
        assert addresses(answer.json()["port"]) == expected
    else:
        assert fault(answer) == expected
        assert admin.get(f"{API}/ports", params={"network_id": network["id"]}).json()["ports"] == []


def test_address_in_use_and_pool_exhausted(admin: httpx.Client, vlan: Vlan):
    network, subnet = vlan
    for _ in range(5):
        make_port(admin, network["id"]).raise_for_status()
    assert fault(make_port(admin, network["id"])) == (409, "IpAddressGenerationFailure")
    assert fault(make_port(admin, network["id"], fixed_ips=[{"ip_address": "10.9.0.4"}])) == (
        409,
        "IpAddressAlreadyAllocated",
    )
    assert fault(admin.delete(f"{API}/subnets/{subnet['id']}")) == (409, "SubnetInUse")
    assert fault(admin.delete(f"{API}/networks/{network['id']}")) == (409, "NetworkInUse")
    (shown,) = admin.get(f"{API}/network-ip-availabilities?network_id={network['id']}").json()[
        "network_ip_availabilities"
    ]
    assert (shown["total_ips"], shown["used_ips"]) == (5, 5)


def test_no_address_is_given_twice_however_many_ask(config: Config):
    services = open_services(config)
    (network,), _ = services.network.networks.documents(CLOUD, {"name": ["lb-mgmt-net"]})

    def make(_: int) -> tuple[str, str]:
        port = services.network.create_port(network_id=network["id"], project_id=network["project_id"])
        return port.fixed_ips[0].ip_address, port.mac_address

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        made = list(pool.map(make, range(100)))
    listed = services.network.ports_of_device("")
    services.database.close()
    assert sorted(int(address.split(".")[3]) for address, _ in made) == list(range(2, 102))
    assert {(port.fixed_ips[0].ip_address, port.mac_address) for port in listed} == set(made)
    assert len({mac for _, mac in made}) == 100


def test_mac_address_is_unique_and_checked(admin: httpx.Client, vlan: Vlan):
    network, _ = vlan
    assert (
        make_port(admin, network["id"], mac_address="FA:16:3E:00:00:01").json()["port"]["mac_address"]
        == "fa:16:3e:00:00:01"
    )
    assert fault(make_port(admin, network["id"], mac_address="fa:16:3e:00:00:01")) == (409, "MacAddressInUse")
    assert fault(make_port(admin, network["id"], mac_address="zz")) == (400, "InvalidInput")


def test_update_of_a_port(admin: httpx.Client, vlan: Vlan):
    network, subnet = vlan
    port = make_port(admin, network["id"]).json()["port"]
    pairs = [{"ip_address": "10.9.0.6"}]
    body = {"port": {"name": "renamed", "allowed_address_pairs": pairs, "admin_state_up": False}}
    updated = admin.put(f"{API}/ports/{port['id']}", json=body).json()["port"]
    assert (updated["name"], updated["allowed_address_pairs"], updated["admin_state_up"]) == ("renamed", pairs, False)
    assert updated["revision_number"] == port["revision_number"] + 1
    body = {"port": {"fixed_ips": [{"subnet_id": subnet["id"]}, {"ip_address": "10.9.0.5"}]}}
    updated = admin.put(f"{API}/ports/{port['id']}", json=body).json()["port"]
    assert addresses(updated) == [*addresses(port), "10.9.0.5"]
    other = make_port(admin, network["id"]).json()["port"]
    body = {"port": {"fixed_ips": [{"ip_address": addresses(other)[0]}]}}
    assert fault(admin.put(f"{API}/ports/{port['id']}", json=body)) == (409, "IpAddressAlreadyAllocated")
    assert addresses(admin.get(f"{API}/ports/{port['id']}").json()["port"]) == addresses(updated)


def test_bind_and_unbind_run_twice(cloud: RunningCloud, admin: httpx.Client, ids: dict[str, str]):
    network = cloud.services.network
    port = make_port(admin, ids["public"], **{"binding:vnic_type": "direct"}).json()["port"]
    profile = {"pci_slot": "0000:01:10.0", "physical_network": "public"}
    for _ in range(2):
        network.bind(port["id"], host="host1", device_id="server", device_owner="compute:nova", profile=profile)
    shown = admin.get(f"{API}/ports/{port['id']}").json()["port"]
    assert (shown["status"], shown["binding:vif_type"], shown["binding:host_id"]) == ("ACTIVE", "hw_veb", "host1")
    assert shown["binding:profile"] == profile
    assert [one.id for one in network.ports_of_device("server")] == [port["id"]]
    with pytest.raises(PortBound, match="bound to device server already"):
        network.bind(port["id"], host="host1", device_id="another", device_owner="compute:nova", profile={})
    assert fault(admin.put(f"{API}/ports/{port['id']}", json={"port": {"mac_address": "fa:16:3e:00:00:09"}})) == (
        409,
        "PortBound",
    )
    for _ in range(2):
        network.unbind(port["id"])
    shown = admin.get(f"{API}/ports/{port['id']}").json()["port"]
    assert (shown["status"], shown["device_id"], shown["binding:profile"]) == ("DOWN", "", {})
    for _ in range(2):
        network.delete_port(port["id"])
    network.unbind(port["id"])


def test_deleted_port_of_a_device_is_told_to_who_asked(cloud: RunningCloud, admin: httpx.Client, ids: dict[str, str]):
    gone = []
    cloud.services.network.on_port_deleted(gone.append)
    bound, free = (make_port(admin, ids["public"], device_id=device).json()["port"]["id"] for device in ("server", ""))
    for port in (bound, free):
        assert admin.delete(f"{API}/ports/{port}").status_code == 204
    assert [port.id for port in gone] == [bound]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        pytest.param("name=a", 1, id="name"),
        pytest.param("name=a&name=b", 2, id="one of two names"),
        pytest.param("fixed_ips=ip_address=10.9.0.2", 1, id="address"),
        pytest.param("fixed_ips=ip_address=10.9.0.2&fixed_ips=ip_address=10.9.0.3", 2, id="one of two addresses"),
        pytest.param("fixed_ips=ip_address_substr=10.9.0", 3, id="part of the address"),
        pytest.param("fixed_ips=subnet_id=none", 0, id="other subnet"),
        pytest.param("admin_state_up=True", 3, id="boolean"),
        pytest.param("tags=x", 1, id="tag"),
        pytest.param("not-tags=x", 2, id="without tag"),
        pytest.param("limit=2", 2, id="limit"),
        pytest.param("binding:vnic_type=direct", 1, id="vnic type"),
    ],
)
def test_filters(admin: httpx.Client, vlan: Vlan, query: str, count: int):
    network, _ = vlan
    for name, more in (("a", {"tags": ["x"]}), ("b", {}), ("c", {"binding:vnic_type": "direct"})):
        make_port(admin, network["id"], name=name, **more).raise_for_status()
    assert len(admin.get(f"{API}/ports?network_id={network['id']}&{query}").json()["ports"]) == count


def test_fields_sort_and_pages(admin: httpx.Client, vlan: Vlan):
    network, _ = vlan
    for name in ("b", "c", "a"):
        make_port(admin, network["id"], name=name).raise_for_status()
    path = f"{API}/ports?network_id={network['id']}&sort_key=name&sort_dir=desc&fields=id&fields=name"
    ports = admin.get(path).json()["ports"]
    assert [port["name"] for port in ports] == ["c", "b", "a"]
    assert all(set(port) == {"id", "name"} for port in ports)
    first = admin.get(f"{path}&limit=2").json()
    rest = admin.get(first["ports_links"][0]["href"]).json()
    assert first["ports"] + rest["ports"] == ports
    assert "ports_links" not in rest
    assert fault(admin.get(f"{API}/ports?colour=red")) == (400, "HTTPBadRequest")


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


def test_bulk_create_makes_all_or_none(admin: httpx.Client, vlan: Vlan):
    network, _ = vlan
    bodies = [{"network_id": network["id"], "name": name} for name in ("a", "b")]
    made = admin.post(f"{API}/ports", json={"ports": bodies}).json()["ports"]
    assert [port["name"] for port in made] == ["a", "b"]
    refused = admin.post(f"{API}/ports", json={"ports": [*bodies, {"network_id": "none"}]})
    assert fault(refused) == (404, "NetworkNotFound")
    assert len(admin.get(f"{API}/ports", params={"network_id": network["id"]}).json()["ports"]) == 2


def test_slaac_subnet_gives_the_address_of_the_mac(admin: httpx.Client, vlan: Vlan):
    body = {
        "network_id": vlan[0]["id"],
        "ip_version": 6,
        "cidr": "fd00::/64",
        "ipv6_address_mode": "slaac",
        "ipv6_ra_mode": "slaac",
    }
    admin.post(f"{API}/subnets", json={"subnet": body}).raise_for_status()
    port = make_port(admin, vlan[0]["id"], mac_address="fa:16:3e:01:02:03").json()["port"]
    assert addresses(port)[1] == "fd00::f816:3eff:fe01:203"


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
