"""Software VFs: handed to guests, taken back from living and dead ones."""

import os
import signal

import msgspec
import pytest
from machine import guest, host_reaches, ip, new_name, reaches, run

from hydria.base import config
from hydria.base.errors import Retryable, Terminal
from hydria.fabric import hosts
from hydria.fabric.software import SoftwareFabric, software_pfs
from hydria.sriov import namespaces
from hydria.sriov.inventory import Pf, VfId, VfSettings
from hydria.sriov.netlink import Link, Netlink
from hydria.sriov.software import SoftwareNics

pytestmark = pytest.mark.root

VF = VfId("pf-public", 1)
MAC = "fa:16:3e:00:00:01"


def pf(fabric: SoftwareFabric, name: str = "pf-public") -> Pf:
    return next(pf for pf in fabric.nics().scan() if pf.name == name)


def free(fabric: SoftwareFabric) -> list[VfId]:
    return [vf.id for vf in pf(fabric).free(())]


def links(namespace: str | int) -> list[Link]:
    path = namespaces.named(namespace) if isinstance(namespace, str) else namespaces.of_process(namespace)
    with Netlink(path) as netlink:
        # The carrier of bridges and macvlans follows that of what they stand on some moments later.
        return [msgspec.structs.replace(link, has_carrier=False) for link in netlink.links()]


def vfs_in(pid: int) -> list[Link]:
    return [link for link in links(pid) if link.kind == "macvlan"]


def give_address(pid: int, mac: str, *addresses: str) -> None:
    """As the agent does: it knows its NICs by MAC."""
    (link,) = (link for link in links(pid) if link.mac == mac)
    with Netlink(namespaces.of_process(pid)) as netlink:
        for address in addresses:
            netlink.add_address(link.index, address)
        netlink.set_link(link.index, up=True)


def test_scan(fabric: SoftwareFabric) -> None:
    assert [(pf.name, pf.physical_network, pf.link_up, pf.numvfs) for pf in fabric.nics().scan()] == [
        ("pf-public", "public", True, 3),
        ("pf-members", "members", True, 3),
    ]
    assert free(fabric) == [VfId("pf-public", index) for index in range(3)]
    ip(f"-n {fabric.name} link set pf-public down")
    assert not pf(fabric).link_up
    assert pf(fabric, "pf-members").link_up
    ip(f"-n {fabric.name} link delete pf-public")
    assert (pf(fabric).link_up, pf(fabric).vfs) == (False, ())


def test_scan_without_fabric() -> None:
    with pytest.raises(Retryable, match="Opening network namespace"):
        SoftwareNics(new_name(), {"pf-public": "public"}).scan()


def test_vf_talks_to_a_host_and_to_another_vf(fabric: SoftwareFabric) -> None:
    hosts.add(fabric.name, name := new_name(), "public")
    with guest() as one, guest() as two:
        for pid, number in ((one, 1), (two, 2)):
            mac = f"fa:16:3e:00:00:0{number}"
            fabric.nics().hand_over(VfId("pf-public", number), VfSettings(mac=mac, mtu=1400), pid=pid)
            (link,) = vfs_in(pid)
            assert (link.mac, link.mtu, link.is_up) == (mac, 1400, False)
            give_address(pid, mac, f"203.0.113.10{number}/24", f"2001:db8:0:cb::10{number}/64")
        assert free(fabric) == [VfId("pf-public", 0)]
        assert reaches(one, "203.0.113.254")
        assert host_reaches(name, "203.0.113.101")
        assert host_reaches(name, "2001:db8:0:cb::101")
        assert reaches(one, "203.0.113.102")
        assert reaches(two, "2001:db8:0:cb::101")


def test_vf_and_ordinary_port_on_one_network_talk(fabric: SoftwareFabric) -> None:
    with guest() as one, guest() as two:
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=one)
        give_address(one, MAC, "203.0.113.101/24")
        fabric.plug(port_id="port", mac="fa:16:3e:00:00:02", physical_network="public", pid=two, name="eth1")
        fabric.configure(pid=two, mac="fa:16:3e:00:00:02", addresses=["203.0.113.102/24"])
        assert reaches(one, "203.0.113.102")


@pytest.mark.usefixtures("machine")
def test_hosts_have_pfs_of_their_own_on_one_network() -> None:
    names = [config.Host(name=f"host{n}", pfs=software_pfs(["public"], n)) for n in range(2)]
    options = config.Fabric(name=new_name(), vfs=2, physical_networks=("public",))
    fabric = SoftwareFabric(options, names)
    try:
        fabric.ensure()
        with guest() as one, guest() as two:
            for host, pid, vf in zip(names, (one, two), (VfId("pf-public", 0), VfId("pf-public-2", 0)), strict=True):
                nics = SoftwareNics(fabric.name, host.pfs)
                assert [found.id for pf in nics.scan() for found in pf.free(())] == [vf, VfId(vf.pf, 1)]
                mac = f"fa:16:3e:00:00:{len(vf.pf):02x}"
                nics.hand_over(vf, VfSettings(mac=mac), pid=pid)
                give_address(pid, mac, f"203.0.113.{101 if pid == one else 102}/24")
            assert reaches(one, "203.0.113.102")
    finally:
        fabric.down()


def test_hand_over_twice(fabric: SoftwareFabric) -> None:
    with guest() as pid:
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=pid)
        give_address(pid, MAC, "203.0.113.101/24")
        before = vfs_in(pid)
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=pid)
        assert vfs_in(pid) == before
        assert reaches(pid, "203.0.113.101")


def test_hand_over_twice_when_the_guest_has_moved_and_renamed_it(fabric: SoftwareFabric) -> None:
    with guest() as pid, guest() as inner:
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=pid)
        ip(f"link set {VF.kernel_name} netns {inner} name eth1", pid=pid)
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=pid)
        assert [link.name for link in vfs_in(inner)] == ["eth1"]
        assert vfs_in(pid) == []


def test_hand_over_takes_it_from_another_guest(fabric: SoftwareFabric) -> None:
    with guest() as one, guest() as two:
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=one)
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=two)
        assert vfs_in(one) == []
        assert [link.mac for link in vfs_in(two)] == [MAC]


def test_hand_over_to_a_process_that_ended(fabric: SoftwareFabric) -> None:
    before = links(fabric.name)
    with guest() as pid:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(namespaces.NoNamespace):
            fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=pid)
    assert links(fabric.name) == before


@pytest.mark.parametrize("settings", [VfSettings(vlan=7), VfSettings(max_tx_rate=100)], ids=["vlan", "rate"])
def test_what_a_software_pf_cannot_do_is_refused(fabric: SoftwareFabric, settings: VfSettings) -> None:
    before = links(fabric.name)
    with guest() as pid, pytest.raises(Terminal, match="VF pf-public/1 cannot have"):
        fabric.nics().hand_over(VF, settings, pid=pid)
    assert links(fabric.name) == before


def test_take_back_from_a_living_guest(fabric: SoftwareFabric) -> None:
    before = {link.name: (link.mac, link.mtu, link.tag, link.is_up) for link in links(fabric.name)}
    with guest() as pid:
        fabric.nics().hand_over(VF, VfSettings(mac=MAC, mtu=1400), pid=pid)
        for _ in range(2):
            fabric.nics().take_back(VF)
        assert vfs_in(pid) == []
    assert {link.name: (link.mac, link.mtu, link.tag, link.is_up) for link in links(fabric.name)} == before


def test_take_back_from_a_namespace_in_which_nothing_runs(fabric: SoftwareFabric) -> None:
    """A guest keeps its VF in a named namespace that only its own view of files shows, as an amphora does."""
    with guest() as pid:
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=pid)
        ip(f"link set {VF.kernel_name} netns inner name eth1", pid=pid)
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=pid)
        assert f"link/ether {MAC}" in ip("-n inner -o link show eth1", pid=pid)
        fabric.nics().take_back(VF)
        assert "eth1" not in ip("-n inner -o link", pid=pid)
    assert len(free(fabric)) == 3


def test_take_back_after_the_guest_was_killed(fabric: SoftwareFabric) -> None:
    with guest() as pid:
        for vf in pf(fabric).vfs:
            fabric.nics().hand_over(vf.id, VfSettings(mac=f"fa:16:3e:00:00:0{vf.id.index}"), pid=pid)
        assert free(fabric) == []
        os.kill(pid, signal.SIGKILL)
    for index in range(3):
        fabric.nics().take_back(VfId("pf-public", index))
    assert len(free(fabric)) == 3
    with guest() as pid:
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=pid)
        give_address(pid, MAC, "203.0.113.101/24")
        assert reaches(pid, "203.0.113.101")


def test_take_back_what_was_never_handed_over_completely(fabric: SoftwareFabric) -> None:
    ip(f"-n {fabric.name} link set {VF.kernel_name} address {MAC} mtu 1400")
    fabric.nics().take_back(VF)
    link = next(link for link in links(fabric.name) if link.name == VF.kernel_name)
    assert (link.mac != MAC, link.mtu) == (True, 1500)


def test_ensure_leaves_vfs_in_guests_and_remakes_lost_ones(fabric: SoftwareFabric) -> None:
    with guest() as pid, guest() as doomed:
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=pid)
        fabric.nics().hand_over(VfId("pf-public", 2), VfSettings(mac="fa:16:3e:00:00:02"), pid=doomed)
        os.kill(doomed, signal.SIGKILL)
        os.waitid(os.P_PID, doomed, os.WEXITED | os.WNOWAIT)
        give_address(pid, MAC, "203.0.113.101/24")
        fabric.ensure()
        assert free(fabric) == [VfId("pf-public", 0), VfId("pf-public", 2)]
        assert [link.mac for link in vfs_in(pid)] == [MAC]
        assert run("ping -c 1 203.0.113.101", pid=pid)


def test_the_machine_itself_gets_no_nic(fabric: SoftwareFabric) -> None:
    before = links(fabric.name), links(os.getpid())
    with pytest.raises(Terminal, match="own network namespace"):
        fabric.nics().hand_over(VF, VfSettings(mac=MAC), pid=os.getpid())
    with pytest.raises(Terminal, match="own network namespace"):
        fabric.plug(port_id="port", mac=MAC, physical_network="public", pid=os.getpid(), name="eth9")
    assert (links(fabric.name), links(os.getpid())) == before


def test_more_vfs_but_never_fewer(fabric: SoftwareFabric) -> None:
    fabric.nics().ensure_vfs("pf-public", 5)
    assert len(free(fabric)) == 5
    fabric.nics().ensure_vfs("pf-public", 2)
    assert len(free(fabric)) == 5
