"""Normal ports on an operator's bridge in the machine's own namespace. The "PF" is a veth: bridges treat it alike."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import guest, ip, look, new_name, reaches, run
from station import station
from test_fabric_interrupted import interruptions

from hydria.base import config
from hydria.base.errors import Conflict, Invalid, Terminal
from hydria.fabric import teardown
from hydria.fabric.passage import RECORDS
from hydria.fabric.sriov import SriovFabric
from hydria.sriov import namespaces

pytestmark = pytest.mark.root

PORT = "6f1c8c30-0000-4000-8000-000000000001"
TAP = "tap6f1c8c30-00"
MAC = "fa:16:3e:00:00:01"
HOSTS = (config.Host(name="a", pfs={"pf0": "public", "pf1": "members"}),)


def new_sriov_fabric() -> SriovFabric:
    return SriovFabric(config.Fabric(kind="sriov", name=new_name(), bridge_mappings={"public": "br0"}), HOSTS)


@pytest.fixture
def sriov(machine: None) -> Iterator[SriovFabric]:  # noqa: ARG001 - it is built on it
    """Two PFs, of which one is a port of the operator's bridge br0, and a neighbour `outside` on that bridge."""
    for line in (
        "link add pf0 type veth peer name wire0",
        "link add pf1 type veth peer name wire1",
        "link add br0 type bridge mcast_snooping 0 forward_delay 0",
        "link set br0 addrgenmode none",
        "link set br0 up",
        "link set pf0 addrgenmode none",
        "link set pf0 master br0 up",
        "link set pf1 master br0 nomaster",
    ):
        ip(line)
    made = new_sriov_fabric()
    try:
        made.ensure()
        yield made
    finally:
        teardown.down(made.name)


def let_through(pf: str = "pf0") -> int:
    """How often our MAC stands in the PF's table."""
    return run(f"bridge fdb show dev {pf}").count(MAC)


def records(made: SriovFabric) -> list[str]:
    return sorted(path.name for path in (RECORDS / made.name).glob("*"))


def plug(made: SriovFabric, pid: int, *, mac: str = MAC, network: str = "public") -> None:
    made.plug(port_id=PORT, mac=mac, physical_network=network, pid=pid, name="nic0")


def test_the_machine_keeps_its_network(sriov: SriovFabric) -> None:
    before = look(), ip("-o link")
    sriov.ensure()
    assert (look(), ip("-o link")) == before
    assert "inet 198.18.0.1/20" in ip("addr show hy-mgmt0")
    assert set(namespaces.link_names(namespaces.named(sriov.name))) == {"lo", "hy-mgmt", "mgmt-host"}


def test_a_port_is_on_the_operators_bridge(sriov: SriovFabric) -> None:
    with guest() as pid, guest() as other:
        for _ in range(2):
            plug(sriov, pid)
        assert sriov.ports() == {PORT}
        assert "master br0" in ip(f"link show {TAP}")
        assert f"alias hydria:{sriov.name}:port:{PORT}" in ip(f"link show {TAP}")
        assert "inet6" not in ip(f"addr show {TAP}")
        assert (let_through("pf0"), let_through("pf1")) == (1, 0)
        assert f"link/ether {MAC}" in ip("link show nic0", pid=pid)
        ip(f"link add near type veth peer name far netns {other}")
        ip("link set near master br0 up")
        ip("link set far up", pid=other)
        ip("addr add 10.0.0.2/24 dev far", pid=other)
        sriov.configure(pid=pid, mac=MAC, addresses=["10.0.0.1/24"])
        assert reaches(pid, "10.0.0.2")
        assert f"{MAC} sticky master br0 static" in run(f"bridge fdb show dev {TAP}")
        for _ in range(2):
            sriov.unplug(port_id=PORT)
        assert "nic0" not in ip("-o link", pid=pid)
    assert (sriov.ports(), let_through(), records(sriov)) == (frozenset(), 0, [])


def test_a_virtual_machines_port_is_on_the_operators_bridge(sriov: SriovFabric) -> None:
    ip("link add near type veth peer name far")
    ip("netns add " + (name := new_name()))
    try:
        ip(f"link set far netns {name}")
        ip(f"-n {name} addr add 10.0.0.2/24 dev far")
        ip(f"-n {name} link set far up")
        ip("link set near master br0 up")
        for _ in range(2):
            tap = sriov.plug_tap(port_id=PORT, mac=MAC, physical_network="public", mtu=1400)
        assert sriov.ports() == {PORT}
        assert "master br0" in ip(f"link show {TAP}")
        assert "mtu 1400" in ip(f"link show {TAP}")
        assert "inet6" not in ip(f"addr show {TAP}")
        assert f"{MAC} sticky master br0 static" in run(f"bridge fdb show dev {TAP}")
        assert let_through() == 1
        with station(tap.fd, MAC, "10.0.0.1") as machine:
            assert machine.reaches("10.0.0.2")
        assert TAP not in ip("-o link"), "it ends with its machine"
        assert sriov.ports() == {PORT}, "its MAC is still let through"
        for _ in range(2):
            sriov.unplug(port_id=PORT)
        assert (sriov.ports(), let_through(), records(sriov)) == (frozenset(), 0, [])
    finally:
        ip("link delete near")
        ip(f"netns delete {name}")


def test_the_management_network_is_not_the_machines(sriov: SriovFabric) -> None:
    with guest() as pid:
        plug(sriov, pid, network="mgmt")
        sriov.configure(pid=pid, mac=MAC, addresses=["198.18.0.9/20"])
        assert reaches(pid, "198.18.0.1")
        assert TAP not in ip("-o link")
        assert let_through() == 0
        sriov.unplug(port_id=PORT)
    assert sriov.ports() == frozenset()


@pytest.mark.parametrize(
    ("network", "vlan", "reason"),
    [
        pytest.param("members", 0, r"'members': fabric\.bridge_mappings \(--bridge members=BRIDGE\)", id="no bridge"),
        pytest.param("public", 42, "VLAN 42 of .*'public': bridge br0 is not VLAN-aware", id="VLAN"),
    ],
)
def test_a_port_that_cannot_be_is_refused(sriov: SriovFabric, network: str, vlan: int, reason: str) -> None:
    with guest() as pid:
        before = ip("-o link", pid=pid)
        with pytest.raises(Terminal, match=reason):
            sriov.plug(port_id=PORT, mac=MAC, physical_network=network, pid=pid, name="nic0", vlan=vlan)
        assert ip("-o link", pid=pid) == before
    assert (sriov.ports(), let_through()) == (frozenset(), 0)


def test_a_bridge_that_went_away(sriov: SriovFabric) -> None:
    ip("link delete br0")
    with guest() as pid, pytest.raises(Invalid, match="bridge br0 is not there"):
        plug(sriov, pid)


def test_a_link_of_somebody_else_with_the_ports_name_stays(sriov: SriovFabric) -> None:
    ip(f"link add {TAP} type veth peer name other")
    with guest() as pid, pytest.raises(Conflict, match=f"link {TAP} of this machine is somebody else's"):
        plug(sriov, pid)
    sriov.unplug(port_id=PORT)
    assert "other" in ip(f"link show {TAP}")
    assert let_through() == 0


def test_a_mac_that_somebody_else_let_through_stays(sriov: SriovFabric) -> None:
    run(f"bridge fdb add {MAC} dev pf0 self permanent")
    with guest() as pid:
        for _ in range(2):
            plug(sriov, pid)
        assert let_through() == 1
        sriov.unplug(port_id=PORT)
    assert let_through() == 1


def test_a_port_goes_to_another_guest_and_gets_another_mac(sriov: SriovFabric) -> None:
    with guest() as one, guest() as two:
        plug(sriov, one)
        plug(sriov, two, mac="fa:16:3e:00:00:02")
        assert "nic0" not in ip("-o link", pid=one)
        assert "link/ether fa:16:3e:00:00:02" in ip("link show nic0", pid=two)
        assert let_through() == 0
        assert "fa:16:3e:00:00:02" in run("bridge fdb show dev pf0")


def test_what_a_dead_guest_left_is_removed_at_the_next_start(sriov: SriovFabric) -> None:
    with guest() as pid:
        plug(sriov, pid)
        ip("link delete nic0", pid=pid)
    assert (let_through(), sriov.ports()) == (1, {PORT})
    again = SriovFabric(sriov._config, HOSTS)
    again.ensure()
    assert (let_through(), again.ports(), records(again)) == (0, frozenset(), [])


def test_a_start_leaves_ports_and_heeds_a_pf_that_joined_the_bridge(sriov: SriovFabric) -> None:
    with guest() as pid:
        plug(sriov, pid)
        run(f"bridge fdb del {MAC} dev pf0 self")
        ip("link set pf1 master br0 up")
        for _ in range(2):
            sriov.ensure()
        assert (let_through("pf0"), let_through("pf1")) == (1, 1)
        assert "nic0" in ip("-o link", pid=pid)
        assert json.loads((RECORDS / sriov.name / f"{PORT}.json").read_bytes())["pfs"] == ["pf0", "pf1"]
        sriov.unplug(port_id=PORT)
    assert (let_through("pf0"), let_through("pf1")) == (0, 0)


def test_interrupted_anywhere(sriov: SriovFabric, monkeypatch: pytest.MonkeyPatch) -> None:
    with guest() as pid:
        for steps in interruptions(monkeypatch, lambda: plug(sriov, pid)):
            if steps % 2:
                plug(sriov, pid)
                assert "nic0" in ip("-o link", pid=pid)
                assert let_through() == 1
            sriov.unplug(port_id=PORT)
            assert "nic0" not in ip("-o link", pid=pid)
            assert TAP not in ip("-o link") + ip(f"-n {sriov.name} -o link")
            assert (sriov.ports(), let_through(), records(sriov)) == (frozenset(), 0, [])
        plug(sriov, pid)
        for _ in interruptions(monkeypatch, lambda: sriov.unplug(port_id=PORT)):
            sriov.unplug(port_id=PORT)
            assert (sriov.ports(), let_through(), records(sriov)) == (frozenset(), 0, [])
            plug(sriov, pid)


def test_down_takes_what_is_ours_and_leaves_bridge_and_pfs(sriov: SriovFabric) -> None:
    teardown.down(sriov.name)
    before = look(), ip("-o link"), run("bridge fdb show")
    sriov.ensure()
    with guest() as pid:
        plug(sriov, pid)
        removed = teardown.down(sriov.name)
        assert {f"process {pid}", f"port {PORT}", f"namespace {sriov.name}", "interface hy-mgmt0"} <= set(removed)
    assert (look(), ip("-o link"), run("bridge fdb show")) == before
    assert not (RECORDS / sriov.name).exists()
    assert not Path(f"/run/netns/{sriov.name}").exists()
    assert teardown.down(sriov.name) == []
