"""Any order of claim, hand over, release, crash, guest's death and rescan keeps the books right."""

import contextlib
import errno
import shutil
import tempfile
from pathlib import Path

from fake_kernel import HOME, FakeKernel, MortalRecords, killed_after
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule
from msgspec import structs

from hydria.base.errors import Conflict, HydriaError
from hydria.sriov.claims import NoFreeVf, choose
from hydria.sriov.hardware import HardwareNics
from hydria.sriov.inventory import Vf, VfId, VfSettings, strays
from hydria.sriov.netlink.vfs import VfState

NETWORKS = {"public0": "public", "public1": "public", "members0": "members"}
CALLS = st.one_of(st.just(1000), st.integers(0, 45))
"""How many calls a process makes before it is killed: mostly it is not."""

wanted_settings = st.builds(
    VfSettings,
    vlan=st.sampled_from([0, 100]),
    spoofchk=st.booleans(),
    trust=st.booleans(),
    link_state=st.sampled_from(["auto", "enable"]),
    max_tx_rate=st.sampled_from([0, 100]),
    mtu=st.sampled_from([None, 1400, 100_000]),
)


class AnyOrder(RuleBasedStateMachine):
    guests = Bundle("guests")

    @initialize(
        vlan=st.sampled_from([0, 7]), trust=st.booleans(), refuses=st.sampled_from([(), ("link_state",), ("trust",)])
    )
    def machine(self, vlan: int, trust: bool, refuses: tuple[str, ...]) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="records-"))
        self.kernel = FakeKernel()
        for number, name in enumerate(NETWORKS):
            pf = self.kernel.add_pf(name, f"0000:0{number}:00.0", 2)
            pf.refuses = dict.fromkeys(refuses, errno.EOPNOTSUPP)  # type: ignore[arg-type]
            for vf in pf.vfs:
                settings = structs.replace(vf.state.settings, vlan=vlan, trust=trust)
                vf.state = VfState(settings=settings, vlan_qos=3 if vlan else 0)
        self.claims: dict[VfId, str] = {}
        self.given: dict[VfId, tuple[int, VfSettings]] = {}
        """What a hand over has said is done, until something is done to the VF again."""
        self.macs = 0
        self.process()
        self.before = {vf.id: vf for pf in self.nics.scan() for vf in pf.vfs}
        self.foreign: dict[VfId, Vf] = {}

    def process(self) -> None:
        self.nics = HardwareNics(NETWORKS, records=MortalRecords(self.kernel, self.directory), kernel=self.kernel)

    def vfs(self) -> dict[VfId, Vf]:
        return {vf.id: vf for pf in self.nics.scan() for vf in pf.vfs}

    @rule(target=guests)
    def start_guest(self) -> int:
        return self.kernel.start_guest()

    @rule(guest=guests, network=st.sampled_from(["public", "members"]), settings=wanted_settings, calls=CALLS)
    def claim_and_hand_over(self, guest: int, network: str, settings: VfSettings, calls: int) -> None:
        with contextlib.suppress(NoFreeVf):
            vf = choose(self.nics.scan(), self.claims.keys(), network)
            self.macs += 1
            self.claims[vf] = f"fa:16:3e:00:00:{self.macs:02x}"
            self.hand_over(vf, guest, settings, calls)

    @rule(guest=guests, settings=wanted_settings, calls=CALLS, data=st.data())
    def hand_over_again(self, guest: int, settings: VfSettings, calls: int, data: st.DataObject) -> None:
        """To the same guest or another, with the same settings or others."""
        if self.claims:
            self.hand_over(data.draw(st.sampled_from(sorted(self.claims))), guest, settings, calls)

    def hand_over(self, vf: VfId, guest: int, settings: VfSettings, calls: int) -> None:
        before, settings = self.vfs()[vf], structs.replace(settings, mac=self.claims[vf])
        was = self.given.pop(vf, None)
        try:
            with killed_after(self.kernel, calls):
                self.nics.hand_over(vf, settings, pid=guest, holder="port")
                self.given[vf] = (guest, settings)
        except HydriaError:
            now = self.vfs()[vf]
            if was is None and before.at_home:
                assert now == before, "it has raised, so nothing has happened"
            if was and now == before:
                self.given[vf] = was
        self.process()

    @rule(calls=CALLS, data=st.data())
    def release(self, calls: int, data: st.DataObject) -> None:
        if not self.claims:
            return
        vf = data.draw(st.sampled_from(sorted(self.claims)))
        self.given.pop(vf, None)
        done = False
        with killed_after(self.kernel, calls):
            self.nics.take_back(vf)
            done = True
        # Whoever is killed here is asked to do it again, or has forgotten the claim and leaves a stray.
        if done or data.draw(st.booleans()):
            del self.claims[vf]
        self.process()

    @rule(calls=CALLS)
    def sweep(self, calls: int) -> None:
        with killed_after(self.kernel, calls):
            for vf in list(strays(self.nics.scan(), self.claims.keys())):
                self.nics.take_back(vf)
        self.process()

    @rule(guest=guests)
    def guest_dies(self, guest: int) -> None:
        if guest in self.kernel.processes:
            self.kernel.end_guest(guest)
            self.given = {vf: given for vf, given in self.given.items() if given[0] != guest}

    @rule(guest=guests)
    def guest_renames_and_moves_on(self, guest: int) -> None:
        inode = self.kernel.processes.get(guest)
        for netdev in [netdev for netdev in self.kernel.netdevs() if netdev.namespace == inode]:
            netdev.name, netdev.is_up, netdev.addresses = "eth1", True, ("203.0.113.9/24",)
            netdev.namespace = self.kernel.make_inner(guest)

    @rule(pf=st.sampled_from(sorted(NETWORKS)))
    def pf_is_made_anew(self, pf: str) -> None:
        self.kernel.recreate_pf(pf)
        self.given = {vf: given for vf, given in self.given.items() if vf.pf != pf}
        self.foreign = {vf: seen for vf, seen in self.foreign.items() if vf.pf != pf}
        fresh = VfSettings(mtu=1500)
        for vf in [vf for vf in self.before if vf.pf == pf]:
            self.before[vf] = structs.replace(self.before[vf], settings=fresh, netdev=self.vfs()[vf].netdev)

    @rule(data=st.data(), namespace=st.sampled_from([HOME, 5]))
    def somebody_else_takes_one(self, data: st.DataObject, namespace: int) -> None:
        free = [vf.id for pf in self.nics.scan() for vf in pf.free(self.claims.keys())]
        if not free:
            return
        vf = data.draw(st.sampled_from(free))
        netdev = self.kernel.fake(vf.pf, vf.index).netdev
        assert netdev is not None
        netdev.namespace, netdev.is_up, netdev.addresses = namespace, True, ("198.51.100.1/24",)
        self.foreign[vf] = self.vfs()[vf]
        assert self.foreign[vf].foreign

    @rule(guest=guests, data=st.data())
    def nobody_gets_what_somebody_else_has(self, guest: int, data: st.DataObject) -> None:
        if self.foreign and guest in self.kernel.processes:
            vf = data.draw(st.sampled_from(sorted(self.foreign)))
            with contextlib.suppress(Conflict):
                self.nics.hand_over(vf, VfSettings(mac="fa:16:3e:ff:ff:ff"), pid=guest)
                raise AssertionError(vf)
            self.nics.take_back(vf)

    @invariant()
    def free_ones_are_as_before(self) -> None:
        for pf in self.nics.scan():
            for vf in pf.free(self.claims.keys()):
                before = self.before[vf.id]
                assert structs.replace(vf, netdev=before.netdev) == before
                netdev = self.kernel.fake(vf.id.pf, vf.id.index).netdev
                assert netdev is not None
                assert (netdev.tag, netdev.is_up, netdev.namespace) == (None, False, HOME)

    @invariant()
    def somebody_elses_are_untouched(self) -> None:
        now = self.vfs()
        assert {vf: now[vf] for vf in self.foreign} == self.foreign

    @invariant()
    def what_was_given_is_there(self) -> None:
        for vf, (guest, wanted) in self.given.items():
            fake = self.kernel.fake(vf.pf, vf.index)
            assert fake.netdev is not None
            inode = self.kernel.processes[guest]
            assert self.kernel.inner.get(fake.netdev.namespace, fake.netdev.namespace) == inode
            assert fake.netdev.mac == wanted.mac
            assert structs.replace(fake.state.settings, mtu=wanted.mtu) == wanted

    def teardown(self) -> None:
        if not hasattr(self, "directory"):
            return
        for vf in list(self.claims):
            self.nics.take_back(vf)
        self.claims.clear()
        assert set(strays(self.nics.scan(), ())) <= self.before.keys() - self.foreign.keys()
        for vf in self.before.keys() - self.foreign.keys():
            self.nics.take_back(vf)
        self.free_ones_are_as_before()
        free = {vf.id for pf in self.nics.scan() for vf in pf.free(())}
        assert free == self.before.keys() - self.foreign.keys(), "none is lost"
        assert not list(self.directory.glob("*.json"))
        shutil.rmtree(self.directory)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=50, stateful_step_count=25, deadline=None)
