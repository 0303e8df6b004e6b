"""NICs of virtual machines on the software fabric: taps on its bridges, macvtaps on its PFs. Real frames."""

import fcntl
import os
import signal
import struct

import msgspec
import pytest
from machine import guest, host_reaches, ip, new_name, reaches, run
from station import station
from test_fabric_interrupted import interruptions

from hydria.base import process
from hydria.base.errors import Conflict, Invalid, Retryable, Terminal
from hydria.fabric import hosts
from hydria.fabric.software import SoftwareFabric
from hydria.sriov import namespaces, taps
from hydria.sriov.inventory import Pf, VfId, VfSettings
from hydria.sriov.netlink import Link, Netlink
from hydria.sriov.nics import Tap

pytestmark = pytest.mark.root

VF, OTHER = VfId("pf-public", 1), VfId("pf-public", 2)
MAC, OTHER_MAC = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"
ADDRESS, OTHER_ADDRESS = "203.0.113.101", "203.0.113.102"
PORT = "6f1c8c30-0000-4000-8000-000000000001"
NAME = "tap6f1c8c30-00"
TUNGETIFF, IFF_VNET_HDR = 0x800454D2, 0x4000


def give(fabric: SoftwareFabric, vf: VfId = VF, mac: str = MAC, mtu: int | None = None) -> Tap:
    return fabric.nics().hand_over_to_machine(vf, VfSettings(mac=mac, mtu=mtu), holder="port 1")


def plug(fabric: SoftwareFabric, *, mac: str = MAC, network: str = "public", mtu: int = 1500) -> Tap:
    return fabric.plug_tap(port_id=PORT, mac=mac, physical_network=network, mtu=mtu)


def pf(fabric: SoftwareFabric) -> Pf:
    return next(pf for pf in fabric.nics().scan() if pf.name == VF.pf)


def link(fabric: SoftwareFabric, name: str) -> Link:
    with Netlink(namespaces.named(fabric.name)) as netlink:
        return netlink.need(name)


def world(fabric: SoftwareFabric) -> dict[str, object]:
    """All links but for what follows some moments later, or is another number each time."""
    with Netlink(namespaces.named(fabric.name)) as netlink:
        return {one.name: msgspec.structs.replace(one, index=0, has_carrier=False) for one in netlink.links()}


@pytest.fixture
def host(fabric: SoftwareFabric) -> str:
    """A test host with 203.0.113.254."""
    hosts.add(fabric.name, name := new_name(), "public")
    return name


def test_a_tap_is_a_port_of_the_bridge(fabric: SoftwareFabric, host: str) -> None:
    before = world(fabric)
    with station(plug(fabric, mtu=1400).fd, MAC, ADDRESS) as machine:
        assert machine.reaches("203.0.113.254")
        assert host_reaches(host, ADDRESS)
        made = link(fabric, NAME)
        assert (made.kind, made.mtu, made.is_up, made.mac == MAC) == ("tun", 1400, True, False)
        assert str(made.tag) == f"hydria:{fabric.name}:port:{PORT}"
        assert fabric.ports() == {PORT}
        assert NAME not in ip("-o link"), "the machine itself does not see it"
    assert fabric.ports() == frozenset()
    assert world(fabric) == before


def test_a_tap_on_the_management_network_reaches_the_machine(fabric: SoftwareFabric) -> None:
    with station(plug(fabric, network="mgmt").fd, MAC, "198.18.0.9") as machine:
        fabric.introduce(mac=MAC, addresses=["198.18.0.9/20"])
        assert MAC in ip("neigh show 198.18.0.9")
        assert machine.reaches("198.18.0.1")
        assert run("ping -c 1 -W 2 198.18.0.9")


def test_a_tap_has_virtio_headers(fabric: SoftwareFabric) -> None:
    """QEMU asks for it: without, it would have to copy each frame."""
    for tap in (plug(fabric), give(fabric)):
        _, flags = struct.unpack("16sH22x", fcntl.ioctl(tap.fd, TUNGETIFF, bytes(40)))
        assert flags & IFF_VNET_HDR
        assert not os.get_inheritable(tap.fd)
        tap.close()


def test_plug_a_tap_twice(fabric: SoftwareFabric, host: str) -> None:
    """As after a crash whose QEMU still lives: the new one counts."""
    old = plug(fabric)
    with station(plug(fabric).fd, MAC, ADDRESS) as machine:
        assert fabric.ports() == {PORT}
        assert machine.reaches("203.0.113.254")
        old.close()
        assert host_reaches(host, ADDRESS)


def test_a_port_that_a_container_has_becomes_a_tap_and_back(fabric: SoftwareFabric) -> None:
    with guest() as pid:
        fabric.plug(port_id=PORT, mac=MAC, physical_network="public", pid=pid, name="nic0")
        with station(plug(fabric).fd, MAC, ADDRESS):
            assert "nic0" not in ip("-o link", pid=pid)
            assert link(fabric, NAME).kind == "tun"
            fabric.plug(port_id=PORT, mac=MAC, physical_network="public", pid=pid, name="nic0")
            assert link(fabric, NAME).kind == "veth"


def test_unplug_a_tap(fabric: SoftwareFabric) -> None:
    before = world(fabric)
    with station(plug(fabric).fd, MAC, ADDRESS):
        for _ in range(2):
            fabric.unplug(port_id=PORT)
        assert world(fabric) == before


def test_a_tap_that_cannot_be_is_refused(fabric: SoftwareFabric) -> None:
    before = world(fabric)
    with pytest.raises(Invalid):
        fabric.plug_tap(port_id=PORT, mac=MAC, physical_network="moon")
    assert world(fabric) == before


def test_a_tap_of_somebody_else_is_not_taken(fabric: SoftwareFabric) -> None:
    fabric.plug_tap(port_id=f"{PORT[:11]}another", mac=MAC, physical_network="public").close()
    other = fabric.plug_tap(port_id=f"{PORT[:11]}another", mac=MAC, physical_network="public")
    with pytest.raises(Conflict, match=f"taken by port {PORT[:11]}another"):
        plug(fabric)
    other.close()


def test_a_macvtap_talks_to_a_host_to_vfs_and_to_a_tap(fabric: SoftwareFabric, host: str) -> None:
    with (
        guest() as pid,
        station(give(fabric).fd, MAC, ADDRESS) as one,
        station(give(fabric, OTHER, OTHER_MAC).fd, OTHER_MAC, OTHER_ADDRESS) as two,
        station(plug(fabric, mac="fa:16:3e:00:00:03").fd, "fa:16:3e:00:00:03", "203.0.113.103") as tap,
    ):
        fabric.nics().hand_over(VfId("pf-public", 0), VfSettings(mac="fa:16:3e:00:00:04"), pid=pid)
        ip("addr add 203.0.113.104/24 dev pf-publicv0", pid=pid)
        ip("link set pf-publicv0 up", pid=pid)
        assert one.reaches("203.0.113.254")
        assert host_reaches(host, ADDRESS)
        assert one.reaches(OTHER_ADDRESS)
        assert two.reaches(ADDRESS)
        assert one.reaches("203.0.113.103")
        assert tap.reaches(OTHER_ADDRESS)
        assert two.reaches("203.0.113.104")
        assert reaches(pid, ADDRESS)


def test_a_given_vf_is_away_and_taken_back_as_it_was(fabric: SoftwareFabric) -> None:
    before, scanned = world(fabric), fabric.nics().scan()
    tap = give(fabric, mtu=1400)
    given = link(fabric, VF.kernel_name)
    assert (given.kind, given.mac, given.mtu, given.is_up) == ("macvtap", MAC, 1400, True)
    assert str(given.tag) == f"hydria:{fabric.name}:vf:{VF}"
    assert [vf.id for vf in pf(fabric).vfs if not vf.at_home] == [VF]
    assert VF not in [vf.id for vf in pf(fabric).free(())]
    fabric.ensure()
    assert link(fabric, VF.kernel_name) == given
    tap.close()
    assert not pf(fabric).vfs[VF.index].at_home, "its machine ended: it waits to be taken back"
    for _ in range(2):
        fabric.nics().take_back(VF)
    assert fabric.nics().scan() == scanned
    assert world(fabric) == before


def test_a_vf_that_a_machine_has_is_not_given_twice(fabric: SoftwareFabric, host: str) -> None:
    with station(give(fabric).fd, MAC, ADDRESS) as machine:
        with pytest.raises(Retryable, match=f"VF {VF} is still in use by process {os.getpid()}"):
            give(fabric)
        assert machine.reaches("203.0.113.254")
    with station(give(fabric).fd, MAC, ADDRESS) as machine:
        assert host_reaches(host, ADDRESS)


def test_take_back_from_a_machine_that_runs(fabric: SoftwareFabric) -> None:
    before = world(fabric)
    with station(give(fabric).fd, MAC, ADDRESS):
        fabric.nics().take_back(VF)
        assert world(fabric) == before


def test_from_container_to_machine_and_back(fabric: SoftwareFabric) -> None:
    with guest() as pid:
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=pid)
        with station(give(fabric).fd, MAC, ADDRESS):
            assert VF.kernel_name not in ip("-o link", pid=pid)
            fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=pid)
        assert f"link/ether {MAC}" in ip(f"-o link show {VF.kernel_name}", pid=pid)
        assert VF.kernel_name not in namespaces.link_names(namespaces.named(fabric.name))


def test_settings_while_a_machine_has_it(fabric: SoftwareFabric, host: str) -> None:
    nics = fabric.nics()
    with pytest.raises(Conflict, match="is with no virtual machine"):
        nics.adjust(VF, VfSettings(mac=MAC, mtu=1400))
    with station(give(fabric).fd, MAC, ADDRESS):
        for _ in range(2):
            nics.adjust(VF, VfSettings(mac=MAC, mtu=1400, trust=True))
        assert link(fabric, VF.kernel_name).mtu == 1400
        with pytest.raises(Terminal, match="cannot have a tx rate"):
            nics.adjust(VF, VfSettings(mac=MAC, max_tx_rate=100))
        assert host_reaches(host, ADDRESS)


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        pytest.param(VfSettings(vlan=7), "cannot have VLAN 7", id="vlan"),
        pytest.param(VfSettings(max_tx_rate=100), "cannot have a tx rate", id="rate"),
        pytest.param(VfSettings(mtu=9000), "mtu", id="more than the PF's MTU"),
    ],
)
def test_what_a_software_pf_cannot_do_is_refused(fabric: SoftwareFabric, settings: VfSettings, error: str) -> None:
    before = world(fabric)
    with pytest.raises((Terminal, Retryable), match=error):
        fabric.nics().hand_over_to_machine(VF, settings)
    assert world(fabric) == before


def test_killed_between_any_two_steps(fabric: SoftwareFabric, monkeypatch: pytest.MonkeyPatch) -> None:
    nics, before = fabric.nics(), world(fabric)
    given: list[Tap] = []
    for steps in interruptions(monkeypatch, lambda: given.append(give(fabric))):
        if steps % 2:
            give(fabric).close()
            assert not pf(fabric).vfs[VF.index].at_home
        nics.take_back(VF)
        assert world(fabric) == before
    given.pop().close()
    for _ in interruptions(monkeypatch, lambda: nics.take_back(VF)):
        nics.take_back(VF)
        assert world(fabric) == before
        give(fabric).close()


def test_killed_while_a_tap_is_plugged(fabric: SoftwareFabric, monkeypatch: pytest.MonkeyPatch) -> None:
    before = world(fabric)
    plugged: list[Tap] = []
    for _ in interruptions(monkeypatch, lambda: plugged.append(plug(fabric))):
        assert world(fabric) == before
    plugged.pop().close()


def test_down_ends_machines(fabric: SoftwareFabric) -> None:
    """They are in the machine's own namespace; their taps tell whose they are."""
    tap = plug(fabric)
    machine, stranger = (process.start(["sleep", "600"], pass_fds=fds) for fds in ((tap.fd,), ()))
    try:
        tap.close()
        assert taps.users([NAME]) == [machine.pid]
        assert f"process {machine.pid}" in fabric.down()
        assert (machine.wait(), stranger.poll()) == (-signal.SIGKILL, None)
    finally:
        for child in (machine, stranger):
            child.kill()
            child.wait()
