"""A machine whose VFs live: a kernel of the tests' own, records on disk, and Hydria, which may be started again."""

from pathlib import Path

from fake_kernel import FakeKernel, MortalRecords
from msgspec import structs

from hydria.sriov.hardware import HardwareNics
from hydria.sriov.inventory import Pf, Vf, VfId, VfSettings
from hydria.sriov.netlink.vfs import VfState

VF, OTHER = VfId("public0", 1), VfId("public0", 2)
WANTED = VfSettings(mac="fa:16:3e:00:00:01", vlan=100, spoofchk=False, trust=True, max_tx_rate=100, mtu=1400)


class World:
    def __init__(self, directory: Path) -> None:
        self.kernel = FakeKernel()
        self.kernel.add_pf("public0", "0000:01:00.0", 3)
        self.kernel.add_pf("members0", "0000:02:00.0", 2)
        # As an operator may have left it: what is given back is what was found.
        vf = self.kernel.fake("public0", 1)
        vf.state = VfState(settings=structs.replace(vf.state.settings, vlan=7, trust=True, max_tx_rate=50), vlan_qos=3)
        self.directory = directory / "records"
        self.restart()
        self.guest = self.kernel.start_guest()

    def restart(self) -> None:
        """Another process, which knows what kernel and disk know."""
        networks = {"public0": "public", "members0": "members"}
        self.nics = HardwareNics(networks, records=MortalRecords(self.kernel, self.directory), kernel=self.kernel)

    def hand_over(self, vf: VfId = VF, settings: VfSettings = WANTED, *, pid: int = 0, holder: str = "port 1") -> None:
        self.nics.hand_over(vf, settings, pid=pid or self.guest, holder=holder)

    def pf(self, name: str = "public0") -> Pf:
        return next(pf for pf in self.nics.scan() if pf.name == name)

    def vf(self, vf: VfId = VF) -> Vf:
        return next(found for found in self.pf(vf.pf).vfs if found.id == vf)

    def records(self) -> list[str]:
        return [file.name for file in self.directory.glob("*.json")]

    def is_given(self, settings: VfSettings = WANTED, *, pid: int = 0) -> bool:
        netdev = self.kernel.fake("public0", 1).netdev
        assert netdev is not None
        there = (netdev.namespace, netdev.mac, netdev.mtu, netdev.is_up)
        state = structs.replace(self.kernel.fake("public0", 1).state.settings, mtu=settings.mtu)
        wanted = (self.kernel.processes[pid or self.guest], settings.mac, settings.mtu, False)
        return there == wanted and state == settings
