"""Normal ports beside VFs, on an operator's bridge with a real PF in it: who reaches whom, with and without VLANs."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hardware import Card, ip, is_home, outside_nic, peer, pings, until

from hydria.base import config, process
from hydria.base.errors import Terminal
from hydria.fabric import teardown
from hydria.fabric.sriov import SriovFabric
from hydria.sriov.inventory import VfId, VfSettings
from root.machine import guest
from root.station import station

BRIDGE = "br-op"
MAC = "fa:16:3e:00:00:01"
PORT = "6f1c8c30-0000-4000-8000-000000000001"
VLAN = 42


@dataclass(frozen=True)
class Site:
    fabric: SriovFabric
    card: Card

    def plug(self, pid: int, address: str, *, vlan: int = 0) -> None:
        self.fabric.plug(port_id=PORT, mac=MAC, physical_network="public", pid=pid, name="nic0", vlan=vlan)
        self.fabric.configure(pid=pid, mac=MAC, addresses=[address])

    def let_through(self) -> bool:
        return MAC in process.run(["bridge", "fdb", "show", "dev", self.card.pf]).stdout


@pytest.fixture
def site(public: Card, members: Card) -> Iterator[Site]:
    """As docs/sriov.md tells an operator: the PF is a port of a bridge."""
    with contextlib.ExitStack() as stack:
        ip(f"link add {BRIDGE} type bridge mcast_snooping 0 forward_delay 0")
        stack.callback(ip, f"link delete {BRIDGE}")
        ip(f"link set {BRIDGE} up")
        ip(f"link set {public.pf} master {BRIDGE}")
        stack.callback(ip, f"link set {public.pf} nomaster")
        host = config.Host(name="a", pfs={public.pf: "public", members.pf: "members"})
        fabric = SriovFabric(config.Fabric(kind="sriov", bridge_mappings={"public": BRIDGE}), [host])
        fabric.check()
        stack.callback(teardown.down, fabric.name)
        fabric.ensure()
        yield Site(fabric, public)


def from_guest(pid: int, address: str) -> bool:
    argv = ["nsenter", f"--net=/proc/{pid}/ns/net", "ping", "-c", "1", "-W", "2", address]
    return process.run(argv, check=False, timeout=60).status == 0


def test_a_vf_a_normal_port_and_the_world_reach_each_other(site: Site) -> None:
    with (
        guest() as pid,
        peer("vf", site.card.vf(0), ["203.0.113.2/24"]),
        peer("world", outside_nic(site.card), ["203.0.113.3/24"]),
    ):
        site.plug(pid, "203.0.113.1/24")
        assert site.let_through()
        for other in ("203.0.113.2", "203.0.113.3"):
            until(f"the guest reaches {other}", lambda other=other: from_guest(pid, other))
        for name in ("vf", "world"):
            until(f"{name} reaches the guest", lambda name=name: pings(name, "203.0.113.1"))
        site.fabric.unplug(port_id=PORT)
        assert not site.let_through()
        assert not pings("vf", "203.0.113.1")


def test_without_its_mac_on_the_pf_a_vf_does_not_reach_it(site: Site) -> None:
    """Why the entry is made at all; when this fails, NICs' switches have learned to do without."""
    with guest() as pid, peer("vf", site.card.vf(0), ["203.0.113.2/24"]):
        site.plug(pid, "203.0.113.1/24")
        until("the VF reaches the guest", lambda: pings("vf", "203.0.113.1"))
        process.run(["bridge", "fdb", "del", MAC, "dev", site.card.pf, "self"])
        assert not pings("vf", "203.0.113.1")
        site.fabric.ensure()
        until("the VF reaches the guest again", lambda: pings("vf", "203.0.113.1"))


def test_a_port_of_a_vlan_reaches_vfs_of_that_vlan_alone(site: Site) -> None:
    ip(f"link set {BRIDGE} type bridge vlan_filtering 1")
    process.run(["bridge", "vlan", "add", "dev", site.card.pf, "vid", str(VLAN)])
    ip(f"link set {site.card.pf} vf 1 vlan {VLAN}")
    try:
        with (
            guest() as pid,
            peer("untagged", site.card.vf(0), ["203.0.113.2/24"]),
            peer("tagged", site.card.vf(1), ["203.0.113.3/24"]),
        ):
            site.plug(pid, "203.0.113.1/24", vlan=VLAN)
            tap = f"tap{PORT[:11]}"
            shown = process.run(["bridge", "vlan", "show", "dev", tap]).stdout
            assert f"{VLAN} PVID Egress Untagged" in shown
            assert f"{tap}  1 " not in shown
            assert len(shown.splitlines()) == 2
            until("the VF of the VLAN reaches it", lambda: pings("tagged", "203.0.113.1"))
            assert from_guest(pid, "203.0.113.3")
            assert not pings("untagged", "203.0.113.1")
            assert not from_guest(pid, "203.0.113.2")
    finally:
        ip(f"link set {site.card.pf} vf 1 vlan 0")


def test_a_virtual_machines_port_of_a_vlan(site: Site) -> None:
    """A tap is what a veth is to bridge and NIC."""
    ip(f"link set {BRIDGE} type bridge vlan_filtering 1")
    process.run(["bridge", "vlan", "add", "dev", site.card.pf, "vid", str(VLAN)])
    ip(f"link set {site.card.pf} vf 1 vlan {VLAN}")
    try:
        tap = site.fabric.plug_tap(port_id=PORT, mac=MAC, physical_network="public", vlan=VLAN)
        with (
            station(tap.fd, MAC, "203.0.113.1") as machine,
            peer("untagged", site.card.vf(0), ["203.0.113.2/24"]),
            peer("tagged", site.card.vf(1), ["203.0.113.3/24"]),
        ):
            until("the VF of the VLAN reaches it", lambda: pings("tagged", "203.0.113.1"))
            assert machine.reaches("203.0.113.3")
            assert not pings("untagged", "203.0.113.1")
            assert not machine.reaches("203.0.113.2")
        assert site.let_through(), "until it is unplugged"
        site.fabric.unplug(port_id=PORT)
        assert not site.let_through()
    finally:
        ip(f"link set {site.card.pf} vf 1 vlan 0")


@pytest.mark.parametrize(
    ("preparation", "reason"),
    [
        pytest.param((), f"bridge {BRIDGE} is not VLAN-aware", id="no VLAN filtering"),
        pytest.param(
            (f"link set {BRIDGE} type bridge vlan_filtering 1",),
            f"bridge vlan add dev .* vid {VLAN}",
            id="PF not in it",
        ),
    ],
)
def test_a_port_of_a_vlan_that_would_be_elsewhere_is_refused(
    site: Site, preparation: tuple[str, ...], reason: str
) -> None:
    for line in preparation:
        ip(line)
    with guest() as pid:
        with pytest.raises(Terminal, match=reason):
            site.plug(pid, "203.0.113.1/24", vlan=VLAN)
        assert "nic0" not in process.run(["nsenter", f"--net=/proc/{pid}/ns/net", "ip", "link"]).stdout
    assert not site.let_through()


def test_devices_that_are_not_as_configured(public: Card, members: Card) -> None:
    vf = public.vf(0)
    outside = outside_nic(public)
    for pfs, bridges, reason in (
        ({vf: "public"}, {}, f"--pf {vf}=public: {vf} is a VF"),
        ({outside: "public"}, {}, f"--pf {outside}=public: {outside} is no SR-IOV device"),
        ({public.pf: "public"}, {"public": members.pf}, f"--bridge public={members.pf}: {members.pf} is no bridge"),
    ):
        options = config.Fabric(kind="sriov", bridge_mappings=bridges)
        with pytest.raises(Terminal, match=reason):
            SriovFabric(options, [config.Host(name="a", pfs=pfs)]).check()
    assert is_home(public.vfs[0])


def test_down_gives_vfs_back_and_leaves_bridge_and_pf(site: Site) -> None:
    before = site.card.settings()
    with guest() as pid:
        site.plug(pid, "203.0.113.1/24")
        settings = VfSettings(mac="fa:16:3e:00:00:02", vlan=7, trust=True)
        site.fabric.nics().hand_over(VfId(site.card.pf, 2), settings, pid=pid, holder="port x")
        assert site.card.settings()[2]["vlan_list"][0]["vlan"] == 7
        removed = teardown.down(site.fabric.name)
        assert {f"process {pid}", f"port {PORT}", f"VF {site.card.pf}/2 from its guest"} <= set(removed)
    assert not site.let_through()
    assert is_home(site.card.vfs[2])
    assert site.card.settings()[2].get("vlan_list") == before[2].get("vlan_list")
    assert f"master {BRIDGE}" in ip(f"link show {site.card.pf}")
    assert teardown.down(site.fabric.name) == []
