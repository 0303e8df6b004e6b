"""QEMU takes what fabric and software PFs have for a virtual machine, and gives it back when it ends."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from machine import host_reaches, ip, new_name
from paused_machine import PausedMachine, paused_machine
from talking_machine import talking_machine

from hydria.base import process
from hydria.base.errors import Retryable
from hydria.cloud.compute.machine_wiring import MachineWiring
from hydria.cloud.compute.wiring import Nic, settings_of
from hydria.cloud.hypervisor import qemu_nics, qmp
from hydria.fabric import hosts
from hydria.fabric.software import SoftwareFabric
from hydria.sriov import namespaces
from hydria.sriov.inventory import VfId
from hydria.sriov.netlink import Netlink

pytestmark = pytest.mark.root

SERVER = "6f1c8c30-0000-4000-8000-000000000000"
VF = VfId("pf-public", 1)
MANAGEMENT = Nic(
    port_id="6f1c8c30-0000-4000-8000-000000000001",
    mac="fa:16:3e:00:00:01",
    mtu=1500,
    physical_network="mgmt",
    addresses=("198.18.0.9/20",),
)
DIRECT = Nic(
    port_id="7f1c8c30-0000-4000-8000-000000000002",
    mac="fa:16:3e:00:00:02",
    mtu=1450,
    physical_network="public",
    vf=VF,
)
BOTH = {nic.port_id: ("virtio-net-pci", nic.mac) for nic in (MANAGEMENT, DIRECT)}


def names(fabric: SoftwareFabric) -> frozenset[str]:
    return namespaces.link_names(namespaces.named(fabric.name))


def is_home(fabric: SoftwareFabric) -> bool:
    return next(vf.at_home for pf in fabric.nics().scan() for vf in pf.vfs if vf.id == VF)


def plug(wiring: MachineWiring, machine: PausedMachine) -> None:
    for nic in (MANAGEMENT, DIRECT):
        wiring.plug(nic, server_id=SERVER, child=machine.guest)


def test_qemu_has_both_kinds_of_nics(fabric: SoftwareFabric, tmp_path: Path) -> None:
    before = names(fabric)
    with paused_machine(tmp_path) as machine:
        wiring = MachineWiring(fabric.nics(), fabric, machine)
        for _ in range(2):
            plug(wiring, machine)
            assert machine.nics() == BOTH
        assert names(fabric) == before | {"tap6f1c8c30-00"}
        assert fabric.ports() == {MANAGEMENT.port_id}
        assert not is_home(fabric)
        assert MANAGEMENT.mac in ip("neigh show 198.18.0.9")
        with Netlink(namespaces.named(fabric.name)) as netlink:
            assert (netlink.need(VF.kernel_name).mac, netlink.need(VF.kernel_name).mtu) == (DIRECT.mac, 1450)
        wiring.set_anew(Nic(**{**vars(DIRECT), "mtu": 1400}), server_id=SERVER, child=machine.guest)
        with Netlink(namespaces.named(fabric.name)) as netlink:
            assert netlink.need(VF.kernel_name).mtu == 1400


def test_what_a_machine_leaves_when_it_ends(fabric: SoftwareFabric, tmp_path: Path) -> None:
    before = names(fabric)
    with paused_machine(tmp_path) as machine:
        wiring = MachineWiring(fabric.nics(), fabric, machine)
        plug(wiring, machine)
        machine.end()
        assert names(fabric) == before, "its tap ended with it"
        assert not is_home(fabric), "its VF waits to be taken back"
        fabric.nics().take_back(VF)
        assert is_home(fabric)


def test_a_guest_that_does_not_let_go(fabric: SoftwareFabric, tmp_path: Path) -> None:
    """As one whose kernel has crashed: this one has not even started."""
    with paused_machine(tmp_path) as machine:
        wiring = MachineWiring(fabric.nics(), fabric, machine)
        plug(wiring, machine)
        for nic in (MANAGEMENT, DIRECT):
            with pytest.raises(Retryable, match=f"Unplugging NIC {nic.port_id}: the guest does not give it up"):
                wiring.unplug(nic.port_id, nic.vf, server_id=SERVER)
        assert machine.nics() == BOTH
        assert fabric.ports() == {MANAGEMENT.port_id}
        assert not is_home(fabric)


def test_half_a_nic_of_an_interrupted_attempt(fabric: SoftwareFabric, tmp_path: Path) -> None:
    """QEMU has the macvtap's queue, and was not yet asked for a device on it."""
    with paused_machine(tmp_path) as machine:
        tap = fabric.nics().hand_over_to_machine(VF, settings_of(DIRECT))
        with qmp.connected(machine.socket, SERVER) as monitor:
            qemu_nics._add_netdev(monitor, DIRECT.port_id, tap)
        tap.close()
        with pytest.raises(Retryable, match=f"still in use by process {machine.guest.pid}"):
            fabric.nics().hand_over_to_machine(VF, settings_of(DIRECT))
        MachineWiring(fabric.nics(), fabric, machine).plug(DIRECT, server_id=SERVER, child=machine.guest)
        assert machine.nics() == {DIRECT.port_id: BOTH[DIRECT.port_id]}


def test_a_running_machine_gets_nics_and_gives_them_back(fabric: SoftwareFabric, tiny: Path, tmp_path: Path) -> None:
    """Management NIC and VIP's VF before it starts, a member's VF and a normal port while it runs."""
    before = fabric.nics().scan()
    hosts.add(fabric.name, user := new_name(), "public")
    hosts.add(fabric.name, backend := new_name(), "members")
    member = Nic("8f1c8c30-0000-4000-8000-000000000003", "fa:16:3e:00:00:03", 1500, "members", vf=VfId("pf-members", 0))
    normal = Nic("9f1c8c30-0000-4000-8000-000000000004", "fa:16:3e:00:00:04", 1500, "members")
    addresses = {
        MANAGEMENT.mac: "198.18.0.9/20",
        DIRECT.mac: "203.0.113.101/24",
        member.mac: "192.0.2.101/24",
        normal.mac: "192.0.2.102/24",
    }
    with talking_machine(tmp_path, tiny, addresses) as machine:
        wiring = MachineWiring(fabric.nics(), fabric, machine)
        plug(wiring, machine)
        machine.execute("cont")
        until(lambda: host_reaches(user, "203.0.113.101"))
        until(lambda: process.run(["ping", "-c", "1", "-W", "2", "198.18.0.9"], check=False).status == 0)
        for nic, address in ((member, "192.0.2.101"), (normal, "192.0.2.102")):
            wiring.plug(nic, server_id=SERVER, child=machine.guest)
            until(lambda address=address: host_reaches(backend, address))
        for nic in (member, normal, DIRECT):
            for _ in range(2):
                wiring.unplug(nic.port_id, nic.vf, server_id=SERVER)
        assert fabric.nics().scan() == before
        assert fabric.ports() == {MANAGEMENT.port_id}
        assert process.run(["ping", "-c", "1", "-W", "2", "198.18.0.9"]).status == 0, "it runs on"


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Each look takes its own time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
