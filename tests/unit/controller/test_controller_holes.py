"""Holes and bugs of upstream in what a controller does, each by the name it has in docs/holes.md."""

import pytest
from controller_world import World

from hydria.drivers.fakes import id_of
from hydria.model.amphora import Replacement
from hydria.model.load_balancer import AdditionalVip
from hydria.model.spec import VIP_INTERFACE
from hydria.store import amphorae, load_balancers, resources


def vips(world: World, lb_id: str) -> tuple[str, ...]:
    (vip,) = (nic for nic in world.spec(lb_id).interfaces if nic.name == VIP_INTERFACE)
    return vip.vips


def test_h8_additional_vips_stay_when_a_network_is_plugged(world: World) -> None:
    """Whatever is plugged, the whole of the VIP's interface is said again; upstream's second way left them out."""
    subnet = world.cloud.networks[id_of("network", "public")].subnets[1]
    additional = (AdditionalVip(subnet_id=subnet, ip_address="2001:db8:1::100"),)
    lb = world.load_balancer(sriov=True, additional_vips=additional)
    pool = world.pool(lb)
    world.run()
    both = (lb.vip_address, "2001:db8:1::100")
    assert vips(world, lb.id) == both
    world.member(pool, "192.0.2.10", vnic_type="direct")
    world.run()
    assert vips(world, lb.id) == both
    (row,) = world.graph(lb.id).amphorae
    with world.database.write() as tx:
        amphorae.ask_replacement(tx, row.id, Replacement.FAILOVER, "Somebody asked for it.")
    world.run()
    assert vips(world, lb.id) == both
    (base,) = (port for port in world.cloud.ports.values() if "vrrp" in port.name)
    assert base.allowed_addresses == both


def test_h11_an_update_asks_nothing_of_the_vips_vf(world: World) -> None:
    """Neutron refuses security groups on such a port, and upstream tried at every update."""
    lb = world.load_balancer(sriov=True)
    world.run()
    ports = dict(world.cloud.ports)
    world.cloud.interruptions.calls.clear()
    with world.database.write() as tx:
        load_balancers.touch(tx, lb.id, strict=False, itself=True)
        resources.update(tx, type(lb), lb.id, vip_sg_ids=[], admin_state_up=False)
    world.run()
    assert world.status(lb.id) == "ACTIVE"
    assert dict(world.cloud.ports) == ports
    assert set(world.cloud.interruptions.calls) <= {"port", "server", "find_ports", "info", "observed", "put_spec"}


def test_h12_vfs_are_counted_and_another_host_is_taken(world: World) -> None:
    """Upstream's scheduler knows of no VFs: it took a full host, and a claim that failed there was the end."""
    world.cloud.add_host("host2", public=1)
    lbs = [world.load_balancer(sriov=True) for _ in range(4)]
    world.run()
    assert sorted(world.status(lb.id) for lb in lbs) == ["ACTIVE", "ACTIVE", "ACTIVE", "ERROR"]
    hosts = sorted(row.cached_zone or "" for lb in lbs for row in world.graph(lb.id).amphorae)
    assert hosts == ["host1", "host1", "host2"]
    (failed,) = (lb for lb in lbs if world.status(lb.id) == "ERROR")
    (reason,) = world.reasons(failed.id)
    assert "host1: no free VF" in reason
    assert "host2: no free VF" in reason
    assert world.cloud.free_vfs("public") == 0


def test_411e7c6db_a_listener_made_while_the_amphora_does_not_answer(world: World) -> None:
    """The firewall's update failed, and with it the listener."""
    lb = world.load_balancer(sriov=True)
    world.run()
    (row,) = world.graph(lb.id).amphorae
    world.amphorae.silent.add(row.id)
    listener = world.listener(lb)
    world.loop.step()
    assert world.statuses(lb.id)[listener.id] == "PENDING_CREATE"
    world.amphorae.silent.clear()
    world.run()
    assert set(world.statuses(lb.id).values()) == {"ACTIVE"}
    assert [one.id for one in world.spec(lb.id).listeners] == [listener.id]


def test_70f15c54d_a_listener_updated_on_a_vips_vf(world: World) -> None:
    """The update crashed, and the old sources stayed open."""
    lb = world.load_balancer(sriov=True)
    listener = world.listener(lb)
    world.run()
    with world.database.write() as tx:
        generation = load_balancers.touch(tx, lb.id, strict=False)
        values = {"allowed_cidrs": ["10.0.0.0/8"], "provisioning_status": "PENDING_UPDATE", "generation": generation}
        resources.update(tx, type(listener), listener.id, **values)
    world.run()
    assert set(world.statuses(lb.id).values()) == {"ACTIVE"}
    (told,) = world.spec(lb.id).listeners
    assert told.allowed_cidrs == ("10.0.0.0/8",)


@pytest.mark.parametrize("sriov", [False, True], ids=["normal", "direct"])
def test_a4317a80d_failover(world: World, sriov: bool) -> None:
    """It crashed on VFs."""
    lb = world.load_balancer(sriov=sriov, vip_qos_policy_id="policy-of-the-user")
    pool = world.pool(lb)
    world.member(pool, "192.0.2.10", vnic_type="direct" if sriov else "normal")
    world.run()
    before = world.summary()
    (old,) = world.graph(lb.id).amphorae
    with world.database.write() as tx:
        load_balancers.touch(tx, lb.id, strict=False, itself=True)
        amphorae.ask_replacement(tx, old.id, Replacement.FAILOVER, "Somebody asked for it.")
    world.run()
    (new,) = world.graph(lb.id).amphorae
    assert new.id != old.id
    assert world.status(lb.id) == "ACTIVE"
    after = world.summary()
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert (after["vfs"], after["ports"]) == (before["vfs"], before["ports"])
    (base,) = (port for port in world.cloud.ports.values() if "vrrp" in port.name)
    assert base.qos_policy_id == "policy-of-the-user"
