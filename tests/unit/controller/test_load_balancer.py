"""What becomes of the world when users ask for something."""

import pytest
from controller_world import World

from hydria.drivers.fakes import id_of
from hydria.model.flavor import FlavorData
from hydria.model.spec import Fault

PUBLIC, MEMBERS, OTHER = (id_of("network", name) for name in ("public", "members", "other"))


def ports(world: World, prefix: str) -> list[tuple[str, str]]:
    return [(port.network_id, port.vnic_type) for port in world.cloud.ports.values() if port.name.startswith(prefix)]


@pytest.mark.parametrize("sriov", [False, True], ids=["normal", "direct"])
def test_a_new_load_balancer_gets_its_amphora(world: World, sriov: bool) -> None:
    lb = world.load_balancer(sriov=sriov)
    world.run()
    assert world.status(lb.id) == "ACTIVE"
    (server,) = world.cloud.servers
    (row,) = world.graph(lb.id).amphorae
    assert (row.status, row.compute_id, row.ha_ip) == ("ALLOCATED", server.id, lb.vip_address)
    assert server.name == f"amphora-{row.id}"
    spec = world.spec(lb.id)
    (vip,) = spec.interfaces
    base = world.cloud.ports[vip.port_id]
    assert base.name == f"octavia-lb-vrrp-{row.id}"
    assert (base.device_id, base.vnic_type) == (server.id, "direct" if sriov else "normal")
    assert base.allowed_addresses == (lb.vip_address,)
    assert vip.vips == (lb.vip_address,)
    assert world.cloud.free_vfs("public") == (1 if sriov else 2)


def test_again_changes_nothing(world: World) -> None:
    lb = world.load_balancer(sriov=True)
    world.member(world.pool(lb), "192.0.2.10")
    world.run()
    before = (dict(world.cloud.ports), world.cloud.servers, world.amphorae.specs, world.summary())
    world.loop.resync(0)
    world.run()
    assert (dict(world.cloud.ports), world.cloud.servers, world.amphorae.specs, world.summary()) == before


def test_h5_graph_create_with_a_flavor_that_names_no_topology(world: World) -> None:
    """Octavia looked up the key hard, and the load balancer stayed PENDING_CREATE for ever."""
    flavor = world.flavor(FlavorData(compute_flavor="amphora", sriov_vip=True))
    lb = world.load_balancer(flavor_id=flavor, vip_vnic_type="direct")
    world.listener(lb, 80)
    world.listener(lb, 81)
    pool = world.pool(lb)
    for number in range(3):
        world.member(pool, f"192.0.2.1{number}")
    world.run()
    assert set(world.statuses(lb.id).values()) == {"ACTIVE"}
    assert [listener.protocol_port for listener in world.spec(lb.id).listeners] == [80, 81]


def test_a_member_costs_few_calls_when_its_network_is_attached(world: World) -> None:
    lb = world.load_balancer()
    pool = world.pool(lb)
    world.member(pool, "192.0.2.10")
    world.run()
    world.cloud.interruptions.calls.clear()
    world.member(pool, "192.0.2.11")
    world.run()
    calls = [call for call in world.cloud.interruptions.calls if call not in ("info", "observed", "put_spec")]
    # Asked for while the agent is.
    assert [call for call in calls if "security_group" in call] == ["find_security_groups"]
    assert len(calls) <= 4
    assert len(world.spec(lb.id).pools[0].members) == 2


def test_a_load_balancer_costs_few_calls(world: World) -> None:
    """Each stands in the way of the first byte."""
    first = world.load_balancer()
    world.run()
    world.cloud.interruptions.calls.clear()
    lb = world.load_balancer()
    world.cloud.interruptions.calls.clear()
    world.run()
    assert world.status(first.id) == world.status(lb.id) == "ACTIVE"
    calls = world.cloud.interruptions.calls
    # These are made while the server is built.
    aside = [call for call in calls if "security_group" in call]
    assert aside == [
        "find_security_groups",
        "create_security_group",
        "add_security_group_rules",
        "set_security_groups",
    ]
    others = [call for call in calls if call not in aside]
    # The first two at the same time.
    assert [*sorted(others[:2]), *others[2:]] == [
        "create_port",
        "image_by_tag",
        "create_server",
        *["server"] * (world.cloud.build_polls + 1),
        "info",
        "put_spec",
    ]


def test_the_last_member_of_a_network_takes_its_port_along(world: World) -> None:
    lb = world.load_balancer()
    pool = world.pool(lb)
    member = world.member(pool, "192.0.2.10", vnic_type="direct")
    world.run()
    assert ports(world, "octavia-lb-member") == [(MEMBERS, "direct")]
    assert world.cloud.free_vfs("members") == 1
    world.remove(lb.id, member)
    world.run()
    assert ports(world, "octavia-lb-member") == []
    assert world.cloud.free_vfs("members") == 2
    assert [nic.name for nic in world.spec(lb.id).interfaces] == ["eth1"]
    assert member.id not in world.statuses(lb.id)


def test_h9_members_in_the_vips_network_and_without_a_subnet_need_no_port(world: World) -> None:
    lb = world.load_balancer(sriov=True)
    pool = world.pool(lb)
    world.member(pool, "203.0.113.50", "public", vnic_type="direct")
    world.member(pool, "198.51.100.7", None)
    world.run()
    assert set(world.statuses(lb.id).values()) == {"ACTIVE"}
    assert ports(world, "octavia-lb-member") == []
    assert len(world.spec(lb.id).pools[0].members) == 2


def test_h6_a_vf_on_a_network_attached_without_one_is_refused(world: World) -> None:
    """Octavia said ACTIVE and direct, and sent the traffic through the other port."""
    lb = world.load_balancer()
    pool = world.pool(lb)
    first = world.member(pool, "192.0.2.10")
    world.run()
    second = world.member(pool, "192.0.2.11", vnic_type="direct")
    world.run()
    statuses = world.statuses(lb.id)
    assert (statuses[first.id], statuses[second.id]) == ("ACTIVE", "ERROR")
    assert statuses[lb.id] == statuses[pool.id] == "ACTIVE"
    assert any("(192.0.2.11) asks for an SR-IOV port" in reason for reason in world.reasons(lb.id))
    assert [member.id for member in world.spec(lb.id).pools[0].members] == [first.id]
    world.remove(lb.id, first)
    world.run()
    assert world.statuses(lb.id)[second.id] == "ACTIVE", "nobody needs the other port any more"
    assert ports(world, "octavia-lb-member") == [(MEMBERS, "direct")]


def test_a_normal_member_is_served_through_a_vf(world: World) -> None:
    lb = world.load_balancer()
    pool = world.pool(lb)
    world.member(pool, "192.0.2.10", vnic_type="direct")
    world.member(pool, "192.0.2.11")
    world.run()
    assert set(world.statuses(lb.id).values()) == {"ACTIVE"}
    assert ports(world, "octavia-lb-member") == [(MEMBERS, "direct")]


def test_no_vf_left_for_a_member_is_its_fault_alone(world: World) -> None:
    world.cloud.add_host("host1", public=2, members=0, other=1)
    lb = world.load_balancer()
    pool = world.pool(lb)
    served = world.member(pool, "198.51.100.10", "other", vnic_type="direct")
    world.run()
    left_out = world.member(pool, "192.0.2.10", vnic_type="direct")
    world.run()
    statuses = world.statuses(lb.id)
    assert statuses[left_out.id] == "ERROR"
    assert {status for id_, status in statuses.items() if id_ != left_out.id} == {"ACTIVE"}
    assert [member.id for member in world.spec(lb.id).pools[0].members] == [served.id]
    assert ports(world, "octavia-lb-member") == [(OTHER, "direct")], "the refused port is gone"
    assert any("no free VF" in reason for reason in world.reasons(lb.id))
    world.cloud.add_host("host1", public=2, members=1, other=1)
    world.touch(lb.id)
    world.run()
    assert set(world.statuses(lb.id).values()) == {"ACTIVE"}


def test_no_valid_host_is_an_error_with_the_reason_of_each_host(world: World) -> None:
    world.cloud.add_host("host2", public=0)
    lbs = [world.load_balancer(sriov=True) for _ in range(3)]
    world.run()
    assert [world.status(lb.id) for lb in lbs] == ["ACTIVE", "ACTIVE", "ERROR"]
    (reason,) = world.reasons(lbs[2].id)
    assert "No valid host was found" in reason
    assert "host1: no free VF" in reason
    assert "host2: no free VF" in reason
    assert len(world.cloud.servers) == 2
    assert len(ports(world, "octavia-lb-vrrp")) == 2
    assert world.graph(lbs[2].id).amphorae == ()
    world.loop.resync(0)
    world.delete(lbs[0].id)
    world.run()
    assert world.status(lbs[2].id) == "ERROR", "freed VFs go to whoever asks next"
    world.touch(lbs[2].id)
    world.run()
    assert world.status(lbs[2].id) == "ACTIVE"


def test_t16_an_image_without_nftables(world: World) -> None:
    world.amphorae.nftables = False
    direct, normal = world.load_balancer(sriov=True), world.load_balancer()
    member = world.member(world.pool(normal), "192.0.2.10", vnic_type="direct")
    world.run()
    assert (world.status(direct.id), world.status(normal.id)) == ("ERROR", "ACTIVE")
    assert "has no nftables" in world.reasons(direct.id)[0]
    assert world.statuses(normal.id)[member.id] == "ERROR"
    assert len(world.cloud.servers) == 1
    assert (world.cloud.free_vfs("public"), world.cloud.free_vfs("members")) == (2, 2)


@pytest.mark.parametrize("sriov", [False, True], ids=["normal", "direct"])
def test_deleting_leaves_nothing(world: World, sriov: bool) -> None:
    before = world.summary()
    lb = world.load_balancer(sriov=sriov)
    world.listener(lb)
    world.member(world.pool(lb), "192.0.2.10", vnic_type="direct")
    world.run()
    world.delete(lb.id)
    world.run()
    assert world.summary() == before
    assert not world.cloud.ports
    assert not world.cloud.security_groups


def test_a_vip_port_of_the_users_own_outlives_the_load_balancer(world: World) -> None:
    lb = world.load_balancer(vip_port_owned=False)
    world.run()
    world.delete(lb.id)
    world.run()
    assert list(world.cloud.ports) == [lb.vip_port_id]


def test_a_vip_port_that_somebody_deleted_comes_back_with_its_address(world: World) -> None:
    lb = world.load_balancer()
    world.run()
    assert lb.vip_port_id is not None
    world.cloud.delete_port(lb.vip_port_id)
    world.touch(lb.id)
    world.run()
    after = world.graph(lb.id).load_balancer
    assert after.vip_address == lb.vip_address
    assert after.vip_port_id in world.cloud.ports


@pytest.mark.parametrize("status", ["ERROR", "SHUTOFF", "gone"])
def test_a_dead_server_is_replaced(world: World, status: str) -> None:
    lb = world.load_balancer(sriov=True)
    world.member(world.pool(lb), "192.0.2.10", vnic_type="direct")
    world.run()
    before = world.summary()
    (old,) = world.cloud.servers
    if status == "gone":
        world.cloud.delete_server(old.id)
    else:
        world.cloud.kill_server(old.id, status)
    world.loop.resync(0)
    world.run()
    (new,) = world.cloud.servers
    assert new.id != old.id
    assert world.summary() == before
    assert any("is replaced" in reason for reason in world.reasons(lb.id))


def test_h21_replacing_the_only_amphora_when_there_is_no_row_left(world: World) -> None:
    lb = world.load_balancer(sriov=True)
    world.run()
    (row,) = world.graph(lb.id).amphorae
    world.cloud.add_host("host1", public=0)
    (server,) = world.cloud.servers
    world.cloud.kill_server(server.id)
    world.loop.resync(0)
    world.run()
    assert world.status(lb.id) == "ERROR"
    world.cloud.add_host("host1", public=2)
    world.touch(lb.id)
    world.run()
    assert world.status(lb.id) == "ACTIVE"
    assert world.graph(lb.id).amphorae[0].id != row.id


def test_h9_the_vip_in_the_management_network(world: World) -> None:
    network = world.cloud.networks[id_of("network", "lb-mgmt-net")]
    lb = world.load_balancer(vip_network_id=network.id, vip_subnet_id=network.subnets[0], vip_address="198.18.0.200")
    pool = world.pool(lb)
    world.member(pool, "198.18.0.201", "lb-mgmt-net")
    world.member(pool, "192.0.2.10")
    world.run()
    assert set(world.statuses(lb.id).values()) == {"ACTIVE"}
    (row,) = world.graph(lb.id).amphorae
    assert row.lb_network_ip not in (None, row.vrrp_ip)


def test_what_the_amphora_cannot_do_is_an_error_of_that_alone(world: World) -> None:
    lb = world.load_balancer()
    good, bad = world.listener(lb, 80), world.listener(lb, 81)
    reason = "Port 81 is taken."
    world.amphorae.faults[bad.id] = Fault(resource_type="listener", resource_id=bad.id, reason=reason)
    world.run()
    statuses = world.statuses(lb.id)
    assert (statuses[lb.id], statuses[good.id], statuses[bad.id]) == ("ACTIVE", "ACTIVE", "ERROR")
    assert reason in world.reasons(lb.id)
    world.amphorae.faults.clear()
    world.touch(lb.id)
    world.run()
    assert set(world.statuses(lb.id).values()) == {"ACTIVE"}


def test_a_nic_that_does_not_arrive_is_its_members_fault_and_heals_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hydria.controller.load_balancer._NIC_SECONDS", 0.01)
    lb = world.load_balancer()
    pool = world.pool(lb)
    member = world.member(pool, "192.0.2.10")
    near = world.member(pool, "203.0.113.50", "public")
    world.run()
    (port,) = (port for port in world.cloud.ports.values() if port.name.startswith("octavia-lb-member"))
    mac = port.mac_address
    world.amphorae.missing_nics.add(mac)
    world.touch(lb.id)
    world.loop.step()
    statuses = world.statuses(lb.id)
    assert (statuses[member.id], statuses[near.id], statuses[lb.id]) == ("ERROR", "ACTIVE", "ACTIVE")
    assert any(mac in reason for reason in world.reasons(lb.id))
    world.amphorae.missing_nics.clear()
    world.run()
    assert set(world.statuses(lb.id).values()) == {"ACTIVE"}


def test_allowed_addresses_that_somebody_took_away_come_back(world: World) -> None:
    lb = world.load_balancer()
    world.run()
    (row,) = world.graph(lb.id).amphorae
    assert row.vrrp_port_id is not None
    world.cloud.set_allowed_addresses(row.vrrp_port_id, [])
    world.loop.resync(0)
    world.run()
    assert world.cloud.ports[row.vrrp_port_id].allowed_addresses == (lb.vip_address,)
