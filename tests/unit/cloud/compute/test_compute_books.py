"""VF books balance whatever is done, in whatever order, and wherever the program is killed."""

import contextlib
import tempfile
from pathlib import Path

from compute_fakes import Killed
from compute_world import ADMIN, World
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hydria.base.errors import RequestError, Terminal
from hydria.cloud.compute.capacity import STATES
from hydria.sriov.inventory import VfId


class Books(RuleBasedStateMachine):
    """Two hosts with two VFs per network: enough to run out of them all the time."""

    @initialize()
    def begin(self) -> None:
        self.stack = contextlib.ExitStack()
        directory = self.stack.enter_context(tempfile.TemporaryDirectory())
        self.world = World(Path(directory), vfs=2, hosts=2)
        self.stack.callback(self._end)
        self.world.inline()
        self.world.compute.start()
        self.flavor = self.world.flavor()

    def _end(self) -> None:
        self.world.points.countdown = None
        for server in self.world.compute.servers.all(ADMIN, {}):
            self.world.compute.servers.delete(ADMIN, server.id)
        self.world.balanced()
        assert self.world.claims() == set()
        self.world.close()

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    def _servers(self) -> list[str]:
        return [server.id for server in self.world.compute.servers.all(ADMIN, {})]

    def _do(self, countdown: int | None, *steps: object) -> None:
        """Steps of the program; when it is killed in one of them, it is started again."""
        self.world.points.countdown = countdown
        try:
            for step in steps:
                with contextlib.suppress(RequestError):
                    step()  # type: ignore[operator]
        except Killed:
            self.world.points.countdown = None
            self.world.restart()
        self.world.points.countdown = None

    kill = st.none() | st.integers(0, 25)
    direct = st.lists(st.sampled_from(["public", "members"]), max_size=3)

    @rule(networks=direct, kill=kill)
    def create(self, networks: list[str], kill: int | None) -> None:
        ports = [self.world.port(network).id for network in networks]
        self._do(kill, lambda: self.world.create(self.flavor, *ports))

    @rule(pick=st.integers(0, 9), network=st.sampled_from(["public", "members"]), kill=kill, is_direct=st.booleans())
    def attach(self, pick: int, network: str, kill: int | None, is_direct: bool) -> None:
        if servers := self._servers():
            port = self.world.port(network, direct=is_direct).id
            self._do(kill, lambda: self.world.attach(servers[pick % len(servers)], port))

    @rule(pick=st.integers(0, 9), which=st.integers(0, 9), kill=kill)
    def detach(self, pick: int, which: int, kill: int | None) -> None:
        if servers := self._servers():
            server = servers[pick % len(servers)]
            if interfaces := self.world.compute.lifecycle.placement.interfaces(server):
                port = interfaces[which % len(interfaces)].id
                self._do(kill, lambda: self.world.compute.servers.detach(ADMIN, server, port))

    @rule(pick=st.integers(0, 9), kill=kill, step=st.sampled_from(["stop", "start", "delete"]))
    def change(self, pick: int, kill: int | None, step: str) -> None:
        if servers := self._servers():
            server = servers[pick % len(servers)]
            self._do(kill, lambda: getattr(self.world.compute.servers, step)(ADMIN, server))

    @rule(vf=st.integers(0, 7), is_broken=st.booleans())
    def break_or_mend(self, vf: int, is_broken: bool) -> None:
        """A VF that no guest takes; those who have it keep it."""
        id_ = sorted(self.world.nics.held)[vf]
        if is_broken:
            self.world.nics.broken[id_] = Terminal(f"{id_} is broken")
        else:
            self.world.nics.broken.pop(id_, None)

    @rule(vf=st.integers(0, 7))
    def take_or_leave(self, vf: int) -> None:
        """Somebody else, who does not know our books, takes a VF that is at home; or is done with it."""
        id_ = sorted(self.world.nics.held)[vf]
        if self.world.nics.foreign.pop(id_, None) is None and self.world.nics.held[id_] is None:
            self.world.nics.foreign[id_] = "vfio-pci"

    @rule(pf=st.integers(0, 3), change=st.sampled_from(["lose_link", "regain_link", "lose_pf", "return_pf"]))
    def change_pf(self, pf: int, change: str) -> None:
        getattr(self.world.nics, change)(sorted(self.world.nics.networks)[pf])

    @rule()
    def restart(self) -> None:
        self.world.restart()

    @invariant()
    def balanced(self) -> None:
        if hasattr(self, "world"):
            self.world.balanced()
            claims = self.world.claims()
            interfaces = [
                item for id_ in self._servers() for item in self.world.compute.lifecycle.placement.interfaces(id_)
            ]
            assert len(claims) == sum(item.pf is not None for item in interfaces)
            self._capacity_adds_up(claims)

    def _capacity_adds_up(self, claims: set[VfId]) -> None:
        """Each VF is in one state; none is lost, be its PF there or not."""
        shown = [one for host in self.world.compute.hosts.capacity() for one in host.pfs]
        states = {vf: state for one in shown for vf, state in one.states.items()}
        assert len(states) == sum(one.total for one in shown)
        assert sum(one.count(state) for one in shown for state in STATES) == sum(one.total for one in shown)
        assert {vf for vf, state in states.items() if state == "claimed"} == claims
        nics = self.world.nics
        present = {vf for vf in nics.held if vf.pf not in nics.gone}
        assert set(states) == present | claims
        assert {vf for vf, state in states.items() if state == "foreign"} == (set(nics.foreign) & present) - claims
        assert not [vf for vf, state in states.items() if state == "away"]


TestBooks = Books.TestCase
TestBooks.settings = settings(
    max_examples=25,
    stateful_step_count=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
