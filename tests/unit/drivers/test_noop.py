"""The pretended cloud: any id is there, two processes say the same of it, and what was made is found and deleted."""

import ipaddress
import uuid
from typing import Any

import pytest

from hydria.api import vips
from hydria.drivers.cloud import FixedIp, PortRequest, SecurityGroupRule, ServerRequest
from hydria.drivers.noop import NoopCloud
from hydria.model.load_balancer import AdditionalVip

NETWORK, SUBNET, OTHER, PORT = (str(uuid.UUID(int=number, version=4)) for number in range(1, 5))


def request(name: str = "p", **values: Any) -> PortRequest:
    return PortRequest(**{"network_id": NETWORK, "name": name, "fixed_ips": (FixedIp(subnet_id=SUBNET),), **values})


def controllers() -> NoopCloud:
    return NoopCloud(memory=100, stands=lambda name: name.startswith("base-"))


def plan(**values: Any) -> vips.Plan:
    cloud = NoopCloud()
    return vips.plan(cloud, cloud.seen_by("token"), values, topology="SINGLE", projects=("demo",))


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda cloud: cloud.network(NETWORK), id="network"),
        pytest.param(lambda cloud: cloud.network("lb-mgmt-net"), id="network by name"),
        pytest.param(lambda cloud: cloud.subnet(SUBNET), id="subnet"),
        pytest.param(lambda cloud: cloud.port(PORT), id="port"),
        pytest.param(lambda cloud: cloud.free_addresses(NETWORK), id="free addresses"),
        pytest.param(lambda cloud: cloud.server(PORT), id="server"),
        pytest.param(lambda cloud: cloud.image_by_tag("amphora"), id="image"),
        pytest.param(lambda cloud: cloud.exists("qos-policies", PORT), id="policy"),
        pytest.param(lambda cloud: cloud.flavor_exists("huge"), id="flavor"),
        pytest.param(lambda cloud: cloud.zone_exists("mars"), id="zone"),
        pytest.param(lambda cloud: cloud.create_port(request()).fixed_ips, id="address of a new port"),
        pytest.param(lambda cloud: cloud.create_port(request()).mac_address, id="MAC address of a new port"),
    ],
)
def test_two_processes_say_the_same(ask: Any) -> None:
    assert ask(NoopCloud())
    assert ask(NoopCloud()) == ask(controllers())


def test_what_is_said_fits_together() -> None:
    cloud = NoopCloud()
    network = cloud.network(NETWORK)
    assert network is not None
    families = []
    for id_ in network.subnets:
        subnet = cloud.subnet(id_)
        assert subnet is not None
        families.append(subnet.ip_version)
        port = cloud.create_port(request(fixed_ips=(FixedIp(subnet_id=id_),)))
        address = ipaddress.ip_address(port.fixed_ips[0].ip_address or "")
        assert address in ipaddress.ip_network(subnet.cidr)
        assert str(address) != subnet.gateway_ip
    assert families == [4, 6]


@pytest.mark.parametrize(
    ("values", "families"),
    [
        pytest.param({"vip_subnet_id": SUBNET}, {4}, id="subnet"),
        pytest.param({"vip_network_id": NETWORK}, {4}, id="network"),
        pytest.param({"vip_port_id": PORT}, {4}, id="port"),
        pytest.param({"vip_subnet_id": SUBNET, "vip_network_id": NETWORK, "vip_port_id": PORT}, {4}, id="all three"),
        pytest.param({"vip_subnet_id": SUBNET, "vip_address": "198.51.100.7"}, {4}, id="IPv4"),
        pytest.param({"vip_subnet_id": SUBNET, "vip_address": "2001:db8::7"}, {6}, id="IPv6"),
        pytest.param({"vip_network_id": NETWORK, "vip_address": "2001:db8::7"}, {6}, id="IPv6 in a network"),
        pytest.param({"vip_network_id": NETWORK, "vip_address": "192.0.2.7"}, {4}, id="IPv4 in a network"),
        pytest.param({"vip_port_id": PORT, "vip_address": "2001:db8::7"}, {6}, id="IPv6 of a port"),
        pytest.param(
            {
                "vip_subnet_id": SUBNET,
                "vip_network_id": NETWORK,
                "additional_vips": [AdditionalVip(subnet_id=OTHER, ip_address="2001:db8::7")],
            },
            {4, 6},
            id="both families",
        ),
        pytest.param(
            {"vip_network_id": NETWORK, "additional_vips": [AdditionalVip(subnet_id=OTHER)]}, {4}, id="network and more"
        ),
    ],
)
def test_any_vips_are_possible(values: dict[str, Any], families: set[int]) -> None:
    chosen = plan(**values)
    assert chosen.families == families
    assert chosen.network_id == values.get("vip_network_id", chosen.network_id)
    first = chosen.fixed_ips[0]
    assert first.subnet_id == values.get("vip_subnet_id", first.subnet_id)
    assert first.ip_address == values.get("vip_address", first.ip_address)
    assert len(chosen.fixed_ips) == 1 + len(values.get("additional_vips", ()))


def test_ports_are_found_changed_and_deleted() -> None:
    cloud = controllers()
    made = cloud.create_port(request(security_groups=("a",)))
    cloud.set_security_groups(made.id, ["b"])
    cloud.attach_port("server", made.id)
    (found,) = cloud.find_ports(name=["p", "q"])
    assert (found.id, found.security_groups, found.device_id) == (made.id, ("b",), "server")
    assert cloud.port(made.id) == found
    cloud.detach_port("server", made.id)
    assert cloud.find_ports(name="p")[0].device_id == ""
    cloud.delete_port(made.id)
    assert (cloud.find_ports(name="p"), cloud.port(made.id)) == ((), None)
    cloud.delete_port(made.id)
    assert cloud.create_port(request()) == cloud.port(made.id)


def test_ports_of_one_name_in_several_networks() -> None:
    cloud = controllers()
    one, other = (cloud.create_port(request(network_id=network)) for network in (NETWORK, OTHER))
    assert one.id != other.id
    assert {port.id for port in cloud.find_ports(name="p")} == {one.id, other.id}
    cloud.delete_port(one.id)
    assert [port.id for port in cloud.find_ports(name="p")] == [other.id]


def test_what_an_earlier_process_made_stands() -> None:
    cloud = controllers()
    (base,) = cloud.find_ports(name=["base-1", "member-1"])
    assert cloud.server(PORT) is not None
    cloud.delete_server(PORT)
    cloud.delete_port(base.id)
    assert cloud.server(PORT) is None
    assert cloud.port(base.id) is None


def test_a_server_is_there_at_once_and_its_address_is_its_own() -> None:
    off: list[str] = []
    cloud = NoopCloud(memory=100, power_off=off.append)
    network = cloud.network("lb-mgmt-net")
    assert network is not None
    port = cloud.create_port(request())
    asked = ServerRequest(name="a", flavor="huge", image_id="i", networks=(network.id,), ports=(port.id,))
    server = cloud.create_server(asked)
    assert (server.status, server.flavor, list(server.addresses)) == ("ACTIVE", "huge", ["lb-mgmt-net"])
    assert [one.id for one in cloud.find_servers("a")] == [server.id]
    found = cloud.port(port.id)
    assert found is not None
    assert found.device_id == server.id
    cloud.delete_server(server.id)
    assert (cloud.find_servers("a"), cloud.server(server.id)) == ((), None)
    assert off == list(server.addresses["lb-mgmt-net"])


def test_security_groups() -> None:
    cloud = controllers()
    group = cloud.create_security_group("g")
    rules = [SecurityGroupRule(ethertype="IPv4", protocol="tcp", port_range_min=port) for port in (80, 81)]
    cloud.add_security_group_rules(group.id, rules)
    (found,) = cloud.find_security_groups("g")
    assert set(found.rules.values()) == set(rules)
    cloud.remove_security_group_rule(next(iter(found.rules)))
    assert len(cloud.find_security_groups("g")[0].rules) == 1
    cloud.delete_security_group(group.id)
    assert cloud.find_security_groups("g") == ()


def test_memory_is_bounded() -> None:
    cloud = NoopCloud(memory=10)
    for number in range(30):
        cloud.create_port(request(f"p{number}"))
    assert sum(bool(cloud.find_ports(name=f"p{number}")) for number in range(30)) == 10
