"""Real VFs: handed over, taken back, restored, whatever is killed, deleted or pulled out meanwhile."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from guests import configure, dying_before, guest, in_child, nics, reaches, within
from hardware import NUMVFS, Card, ip, is_home, netdev_of, state, until
from msgspec import structs

from hydria.base.errors import Conflict, Retryable, Terminal
from hydria.sriov.hardware import HardwareNics
from hydria.sriov.inventory import Vf, VfId, VfSettings, strays
from hydria.sriov.kernel import Linux

MAC, OTHER_MAC = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"
ALL = VfSettings(mac=MAC, vlan=100, spoofchk=False, trust=True, max_tx_rate=100, mtu=1400)


class Hosts:
    """Hydria on this host: knows PFs and records, so that a second one is the same after a restart."""

    def __init__(self, public: Card, members: Card, records: Path) -> None:
        self.pfs = {public.pf: "public", members.pf: "members"}
        self.records = records

    @property
    def nics(self) -> HardwareNics:
        return HardwareNics(self.pfs, records=self.records)

    def vf(self, vf: VfId) -> Vf:
        return next(found for pf in self.nics.scan() for found in pf.vfs if found.id == vf)

    def strays(self) -> list[VfId]:
        return list(strays(self.nics.scan(), ()))

    def recorded(self) -> list[str]:
        return [file.stem for file in self.records.glob("*.json")]


@pytest.fixture
def host(public: Card, members: Card, tmp_path: Path) -> Hosts:
    return Hosts(public, members, tmp_path / "records")


@pytest.fixture
def vf(public: Card) -> VfId:
    return VfId(public.pf, 1)


@contextmanager
def nothing_changes() -> Iterator[None]:
    before = state()
    yield
    assert state() == before


def seen(card: Card, index: int) -> dict[str, object]:
    """What `ip link show PF` says of a VF."""
    now = card.settings()[index]
    return {
        "mac": now["address"],
        "vlan": (now.get("vlan_list") or [{}])[0].get("vlan", 0),
        "spoofchk": now["spoofchk"],
        "trust": now["trust"],
        "max_tx_rate": now["rate"]["max_tx"],
    }


def test_everything_is_set_and_restored(host: Hosts, public: Card, vf: VfId) -> None:
    with nothing_changes(), guest() as pid:
        name = public.vf(1)
        host.nics.hand_over(vf, ALL, pid=pid, holder="port 1")
        (nic,) = nics(pid)
        assert (nic["address"], nic["mtu"], "UP" in nic["flags"]) == (MAC, 1400, False)
        assert nic["ifalias"].startswith(f"hydria:hydria:vf:{vf}:")
        assert seen(public, 1) == {"mac": MAC, "vlan": 100, "spoofchk": False, "trust": True, "max_tx_rate": 100}
        now = host.vf(vf)
        assert (now.at_home, now.foreign, now.holder) == (False, False, "port 1")
        assert now.settings == structs.replace(ALL, mtu=None)
        host.nics.take_back(vf)
        assert public.vf(1) == name
        assert not host.recorded()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"mac": MAC}, id="mac"),
        pytest.param({"vlan": 100}, id="vlan"),
        pytest.param({"trust": True}, id="trust"),
        pytest.param({"spoofchk": False}, id="spoof check"),
        pytest.param({"max_tx_rate": 100}, id="max rate"),
    ],
)
def test_each_setting(host: Hosts, members: Card, settings: dict[str, object]) -> None:
    vf = VfId(members.pf, 2)
    with nothing_changes(), guest() as pid:
        before = seen(members, 2)
        wanted = structs.replace(VfSettings(), **settings)
        for _ in range(2):
            host.nics.hand_over(vf, wanted, pid=pid)
        assert seen(members, 2) == {**before, **settings}
        for _ in range(2):
            host.nics.take_back(vf)


def test_vlan_isolates(host: Hosts, public: Card) -> None:
    with nothing_changes(), guest() as one, guest() as two, guest() as outsider:
        for index, (pid, vlan) in enumerate([(one, 100), (two, 100), (outsider, 0)]):
            settings = VfSettings(mac=f"fa:16:3e:00:00:1{index}", vlan=vlan)
            host.nics.hand_over(VfId(public.pf, index), settings, pid=pid)
            configure(pid, f"198.51.100.{index + 1}/24")
        until("VFs in one VLAN talk", lambda: reaches(one, "198.51.100.2"))
        assert not reaches(outsider, "198.51.100.1")
        # The same guest, out of the VLAN and into it again, without losing its NIC.
        host.nics.hand_over(VfId(public.pf, 2), VfSettings(mac="fa:16:3e:00:00:12", vlan=100), pid=outsider)
        until("the third is in the VLAN now", lambda: reaches(outsider, "198.51.100.1"))
        for index in range(3):
            host.nics.take_back(VfId(public.pf, index))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"min_tx_rate": 10}, "min_tx_rate 10, max_tx_rate 0: driver igb of its PF refuses: Invalid argument"),
        ({"link_state": "enable"}, "link_state enable: driver igb of its PF refuses: Operation not supported"),
        ({"vlan": 5000}, "vlan 5000, qos 0: driver igb of its PF refuses: Invalid argument"),
        ({"mtu": 100_000}, "mtu 100000: driver igbvf refuses: Invalid argument"),
        ({"mac": "01:00:5e:00:00:01"}, "mac 01:00:5e:00:00:01: driver igb of its PF refuses: Invalid argument"),
    ],
)
def test_refused(host: Hosts, public: Card, vf: VfId, settings: dict[str, object], words: str) -> None:
    with nothing_changes(), guest() as pid:
        before = netdev_of(public.vfs[1])
        with pytest.raises(Terminal, match=rf"^VF {vf} \({public.vfs[1]}\) cannot have {words}"):
            host.nics.hand_over(vf, structs.replace(VfSettings(mac=MAC, trust=True), **settings), pid=pid)
        assert netdev_of(public.vfs[1]) == before
        assert not host.recorded()
        assert not nics(pid)


def test_mac_is_used_already(host: Hosts, public: Card, members: Card, vf: VfId) -> None:
    with nothing_changes(), guest() as pid:
        host.nics.hand_over(VfId(members.pf, 0), VfSettings(mac=MAC), pid=pid)
        for mac, who in ((MAC, f"VF {members.pf}/0"), ("52:54:00:aa:00:01", f"PF {public.pf}")):
            with pytest.raises(Conflict, match=f"VF {vf} .* cannot have MAC {mac}: {who}"):
                host.nics.hand_over(vf, VfSettings(mac=mac), pid=pid)
        host.nics.take_back(VfId(members.pf, 0))


def test_no_iommu(host: Hosts, vf: VfId) -> None:
    with (
        nothing_changes(),
        pytest.raises(Terminal, match="cannot be given to a virtual machine: it has no IOMMU group"),
    ):
        host.nics.hand_over_to_machine(vf, ALL)


def test_guest_renames_and_moves_it_on(host: Hosts, vf: VfId) -> None:
    with nothing_changes(), guest() as pid:
        host.nics.hand_over(vf, ALL, pid=pid)
        (nic,) = nics(pid)
        within(pid, f"ip link set {nic['ifname']} name eth1 netns inner")
        within(pid, "ip -n inner addr add 203.0.113.9/24 dev eth1")
        host.nics.hand_over(vf, ALL, pid=pid)
        (nic,) = nics(pid, "inner")
        assert (nic["ifname"], nic["addr_info"][0]["local"]) == ("eth1", "203.0.113.9"), "it was left alone"
        host.nics.take_back(vf)
        assert not nics(pid, "inner")


def test_guest_has_that_name_already(host: Hosts, public: Card, vf: VfId) -> None:
    with nothing_changes(), guest() as pid:
        within(pid, f"ip link add {public.vf(1)} type dummy")
        host.nics.hand_over(vf, ALL, pid=pid)
        assert MAC in [nic["address"] for nic in nics(pid)]
        host.nics.take_back(vf)


def test_retaken_from_another_guest(host: Hosts, vf: VfId) -> None:
    with nothing_changes(), guest() as one, guest() as two:
        host.nics.hand_over(vf, ALL, pid=one)
        host.nics.hand_over(vf, ALL, pid=two)
        assert not nics(one)
        assert [nic["address"] for nic in nics(two)] == [MAC]
        host.nics.take_back(vf)


def test_guest_is_killed(host: Hosts, public: Card, vf: VfId) -> None:
    with nothing_changes():
        with guest() as pid:
            host.nics.hand_over(vf, ALL, pid=pid)
            os.kill(pid, signal.SIGKILL)
        until("the VF came home by itself", lambda: is_home(public.vfs[1]))
        assert seen(public, 1)["vlan"] == 100
        assert host.strays() == [vf], "it has the guest's settings: nobody may get it as it is"
        host.nics.take_back(vf)


def test_guest_is_killed_and_hydria_is_quick(host: Hosts, vf: VfId) -> None:
    """Not awaited: its namespace may be just ending while the VF is taken back."""
    with nothing_changes():
        with guest() as pid:
            host.nics.hand_over(vf, ALL, pid=pid)
        host.nics.take_back(vf)


def test_name_is_taken_when_it_comes_home(host: Hosts, public: Card, vf: VfId) -> None:
    with nothing_changes():
        name = public.vf(1)
        with guest() as pid:
            host.nics.hand_over(vf, ALL, pid=pid)
            ip(f"link add {name} type dummy")
        host.nics.take_back(vf)
        ip(f"link delete {name}")
        assert public.vf(1) != name
        assert host.vf(vf).at_home
        ip(f"link set {public.vf(1)} name {name}")


def test_namespace_is_deleted(host: Hosts, public: Card, vf: VfId) -> None:
    with nothing_changes():
        ip("netns add lab-guest")
        with guest() as pid:
            host.nics.hand_over(vf, ALL, pid=pid)
            (nic,) = nics(pid)
            within(pid, f"nsenter --mount=/proc/{os.getpid()}/ns/mnt ip link set {nic['ifname']} netns lab-guest")
        assert netdev_of(public.vfs[1]) is None, "a named namespace outlives the guest"
        ip("netns delete lab-guest")
        host.nics.take_back(vf)
        until("the VF is home", lambda: is_home(public.vfs[1]))


def test_guest_is_gone(host: Hosts, vf: VfId) -> None:
    with guest() as pid:
        pass
    with nothing_changes(), pytest.raises(Retryable, match="network namespace"):
        host.nics.hand_over(vf, ALL, pid=pid)


@pytest.mark.parametrize("verb", ["hand over", "take back"])
def test_killed_at_every_step(host: Hosts, vf: VfId, verb: str) -> None:
    arming = ("set_vf", "set_link", "move", "unbind", "bind", "override")
    with nothing_changes(), guest() as pid:
        for calls in range(30):
            if verb == "take back":
                host.nics.hand_over(vf, ALL, pid=pid)
            arm = dying_before(calls, Linux, arming)

            def work(arm=arm) -> None:  # noqa: ANN001
                arm()
                if verb == "hand over":
                    host.nics.hand_over(vf, ALL, pid=pid)
                else:
                    host.nics.take_back(vf)

            ended = in_child(work)
            host.nics.take_back(vf)
            assert host.vf(vf).at_home
            assert not host.recorded()
            if ended == 0:
                break
            assert ended == -signal.SIGKILL
        assert calls > 4


def test_two_at_a_time(host: Hosts, vf: VfId) -> None:
    with nothing_changes(), guest() as one, guest() as two:
        children = []
        for pid in (one, two, one, two):
            if (child := os.fork()) == 0:
                try:
                    host.nics.hand_over(vf, ALL, pid=pid)
                except BaseException:  # noqa: BLE001 - a child must not come back into the test
                    os._exit(1)
                os._exit(0)
            children.append(child)
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
        assert [nic["address"] for nic in nics(one) + nics(two)] == [MAC]
        host.nics.take_back(vf)


def test_all_vfs_are_removed_while_one_is_away(host: Hosts, members: Card) -> None:
    vf = VfId(members.pf, 3)
    with nothing_changes(), guest() as pid:
        host.nics.hand_over(vf, ALL, pid=pid)
        members.set_numvfs(0)
        assert not nics(pid)
        assert [pf.numvfs for pf in host.nics.scan() if pf.name == members.pf] == [0]
        host.nics.take_back(vf)
        with pytest.raises(Terminal, match=f"VF {vf} is not there"):
            host.nics.hand_over(vf, ALL, pid=pid)
        members.set_numvfs(NUMVFS)
        assert host.vf(vf).at_home
        host.nics.hand_over(vf, ALL, pid=pid)
        host.nics.take_back(vf)


def test_pf_vanishes_while_a_vf_is_away(host: Hosts, public: Card, members: Card) -> None:
    vf, name, driver = VfId(members.pf, 3), members.pf, Path("/sys/bus/pci/drivers/igb")
    with nothing_changes(), guest() as pid:
        host.nics.hand_over(vf, ALL, pid=pid)
        (driver / "unbind").write_text(members.pci)
        assert [pf.name for pf in host.nics.scan()] == [public.pf]
        host.nics.take_back(vf)
        assert not host.recorded()
        (driver / "bind").write_text(members.pci)
        until("the PF is there again", lambda: members.pf == name)
        ip(f"link set {name} up")
        members.set_numvfs(NUMVFS)
        assert host.vf(vf).at_home


def test_traffic_after_many_lives(host: Hosts, public: Card, vf: VfId) -> None:
    """What a VF had before does not show: not its MAC, not its VLAN."""
    with nothing_changes(), guest() as one, guest() as two:
        host.nics.hand_over(VfId(public.pf, 0), VfSettings(mac=OTHER_MAC), pid=two)
        configure(two, "198.51.100.2/24")
        for number in range(3):
            host.nics.hand_over(vf, VfSettings(mac=f"fa:16:3e:00:01:0{number}", vlan=number * 10), pid=one)
            host.nics.take_back(vf)
        host.nics.hand_over(vf, VfSettings(mac=MAC), pid=one)
        configure(one, "198.51.100.1/24")
        until("the VF works", lambda: reaches(one, "198.51.100.2"))
        host.nics.take_back(vf)
        host.nics.take_back(VfId(public.pf, 0))
