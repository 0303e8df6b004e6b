"""What Hydria reads of real NICs is what the kernel's own tools show, and it sees changes at once."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest
from guests import guest
from hardware import NUMVFS, Cable, Card, has_carrier, ip, state, until

from hydria.base.errors import Conflict
from hydria.sriov.hardware import HardwareNics, host_pfs
from hydria.sriov.inventory import Pf, Vf, VfCounters, VfId, VfSettings

WANTED = VfSettings(mac="fa:16:3e:00:00:01")


@pytest.fixture
def nics(public: Card, members: Card, tmp_path: Path) -> HardwareNics:
    return HardwareNics({public.pf: "public", members.pf: "members", "ens9": "public"}, records=tmp_path)


def of(card: Card, pfs: tuple[Pf, ...]) -> Pf:
    return next(pf for pf in pfs if pf.pci_address == card.pci)


def test_all_pfs_of_the_machine(public: Card, members: Card) -> None:
    pfs = host_pfs({public.pf: "public"})
    assert [(pf.name, pf.physical_network) for pf in pfs] == [(public.pf, "public"), (members.pf, "")]
    for card, pf in ((public, pfs[0]), (members, pfs[1])):
        assert (pf.driver, pf.pci_address, pf.numa_node) == ("igb", card.pci, None)
        assert (pf.link_up, pf.speed, pf.mtu, pf.mac) == (True, 1000, 1500, f"52:54:00:aa:00:0{card.pci[6]}")
        assert (pf.numvfs, pf.totalvfs, pf.eswitch_mode) == (NUMVFS, 7, None)
        assert [vf.pci_address for vf in pf.vfs] == card.vfs
        assert [vf.netdev for vf in pf.vfs] == [card.vf(index) for index in range(NUMVFS)]
        assert {(vf.driver, vf.at_home, vf.foreign, vf.holder) for vf in pf.vfs} == {("igbvf", True, False, "")}
    assert [vf.settings.mac for vf in pfs[0].vfs] == [one["address"] for one in public.settings()]
    assert {vf.settings for vf in pfs[1].vfs} == {VfSettings(mtu=1500)}, "a MAC that a driver made up is no setting"


def test_pf_that_is_not_there(nics: HardwareNics, public: Card, members: Card) -> None:
    assert [pf.name for pf in nics.scan()] == [public.pf, members.pf]


def test_pf_without_driver(nics: HardwareNics, public: Card, members: Card) -> None:
    driver, name = Path("/sys/bus/pci/drivers/igb"), members.pf
    (driver / "unbind").write_text(members.pci)
    try:
        found = of(members, host_pfs({}))
        assert (found.name, found.driver, found.link_up, found.vfs) == (members.pci, "", False, ())
        assert [pf.name for pf in nics.scan()] == [public.pf]
    finally:
        (driver / "bind").write_text(members.pci)
        until("the PF is there again", lambda: members.pf == name)
        ip(f"link set {name} up")
        members.set_numvfs(NUMVFS)
        until("the PF has a link", lambda: has_carrier(members.pf))


@contextmanager
def up_with_address(netdev: str) -> Iterator[str]:
    ip(f"addr add 198.51.100.77/24 dev {netdev}")
    ip(f"link set {netdev} up")
    yield "up with 198.51.100.77/24"
    ip(f"link set {netdev} down")
    ip(f"addr flush dev {netdev}")


@contextmanager
def enslaved(netdev: str) -> Iterator[str]:
    ip("link add lab-bridge type bridge")
    ip(f"link set {netdev} master lab-bridge")
    yield "enslaved to lab-bridge"
    ip(f"link set {netdev} nomaster")
    ip("link delete lab-bridge")


@contextmanager
def below_a_vlan(netdev: str) -> Iterator[str]:
    ip(f"link add link {netdev} name lab-vlan type vlan id 5")
    yield "below lab-vlan"
    ip("link delete lab-vlan")


@contextmanager
def in_a_namespace(netdev: str) -> Iterator[str]:
    ip("netns add lab-other")
    ip(f"link set {netdev} netns lab-other")
    yield "network namespace lab-other"
    ip(f"link set {netdev} netns 1", netns="lab-other")
    ip("netns delete lab-other")


@pytest.mark.parametrize("somebody", [up_with_address, enslaved, below_a_vlan, in_a_namespace])
def test_somebody_else_has_it(nics: HardwareNics, public: Card, somebody: Callable[[str], object]) -> None:
    vf = VfId(public.pf, 4)
    with guest() as pid, somebody(public.vf(4)) as holder:  # type: ignore[attr-defined]
        before = state()
        now: Vf = of(public, nics.scan()).vfs[4]
        assert (now.foreign, now.holder) == (True, holder)
        assert vf not in [free.id for free in of(public, nics.scan()).free(())]
        with pytest.raises(Conflict, match=rf"VF {vf} \({public.vfs[4]}\) is not ours to give: {holder} has it"):
            nics.hand_over(vf, WANTED, pid=pid)
        nics.take_back(vf)
        assert state() == before
    assert not of(public, nics.scan()).vfs[4].foreign


class Watcher:
    """What `watch` has given, and when."""

    def __init__(self, nics: HardwareNics) -> None:
        self.seen: list[tuple[float, tuple[Pf, ...]]] = []
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(nics,))

    def _run(self, nics: HardwareNics) -> None:
        for pfs in nics.watch(self.stop):
            self.seen.append((time.monotonic(), pfs))

    def __enter__(self) -> Self:
        self._thread.start()
        until("the first look", lambda: bool(self.seen))
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def sees(self, what: str, condition: Callable[[tuple[Pf, ...]], bool]) -> float:
        """When it was seen."""
        until(what, lambda: condition(self.seen[-1][1]), every=0.02)
        return self.seen[-1][0]


def test_watch(nics: HardwareNics, public: Card, members: Card, cable: Callable[[Card], Cable]) -> None:
    with Watcher(nics) as watcher, guest() as pid:
        end = cable(members)
        end.pull()
        until("the PF has lost its link", lambda: not has_carrier(members.pf), every=0.02)
        lost = time.monotonic()
        assert watcher.sees("link lost", lambda pfs: not of(members, pfs).link_up) - lost < 1
        assert of(public, watcher.seen[-1][1]).link_up
        end.plug()
        watcher.sees("link there again", lambda pfs: of(members, pfs).link_up)
        nics.hand_over(VfId(public.pf, 0), WANTED, pid=pid, holder="port 1")
        given = time.monotonic()
        assert watcher.sees("VF given", lambda pfs: of(public, pfs).vfs[0].holder == "port 1") - given < 1
        nics.take_back(VfId(public.pf, 0))
        watcher.sees("VF free", lambda pfs: of(public, pfs).vfs[0].at_home)


def test_watch_sees_vfs_come_and_go(nics: HardwareNics, members: Card) -> None:
    with Watcher(nics) as watcher:
        members.set_numvfs(0)
        gone = time.monotonic()
        assert watcher.sees("no VFs", lambda pfs: of(members, pfs).numvfs == 0) - gone < 1
        members.set_numvfs(NUMVFS)
        watcher.sees("all VFs", lambda pfs: len(of(members, pfs).free(())) == NUMVFS)


def test_counters(nics: HardwareNics, public: Card, members: Card) -> None:
    """The emulation counts nothing, and igb has no counter for what the spoof check stops: neither is made up."""
    silent = VfCounters(rx_packets=0, tx_packets=0, rx_bytes=0, tx_bytes=0, rx_dropped=0, tx_dropped=0, spoofed=None)
    assert nics.counters() == {VfId(card.pf, index): silent for card in (public, members) for index in range(NUMVFS)}
