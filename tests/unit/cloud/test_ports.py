import concurrent.futures
from typing import Any

import httpx
import pytest
from cloud_networking import API, Vlan, addresses, fault, make_port
from running_cloud import RunningCloud

from hydria.base.config import Config
from hydria.cloud.app import open_services
from hydria.cloud.context import CLOUD
from hydria.cloud.network.errors import PortBound


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
    services.close()
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
