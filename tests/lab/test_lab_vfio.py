"""VFs for virtual machines: given to vfio-pci and taken back from it. Needs a lab machine with an IOMMU."""

import os
from pathlib import Path

import pytest
from guests import guest
from guests import nics as nics_of
from hardware import PCI, Card, driver_of, state

from hydria.base.errors import Conflict, Retryable
from hydria.sriov.hardware import HardwareNics
from hydria.sriov.inventory import VfId, VfSettings
from hydria.sriov.nics import PciDevice

pytestmark = pytest.mark.iommu

WANTED = VfSettings(mac="fa:16:3e:00:00:01", vlan=100, trust=True)


@pytest.fixture
def nics(public: Card, members: Card, tmp_path: Path) -> HardwareNics:
    return HardwareNics({public.pf: "public", members.pf: "members"}, records=tmp_path)


def group_of(address: str) -> Path:
    return Path("/dev/vfio") / (PCI / address / "iommu_group").readlink().name


def test_given_and_taken_back(nics: HardwareNics, public: Card) -> None:
    before, vf, address = state(), VfId(public.pf, 1), public.vfs[1]
    assert nics.hand_over_to_machine(vf, WANTED, holder="port 1") == PciDevice(address)
    assert group_of(address).is_char_device()
    assert driver_of(address) == "vfio-pci"
    now = public.settings()[1]
    assert (now["address"], now["vlan_list"][0]["vlan"], now["trust"]) == (WANTED.mac, 100, True)
    seen = nics.scan()[0].vfs[1]
    assert (seen.at_home, seen.foreign, seen.holder, seen.driver) == (False, False, "port 1", "vfio-pci")
    assert nics.hand_over_to_machine(vf, WANTED, holder="port 1") == PciDevice(address)
    for _ in range(2):
        nics.take_back(vf)
    assert state() == before


def test_not_taken_from_a_virtual_machine_that_runs(nics: HardwareNics, public: Card) -> None:
    """The kernel would wait for it to let go, and nothing could stop us from waiting."""
    before, vf = state(), VfId(public.pf, 1)
    fd = os.open(group_of(nics.hand_over_to_machine(vf, WANTED).address), os.O_RDWR)
    try:
        with pytest.raises(Retryable, match=f"still in use by process {os.getpid()}"):
            nics.take_back(vf)
    finally:
        os.close(fd)
    nics.take_back(vf)
    assert state() == before


def test_somebody_else_gave_it_to_vfio(nics: HardwareNics, public: Card) -> None:
    before, vf, address = state(), VfId(public.pf, 2), public.vfs[2]
    nics.hand_over_to_machine(vf, VfSettings())
    nics.take_back(vf)
    (PCI / address / "driver_override").write_text("vfio-pci")
    (PCI / address / "driver" / "unbind").write_text(address)
    Path("/sys/bus/pci/drivers_probe").write_text(address)
    try:
        with pytest.raises(Conflict, match=rf"VF {vf} \({address}\) is not ours to give: vfio-pci has it"):
            nics.hand_over_to_machine(vf, WANTED)
        nics.take_back(vf)
        assert driver_of(address) == "vfio-pci"
    finally:
        (PCI / address / "driver_override").write_text("\n")
        (PCI / address / "driver" / "unbind").write_text(address)
        Path("/sys/bus/pci/drivers_probe").write_text(address)
    assert state() == before


def test_from_virtual_machine_to_namespace(nics: HardwareNics, public: Card) -> None:
    before, vf = state(), VfId(public.pf, 3)
    nics.hand_over_to_machine(vf, WANTED)
    with guest() as pid:
        nics.hand_over(vf, WANTED, pid=pid)
        assert [nic["address"] for nic in nics_of(pid)] == [WANTED.mac]
        nics.take_back(vf)
    assert state() == before
