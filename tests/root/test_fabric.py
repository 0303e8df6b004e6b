"""The software fabric as the machine and its guests see it."""

import os
import signal
import threading

import msgspec
import pytest
from machine import guest, host_reaches, ip, look, new_fabric, new_name, reaches

from hydria.base.errors import Conflict, Invalid, NotFound, Terminal
from hydria.fabric import hosts, management, teardown
from hydria.fabric.software import SoftwareFabric
from hydria.sriov import namespaces
from hydria.sriov.inventory import VfId, VfSettings
from hydria.sriov.netlink import Link, Netlink

pytestmark = pytest.mark.root

PORT = "6f1c8c30-0000-4000-8000-000000000001"
MAC = "fa:16:3e:00:00:01"


def nic(pid: int, name: str) -> str:
    return ip(f"-o link show {name}", pid=pid)


def links(fabric: SoftwareFabric) -> list[Link]:
    with Netlink(namespaces.named(fabric.name)) as netlink:
        # The carrier of bridges and macvlans follows that of what they stand on some moments later.
        return [msgspec.structs.replace(link, has_carrier=False) for link in netlink.links()]


def without_ours(seen: dict[str, str]) -> dict[str, str]:
    """Minus the one interface, which is all that the machine may see of a fabric."""
    return {
        what: "\n".join(line for line in text.splitlines() if "hy-mgmt" not in line)
        for what, text in seen.items()
        if what != "addr"
    }


@pytest.mark.usefixtures("machine")
def test_machine_keeps_its_network() -> None:
    before = look()
    made = new_fabric()
    try:
        made.ensure()
        assert without_ours(look()) == without_ours(before)
        assert "inet 198.18.0.1/20" in ip("addr show hy-mgmt0")
        assert "inet6" not in ip("addr show hy-mgmt0")
        # What the test prefixes mean to the machine itself stays as it was.
        assert "dev eth0" in ip("route get 192.0.2.77")
    finally:
        removed = made.down()
    assert not namespaces.named(made.name).exists()
    assert look() == before
    assert f"namespace {made.name}" in removed
    assert made.down() == []


def test_ensure_twice_changes_nothing(fabric: SoftwareFabric) -> None:
    before = look(), links(fabric), ip(f"-n {fabric.name} route")
    fabric.ensure()
    assert (look(), links(fabric), ip(f"-n {fabric.name} route")) == before


@pytest.mark.parametrize("victim", ["hy-public", "pf-public", "pf-publicv1", "mgmt-host", "hy-mgmt", "wpf-members"])
def test_ensure_repairs(fabric: SoftwareFabric, victim: str) -> None:
    names = namespaces.link_names(namespaces.named(fabric.name))
    ip(f"-n {fabric.name} link delete {victim}")
    fabric.ensure()
    assert namespaces.link_names(namespaces.named(fabric.name)) == names
    assert "master hy-public" in ip(f"-n {fabric.name} link show wpf-public")
    assert "inet 198.18.0.1/20" in ip("addr show hy-mgmt0")
    assert all(pf.link_up and len(pf.free(())) == 3 for pf in fabric.nics().scan())


def test_fabric_never_speaks(fabric: SoftwareFabric) -> None:
    assert "inet" not in ip(f"-n {fabric.name} addr")
    assert "default" not in ip(f"-n {fabric.name} route show type unicast")


@pytest.mark.parametrize("destination", ["203.0.113.5", "192.0.2.5", "2001:db8::5", "10.0.0.1"])
def test_guards_let_nothing_out_of_the_fabric(fabric: SoftwareFabric, destination: str) -> None:
    assert ip(f"-n {fabric.name} route get {destination}", check=False) == ""
    assert "unreachable" in ip(f"-n {fabric.name} {'-6' if ':' in destination else '-4'} route show")


@pytest.mark.usefixtures("fabric")
def test_two_fabrics_side_by_side() -> None:
    second = new_fabric(management_prefix=management.pick_management_prefix())
    try:
        second.ensure()
        assert "inet 198.18.16.1/20" in ip("addr show hy-mgmt1")
        second.down()
        assert "inet 198.18.0.1/20" in ip("addr show hy-mgmt0")
    finally:
        second.down()


@pytest.mark.usefixtures("machine")
def test_management_prefix_is_one_that_nobody_routes() -> None:
    assert management.pick_management_prefix() == "198.18.0.0/20"
    ip("route add 198.18.0.0/19 via 192.0.2.1")
    assert management.pick_management_prefix() == "198.18.32.0/20"
    made = new_fabric(management_prefix="198.18.16.0/20")
    try:
        with pytest.raises(Terminal, match=r"198\.18\.16\.0/20 overlaps 198\.18\.0\.0/19"):
            made.ensure()
    finally:
        made.down()
    ip("route add 198.18.0.0/15 via 192.0.2.1")
    with pytest.raises(Terminal, match="choose a management prefix"):
        management.pick_management_prefix()


@pytest.mark.usefixtures("machine")
def test_a_namespace_of_somebody_else_is_refused() -> None:
    made = new_fabric()
    ip(f"netns add {made.name}")
    try:
        with pytest.raises(Conflict, match="is not a fabric"):
            made.ensure()
        made.down()
        assert namespaces.named(made.name).exists()
    finally:
        ip(f"netns delete {made.name}")


def test_hosts_talk_and_go(fabric: SoftwareFabric) -> None:
    client, backend, other = new_name(), new_name(), new_name()
    assert hosts.add(fabric.name, client, "public").addresses == ("203.0.113.254/24", "2001:db8:0:cb::254/64")
    assert hosts.add(fabric.name, backend, "public").addresses == ("203.0.113.253/24", "2001:db8:0:cb::253/64")
    assert hosts.add(fabric.name, other, "members", ["192.0.2.10"]).addresses == ("192.0.2.10/24",)
    assert host_reaches(client, "203.0.113.253")
    assert host_reaches(client, "2001:db8:0:cb::253")
    assert not host_reaches(client, "192.0.2.10")
    assert {host.name: host.physical_network for host in hosts.listing(fabric.name)} == {
        client: "public",
        backend: "public",
        other: "members",
    }
    hosts.remove(fabric.name, backend)
    assert not namespaces.named(backend).exists()
    with pytest.raises(NotFound):
        hosts.remove(fabric.name, backend)
    # Its addresses are free again.
    assert hosts.add(fabric.name, backend, "public").addresses[0] == "203.0.113.253/24"


def test_host_twice_is_the_same_host(fabric: SoftwareFabric) -> None:
    name = new_name()
    first = hosts.add(fabric.name, name, "public", ["203.0.113.20"])
    assert hosts.add(fabric.name, name, "public", ["203.0.113.20/24"]) == first
    assert hosts.add(fabric.name, name, "public") == first
    with pytest.raises(Conflict, match="other settings"):
        hosts.add(fabric.name, name, "public", ["203.0.113.21"])
    with pytest.raises(Conflict, match="other settings"):
        hosts.add(fabric.name, name, "members")


def test_bad_hosts_leave_nothing(fabric: SoftwareFabric) -> None:
    hosts.add(fabric.name, holder := new_name(), "public", ["203.0.113.20"])
    before = look(), links(fabric)
    foreign = new_name()
    with pytest.raises(Conflict, match=f"taken by host {holder}"):
        hosts.add(fabric.name, foreign, "public", ["203.0.113.20"])
    with pytest.raises(Invalid, match="not an IP address"):
        hosts.add(fabric.name, foreign, "public", ["203.0.113.300"])
    with pytest.raises(Invalid, match="no such physical network"):
        hosts.add(fabric.name, foreign, "moon")
    with pytest.raises(Invalid, match="letters, digits"):
        hosts.add(fabric.name, "../etc", "public")
    assert (look(), links(fabric)) == before
    ip(f"netns add {foreign}")
    try:
        with pytest.raises(Conflict, match="is not a host of fabric"):
            hosts.add(fabric.name, foreign, "public")
        with pytest.raises(NotFound):
            hosts.remove(fabric.name, foreign)
        assert namespaces.named(foreign).exists()
    finally:
        ip(f"netns delete {foreign}")


def test_ports_of_two_guests_talk(fabric: SoftwareFabric) -> None:
    hosts.add(fabric.name, client := new_name(), "public")
    with guest() as one, guest() as two:
        for pid, number in ((one, 1), (two, 2)):
            port, mac = f"{number:08d}-port", f"fa:16:3e:00:00:0{number}"
            for _ in range(2):
                fabric.plug(port_id=port, mac=mac, physical_network="public", pid=pid, name="nic0", mtu=1400)
            assert f"link/ether {mac}" in nic(pid, "nic0")
            assert "mtu 1400" in nic(pid, "nic0")
            assert ",UP" not in nic(pid, "nic0")
            assert "inet" not in ip("addr show nic0", pid=pid)
            for _ in range(2):
                fabric.configure(pid=pid, mac=mac, addresses=[f"203.0.113.{100 + number}/24"])
        assert fabric.ports() == {"00000001-port", "00000002-port"}
        assert reaches(one, "203.0.113.102")
        assert host_reaches(client, "203.0.113.101")


def test_a_vlan_is_a_wire_of_its_own(fabric: SoftwareFabric) -> None:
    before = links(fabric)
    with guest() as one, guest() as two, guest() as flat, guest() as other:
        for number, (pid, vlan) in enumerate({one: 7, two: 7, flat: 0, other: 8}.items(), 1):
            port, mac = f"{number:08d}-port", f"fa:16:3e:00:00:0{number}"
            fabric.plug(port_id=port, mac=mac, physical_network="public", pid=pid, name="nic0", vlan=vlan)
            fabric.configure(pid=pid, mac=mac, addresses=[f"203.0.113.{100 + number}/24"])
        fabric.ensure()
        assert reaches(one, "203.0.113.102")
        assert not reaches(one, "203.0.113.103")
        assert not reaches(one, "203.0.113.104")
        assert not reaches(flat, "203.0.113.104")
        for number in range(1, 5):
            fabric.unplug(port_id=f"{number:08d}-port")
    fabric.ensure()
    assert links(fabric) == before


def test_machine_reaches_a_guest_over_the_management_network(fabric: SoftwareFabric) -> None:
    with guest() as pid:
        fabric.plug(port_id=PORT, mac=MAC, physical_network="mgmt", pid=pid, name="eth0")
        fabric.configure(pid=pid, mac=MAC, addresses=["198.18.0.9/20"])
        assert reaches(pid, "198.18.0.1")
        assert reaches(os.getpid(), "198.18.0.9")


def test_plug_again_leaves_a_nic_that_the_guest_moved_on(fabric: SoftwareFabric) -> None:
    with guest() as pid, guest() as inner:
        fabric.plug(port_id=PORT, mac=MAC, physical_network="public", pid=pid, name="nic0")
        ip(f"link set nic0 netns {inner} name eth1", pid=pid)
        index = nic(inner, "eth1")
        fabric.plug(port_id=PORT, mac=MAC, physical_network="public", pid=pid, name="nic0")
        assert nic(inner, "eth1") == index
        for _ in range(2):
            fabric.unplug(port_id=PORT)
        assert "eth1" not in ip("-o link", pid=inner)
        assert fabric.ports() == frozenset()


def test_plug_finishes_what_was_interrupted(fabric: SoftwareFabric) -> None:
    with guest() as pid:
        fabric.plug(port_id=PORT, mac=MAC, physical_network="public", pid=pid, name="nic0")
        # As if killed before the port's own end got its tag.
        ip(f"-n {fabric.name} link set tap{PORT[:11]} alias none")
        fabric.plug(port_id=PORT, mac=MAC, physical_network="public", pid=pid, name="nic0")
        assert f"link/ether {MAC}" in nic(pid, "nic0")
        assert fabric.ports() == {PORT}


def test_port_goes_to_another_guest(fabric: SoftwareFabric) -> None:
    with guest() as one, guest() as two:
        fabric.plug(port_id=PORT, mac=MAC, physical_network="public", pid=one, name="nic0")
        fabric.plug(port_id=PORT, mac=MAC, physical_network="public", pid=two, name="nic0")
        assert "nic0" not in ip("-o link", pid=one)
        assert f"link/ether {MAC}" in nic(two, "nic0")


def test_plug_refuses_an_unknown_network(fabric: SoftwareFabric) -> None:
    with guest() as pid, pytest.raises(Invalid, match="moon"):
        fabric.plug(port_id=PORT, mac=MAC, physical_network="moon", pid=pid, name="nic0")


def test_plug_to_a_process_that_ended(fabric: SoftwareFabric) -> None:
    with guest() as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(namespaces.NoNamespace):
            fabric.plug(port_id=PORT, mac=MAC, physical_network="public", pid=pid, name="nic0")
    assert fabric.ports() == frozenset()


def test_many_threads_plug_at_once(fabric: SoftwareFabric) -> None:
    with guest() as pid:
        threads = [
            threading.Thread(
                target=fabric.plug,
                kwargs={
                    "port_id": f"{number:08d}-port",
                    "mac": f"fa:16:3e:00:01:{number:02x}",
                    "physical_network": "members",
                    "pid": pid,
                    "name": f"nic{number}",
                },
            )
            for number in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(fabric.ports()) == 8
        with Netlink(namespaces.of_process(pid)) as netlink:
            assert {link.name for link in netlink.links()} >= {f"nic{number}" for number in range(8)}


@pytest.mark.usefixtures("machine")
def test_down_after_a_crash() -> None:
    before = look()
    made = new_fabric()
    with guest() as pid:
        made.ensure()
        hosts.add(made.name, name := new_name(), "public")
        made.plug(port_id=PORT, mac=MAC, physical_network="public", pid=pid, name="nic0")
        made.nics().hand_over(VfId("pf-public", 0), VfSettings(mac=MAC), pid=pid)
        # Half of it is missing already, and nobody who made the rest is left.
        ip(f"-n {made.name} link delete hy-members")
        ip(f"-n {made.name} link delete pf-members")
        removed = teardown.down(made.name)
        assert {f"process {pid}", f"host {name}", f"namespace {made.name}"} <= set(removed)
        assert not namespaces.named(name).exists()
    assert look() == before


def test_an_address_that_changes_hands_is_reached_at_once(fabric: SoftwareFabric) -> None:
    for number in range(3):
        with guest() as pid:
            mac = f"fa:16:3e:00:00:0{number}"
            fabric.plug(port_id=f"port-{number}", mac=mac, physical_network="mgmt", pid=pid, name="eth0")
            fabric.configure(pid=pid, mac=mac, addresses=["198.18.0.9/20"])
            assert reaches(os.getpid(), "198.18.0.9")
        fabric.unplug(port_id=f"port-{number}")
