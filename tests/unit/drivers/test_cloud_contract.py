"""What every Cloud has to do. `world` names a cloud and what is in it, so that a real one can run the same tests."""

import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from hydria.base.errors import Conflict, Invalid, NotFound, Retryable, Terminal
from hydria.drivers.cloud import Cloud, FixedIp, Network, Port, PortRequest, SecurityGroupRule, Server, ServerRequest
from hydria.drivers.fakes import FakeCloud


@dataclass
class World:
    cloud: Cloud
    cleanup: ExitStack
    vfs: int
    """Free VFs on `public` of the only host."""
    management: str = "lb-mgmt-net"
    public: str = "public"

    def network(self) -> Network:
        network = self.cloud.network(self.public)
        assert network is not None
        return network

    def port(self, **values: object) -> Port:
        request = {"network_id": self.network().id, "name": f"contract-{uuid.uuid4()}", **values}
        port = self.cloud.create_port(PortRequest(**request))
        self.cleanup.callback(self.cloud.delete_port, port.id)
        return port

    def server(self, *ports: Port) -> Server:
        management, image = self.cloud.network(self.management), self.cloud.image_by_tag("amphora")
        assert management is not None
        assert image is not None
        server = self.cloud.create_server(
            ServerRequest(
                name=f"contract-{uuid.uuid4()}",
                flavor="amphora",
                image_id=image,
                networks=(management.id,),
                ports=tuple(port.id for port in ports),
            )
        )
        self.cleanup.callback(self.cloud.delete_server, server.id)
        for _ in range(200):
            seen = self.cloud.server(server.id)
            assert seen is not None
            if seen.status != "BUILD":
                return seen
            threading.Event().wait(0.02 if not isinstance(self.cloud, FakeCloud) else 0)
        pytest.fail("the server stays in BUILD")


@pytest.fixture
def world() -> Iterator[World]:
    cloud = FakeCloud()
    cloud.add_network("lb-mgmt-net", "198.18.0.0/20")
    cloud.add_network("public", "203.0.113.0/24", "2001:db8:1::/64")
    cloud.add_host("host1", public=2)
    with ExitStack() as cleanup:
        yield World(cloud, cleanup, vfs=2)
    assert not cloud.ports
    assert not cloud.servers
    assert cloud.free_vfs("public") == 2


def test_what_is_not_there_is_none_or_empty(world: World) -> None:
    missing = str(uuid.uuid4())
    cloud = world.cloud
    assert (cloud.network(missing), cloud.subnet(missing), cloud.port(missing), cloud.server(missing)) == (None,) * 4
    assert (cloud.find_ports(name=missing), cloud.find_servers(missing)) == ((), ())
    assert cloud.image_by_tag(missing) is None
    assert not cloud.flavor_exists(missing)
    assert not cloud.zone_exists(missing)
    assert not cloud.exists("qos-policies", missing)


def test_removing_what_is_not_there_is_fine(world: World) -> None:
    port = world.port()
    server = world.server()
    world.cloud.detach_port(server.id, port.id)
    for _ in range(2):
        world.cloud.delete_port(port.id)
        world.cloud.delete_server(server.id)


def test_a_network_is_found_by_name_and_by_id(world: World) -> None:
    network = world.network()
    assert world.cloud.network(network.id) == network
    subnet = world.cloud.subnet(network.subnets[0])
    assert subnet is not None
    assert subnet.network_id == network.id


def test_a_port_is_what_was_asked_for(world: World) -> None:
    subnets = world.network().subnets
    port = world.port(
        fixed_ips=tuple(FixedIp(subnet_id=subnet) for subnet in subnets),
        vnic_type="direct",
        allowed_addresses=("203.0.113.77",),
    )
    assert [ip.subnet_id for ip in port.fixed_ips] == list(subnets)
    assert all(ip.ip_address for ip in port.fixed_ips)
    assert (port.vnic_type, port.device_owner, port.allowed_addresses) == ("direct", "Octavia", ("203.0.113.77",))
    assert port.mac_address
    assert world.cloud.port(port.id) == port
    world.cloud.set_allowed_addresses(port.id, ["203.0.113.78", "203.0.113.79"])
    seen = world.cloud.port(port.id)
    assert seen is not None
    assert seen.allowed_addresses == ("203.0.113.78", "203.0.113.79")


def test_a_vf_is_set_as_was_asked_for(world: World) -> None:
    policy = world.cloud.ensure_rate_policy("hydria-vf-0-1000", min_mbps=0, max_mbps=1000)
    assert world.cloud.ensure_rate_policy("hydria-vf-0-1000", min_mbps=0, max_mbps=1000) == policy
    assert world.cloud.exists("qos-policies", policy)
    port = world.port(vnic_type="direct", trusted=True, port_security=False, qos_policy_id=policy)
    assert (port.trusted, port.port_security, port.qos_policy_id) == (True, False, policy)
    plain = world.port(vnic_type="direct")
    assert (plain.trusted, plain.port_security, plain.qos_policy_id) == (False, True, None)


def test_without_port_security_no_address_can_be_allowed(world: World) -> None:
    with pytest.raises(Invalid):
        world.port(port_security=False, allowed_addresses=("203.0.113.77",))


def test_ports_are_found_by_any_of_several_names(world: World) -> None:
    first, second, _ = world.port(), world.port(), world.port()
    found = world.cloud.find_ports(name=(first.name, second.name))
    assert {port.id for port in found} == {first.id, second.id}
    assert world.cloud.find_ports(name=first.name, network_id=str(uuid.uuid4())) == ()


def test_an_address_is_given_once(world: World) -> None:
    subnet = world.network().subnets[0]
    taken = FixedIp(subnet_id=subnet, ip_address="203.0.113.50")
    before = world.cloud.free_addresses(world.network().id)[subnet]
    world.port(fixed_ips=(taken,))
    assert world.cloud.free_addresses(world.network().id)[subnet] == before - 1
    with pytest.raises(Conflict):
        world.port(fixed_ips=(taken,))
    with pytest.raises(Invalid):
        world.port(fixed_ips=(FixedIp(subnet_id=subnet, ip_address="192.0.2.1"),))


def test_a_server_has_its_ports_and_an_address_in_the_management_network(world: World) -> None:
    port = world.port(vnic_type="direct")
    server = world.server(port)
    assert server.status == "ACTIVE"
    assert server.addresses[world.management]
    assert [found.id for found in world.cloud.find_ports(device_id=server.id, name=port.name)] == [port.id]
    assert world.cloud.find_servers(server.name) == (server,)
    world.cloud.delete_server(server.id)
    seen = world.cloud.port(port.id)
    assert seen is not None, "a port that we made outlives the server"


def test_a_refused_flavor_is_terminal(world: World) -> None:
    with pytest.raises(Terminal, match="no-such-flavor"):
        world.cloud.create_server(ServerRequest(name="contract", flavor="no-such-flavor", image_id="image-1"))


def test_vfs_run_out_and_come_back(world: World) -> None:
    ports = [world.port(vnic_type="direct") for _ in range(world.vfs + 1)]
    server = world.server(*ports[: world.vfs])
    refused = world.server(ports[world.vfs])
    assert refused.status == "ERROR"
    assert refused.fault is not None
    assert "No valid host" in refused.fault
    world.cloud.delete_server(refused.id)
    with pytest.raises(Terminal):
        world.cloud.attach_port(server.id, ports[world.vfs].id)
    world.cloud.detach_port(server.id, ports[0].id)
    world.cloud.attach_port(server.id, ports[world.vfs].id)
    world.cloud.attach_port(server.id, ports[world.vfs].id)
    attached = {port.id for port in world.cloud.find_ports(device_id=server.id) if port.vnic_type == "direct"}
    assert attached == {port.id for port in ports[1:]}


def test_hot_plugged_normal_ports_need_no_vf(world: World) -> None:
    server = world.server(*(world.port(vnic_type="direct") for _ in range(world.vfs)))
    port = world.port()
    world.cloud.attach_port(server.id, port.id)
    seen = world.cloud.port(port.id)
    assert seen is not None
    assert seen.device_id == server.id


def test_a_security_group_and_its_rules(world: World) -> None:
    cloud, name = world.cloud, f"contract-{uuid.uuid4()}"
    assert cloud.find_security_groups(name) == ()
    group = cloud.create_security_group(name)
    world.cleanup.callback(cloud.delete_security_group, group.id)
    given = set(group.rules.values())
    rules = (
        SecurityGroupRule(ethertype="IPv4", protocol="icmp", port_range_min=8),
        SecurityGroupRule(ethertype="IPv6", protocol="ipv6-icmp", port_range_min=128),
        SecurityGroupRule(ethertype="IPv4", protocol="112", remote_group_id=group.id),
        *(
            SecurityGroupRule(
                ethertype="IPv6" if prefix and ":" in prefix else "IPv4",
                protocol=protocol,
                port_range_min=80,
                port_range_max=80,
                remote_ip_prefix=prefix,
            )
            for protocol in ("tcp", "udp", "sctp")
            for prefix in (None, "192.0.2.0/24", "2001:db8::/32")
        ),
    )
    cloud.add_security_group_rules(group.id, rules)
    (seen,) = cloud.find_security_groups(name)
    assert seen.id == group.id
    assert set(seen.rules.values()) == given | set(rules)
    with pytest.raises(Retryable):
        cloud.add_security_group_rules(group.id, rules[:1])
    for id_ in [id_ for id_, rule in seen.rules.items() if rule != rules[0]]:
        cloud.remove_security_group_rule(id_)
        cloud.remove_security_group_rule(id_)
    (seen,) = cloud.find_security_groups(name)
    assert set(seen.rules.values()) == {rules[0]}


def test_a_security_group_stays_while_a_port_has_it(world: World) -> None:
    cloud = world.cloud
    group = cloud.create_security_group(f"contract-{uuid.uuid4()}")
    port = world.port()
    assert len(port.security_groups) == 1, "the project's default group"
    cloud.set_security_groups(port.id, [group.id])
    seen = cloud.port(port.id)
    assert seen is not None
    assert seen.security_groups == (group.id,)
    with pytest.raises(Retryable):
        cloud.delete_security_group(group.id)
    assert world.port(security_groups=(group.id,)).security_groups == (group.id,)
    for port in cloud.find_ports(network_id=world.network().id):
        if group.id in port.security_groups:
            cloud.delete_port(port.id)
    for _ in range(2):
        cloud.delete_security_group(group.id)
    with pytest.raises(NotFound):
        cloud.set_security_groups(world.port().id, [group.id])
