"""What the lab's NICs are, and what their emulation leaves out: docs/lab.md says it, other tests rely on it."""

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hardware import (
    NUMVFS,
    PCI,
    Cable,
    Card,
    driver_of,
    has_carrier,
    ip,
    is_home,
    outside_nic,
    peer,
    pings,
    until,
)

from hydria.base import process


@pytest.fixture
def outside(public: Card) -> Iterator[str]:
    with peer("outside", outside_nic(public), ["203.0.113.1/24", "2001:db8::1/64"]) as made:
        yield made


def test_two_pfs_with_seven_vfs_each(public: Card, members: Card) -> None:
    for card in (public, members):
        assert driver_of(card.pci) == "igb"
        assert len(card.vfs) == NUMVFS
        assert all(is_home(vf) for vf in card.vfs)


@pytest.mark.parametrize(("own", "other"), [("203.0.113.2/24", "203.0.113.1"), ("2001:db8::2/64", "2001:db8::1")])
def test_a_vf_reaches_the_outside_world(public: Card, outside: str, own: str, other: str) -> None:
    assert outside
    with peer("inside", public.vf(0), [own]):
        until("the outside answers", lambda: pings("inside", other))


def test_a_vf_in_a_vlan_reaches_only_those_in_it(public: Card, outside: str) -> None:
    nic = next(
        line.split()[1].rstrip(":@") for line in ip("-o link show", netns=outside).splitlines() if "lo:" not in line
    )
    ip(f"link add link {nic} name {nic}.100 type vlan id 100", netns=outside)
    ip(f"addr add 198.51.100.1/24 dev {nic}.100", netns=outside)
    ip(f"link set dev {nic}.100 up", netns=outside)
    ip(f"link set dev {public.pf} vf 1 vlan 100")
    try:
        with peer("inside", public.vf(1), ["198.51.100.2/24", "203.0.113.2/24"]):
            until("the VLAN's peer answers", lambda: pings("inside", "198.51.100.1"))
            assert not pings("inside", "203.0.113.1")
    finally:
        ip(f"link set dev {public.pf} vf 1 vlan 0")


def test_a_pulled_cable_is_a_lost_link(members: Card, cable: Callable[[Card], Cable]) -> None:
    end = cable(members)
    end.pull()
    until("the PF has lost its link", lambda: not has_carrier(members.pf))
    end.plug()
    assert has_carrier(members.pf)


@pytest.mark.parametrize(
    ("setting", "refusal"),
    [("rate 100", None), ("min_tx_rate 10", "Invalid argument"), ("state disable", "Operation not supported")],
)
def test_what_the_emulation_refuses(public: Card, setting: str, refusal: str | None) -> None:
    done = process.run(["ip", *f"link set dev {public.pf} vf 2 {setting}".split()], check=False)
    with contextlib.suppress(process.ProcessFailed):
        ip(f"link set dev {public.pf} vf 2 rate 0")
    assert (done.status == 0) == (refusal is None)
    assert (refusal or "") in done.stderr


def test_counters_of_vfs_are_not_emulated(public: Card, outside: str) -> None:
    assert outside
    with peer("inside", public.vf(3), ["203.0.113.2/24"]):
        until("the outside answers", lambda: pings("inside", "203.0.113.1"))
        counted = re.findall(r"^\s+(\d+) +\d+ +\d+ +\d+", ip(f"-s link show dev {public.pf}"), re.MULTILINE)
    assert set(counted[2:]) == {"0"}


@pytest.mark.iommu
def test_each_vf_has_an_iommu_group_of_its_own(public: Card, members: Card) -> None:
    groups = {(PCI / vf / "iommu_group").readlink().name for card in (public, members) for vf in card.vfs}
    assert len(groups) == 2 * NUMVFS


@pytest.mark.iommu
def test_a_vf_goes_to_vfio_and_back(public: Card) -> None:
    process.run(["modprobe", "vfio-pci"])
    vf = public.vfs[0]
    _bind(vf, "vfio-pci")
    try:
        assert driver_of(vf) == "vfio-pci"
        assert (Path("/dev/vfio") / (PCI / vf / "iommu_group").readlink().name).exists()
    finally:
        _bind(vf, "igbvf")
    until("the VF is home", lambda: is_home(vf))


def _bind(pci: str, driver: str) -> None:
    (PCI / pci / "driver_override").write_text(driver)
    (PCI / pci / "driver" / "unbind").write_text(pci)
    Path("/sys/bus/pci/drivers_probe").write_text(pci)
    (PCI / pci / "driver_override").write_text("\n")
