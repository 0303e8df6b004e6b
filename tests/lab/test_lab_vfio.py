"""VFs for virtual machines: given to vfio-pci and taken back from it. Needs a lab machine with an IOMMU."""

import os
from pathlib import Path

import pytest
from guests import guest
from guests import nics as nics_of
from hardware import PCI, Card, driver_of, is_home, outside_nic, peer, pings, state, until
from msgspec import structs
from nested import nested

from hydria.base.errors import Conflict, Retryable
from hydria.fabric import teardown
from hydria.sriov.hardware import HardwareNics
from hydria.sriov.inventory import VfId, VfSettings
from hydria.sriov.nics import PciDevice
from root.paused_machine import paused_machine

pytestmark = pytest.mark.iommu

MAC = "fa:16:3e:00:00:01"
WANTED = VfSettings(mac=MAC, vlan=100, trust=True)
SERVER = "a server"


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


def test_qemu_takes_it(nics: HardwareNics, public: Card, tmp_path: Path) -> None:
    before, vf, address = state(), VfId(public.pf, 1), public.vfs[1]
    device = nics.hand_over_to_machine(vf, WANTED, holder="port 1")
    with paused_machine(tmp_path) as machine:
        for _ in range(2):
            machine.attach(machine.guest, SERVER, "port-1", MAC, device)
        assert machine.nics() == {"port-1": ("vfio-pci", address)}
        with pytest.raises(Retryable, match=f"still in use by process {machine.guest.pid}"):
            nics.take_back(vf)
        nics.adjust(vf, structs.replace(WANTED, vlan=200), holder="port 1")
        assert public.settings()[1]["vlan_list"][0]["vlan"] == 200
        assert driver_of(address) == "vfio-pci"
        machine.end()
    nics.take_back(vf)
    assert state() == before


def test_down_gives_vfs_of_virtual_machines_back(public: Card) -> None:
    before, vf = state(), VfId(public.pf, 1)
    HardwareNics({public.pf: "public"}, fabric="site").hand_over_to_machine(vf, WANTED, holder="port 1")
    assert teardown.down("another") == []
    assert teardown.down("site") == [f"VF {vf} from its guest"]
    assert state() == before


def test_a_virtual_machine_talks_through_its_vf(nics: HardwareNics, public: Card, tmp_path: Path) -> None:
    """Plugged in, its MAC and link seen in the machine, reached from outside, let go of while the machine runs."""
    before, vf = state(), VfId(public.pf, 1)
    device = nics.hand_over_to_machine(vf, VfSettings(mac=MAC), holder="port 1")
    with peer("outside", outside_nic(public), ["10.9.0.1/24"]), nested(tmp_path, "10.9.0.2/24") as vm:
        vm.machine.attach(vm.machine.guest, SERVER, "port-1", MAC, device)
        vm.start()
        vm.await_line(f"eth0 has a link and MAC {MAC}")
        until("it answers", lambda: pings("outside", "10.9.0.2"), 60)
        vm.machine.detach(SERVER, "port-1")
        nics.take_back(vf)
        assert is_home(public.vfs[1])
        assert vm.machine.ended.poll() is None, "the machine runs on"
    assert state() == before
