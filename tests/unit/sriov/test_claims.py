import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hydria.sriov.claims import NoFreeVf, Preference, choose, fitting_nodes
from hydria.sriov.inventory import Pf, Vf, VfId, VfSettings, strays

A, B = "pf-a", "pf-b"


def pf(name: str, *at_home: bool, network: str = "public", link_up: bool = True, node: int | None = None) -> Pf:
    vfs = tuple(Vf(VfId(name, index), at_home=home) for index, home in enumerate(at_home))
    return Pf(name=name, physical_network=network, driver="igb", link_up=link_up, vfs=vfs, numa_node=node)


def held(name: str, index: int, holder: str = "vfio-pci") -> Pf:
    """A PF of which all VFs up to `index` are at home and that one is somebody else's."""
    vfs = [Vf(VfId(name, number)) for number in range(index)]
    vfs.append(Vf(VfId(name, index), at_home=False, foreign=True, holder=holder))
    return Pf(name=name, physical_network="public", driver="igb", link_up=True, vfs=tuple(vfs))


@pytest.mark.parametrize(
    ("pfs", "claimed", "chosen"),
    [
        pytest.param([pf(A, True, True)], [], VfId(A, 0), id="lowest index"),
        pytest.param([pf(A, True, True)], [VfId(A, 0)], VfId(A, 1), id="not a claimed one"),
        pytest.param([pf(A, False, True)], [], VfId(A, 1), id="not one that is away"),
        pytest.param([pf(B, True), pf(A, True)], [], VfId(A, 0), id="equally loaded: by name"),
        pytest.param([pf(A, True, True), pf(B, True, True)], [VfId(A, 0)], VfId(B, 0), id="least loaded"),
        pytest.param([pf(A, *[True] * 8), pf(B, True, True)], [VfId(A, 0), VfId(B, 0)], VfId(A, 1), id="by fraction"),
        pytest.param([pf(A, True, link_up=False), pf(B, True)], [], VfId(B, 0), id="not on a PF that is down"),
        pytest.param([pf(A, True, network="members"), pf(B, True)], [], VfId(B, 0), id="on the right network"),
    ],
)
def test_choose(pfs: list[Pf], claimed: list[VfId], chosen: VfId) -> None:
    assert choose(pfs, claimed, "public") == chosen


@pytest.mark.parametrize(
    ("pfs", "preference", "excluded", "chosen"),
    [
        pytest.param(
            [pf(A, True, True), pf(B, True, False)],
            Preference(sibling_pfs=frozenset({A})),
            [],
            VfId(B, 0),
            id="not on a sibling's PF, though it is less loaded",
        ),
        pytest.param(
            [pf(A, True)], Preference(sibling_pfs=frozenset({A})), [], VfId(A, 0), id="sibling's where it must"
        ),
        pytest.param(
            [pf(A, True, True, node=0), pf(B, True, False, node=1)],
            Preference(numa_nodes=frozenset({1})),
            [],
            VfId(B, 0),
            id="on the node wanted, though more loaded",
        ),
        pytest.param(
            [pf(A, True, node=0), pf(B, True)],
            Preference(numa_nodes=frozenset({1})),
            [],
            VfId(B, 0),
            id="an unknown node rather than another one",
        ),
        pytest.param(
            [pf(A, True, node=0)],
            Preference(numa_nodes=frozenset({1})),
            [],
            VfId(A, 0),
            id="another node where it must",
        ),
        pytest.param(
            [pf(A, True, node=1), pf(B, True, node=0)],
            Preference(frozenset({A}), frozenset({1})),
            [],
            VfId(B, 0),
            id="siblings before nodes",
        ),
        pytest.param([pf(A, True, True)], Preference(), [VfId(A, 0)], VfId(A, 1), id="not one that has failed"),
        pytest.param([held(A, 1), pf(B)], Preference(), [], VfId(A, 0), id="not somebody else's"),
    ],
)
def test_preference(pfs: list[Pf], preference: Preference, excluded: list[VfId], chosen: VfId) -> None:
    assert choose(pfs, [], "public", preference, dict.fromkeys(excluded, "no luck")) == chosen


@pytest.mark.parametrize(
    ("networks", "claimed", "nodes"),
    [
        pytest.param(["public"], [], {0, 1}, id="one"),
        pytest.param(["public", "members"], [], {1}, id="both on one node"),
        pytest.param(["public", "public"], [], {0}, id="two of one network"),
        pytest.param(["public", "public"], [VfId(A, 0)], set(), id="none"),
        pytest.param([], [], {0, 1}, id="nothing asked for"),
    ],
)
def test_nodes_on_which_a_whole_request_fits(networks: list[str], claimed: list[VfId], nodes: set[int]) -> None:
    pfs = [pf(A, True, True, node=0), pf(B, True, node=1), pf("m", True, network="members", node=1), pf("x", True)]
    assert fitting_nodes(pfs, claimed, networks) == nodes


@pytest.mark.parametrize(
    ("pfs", "claimed", "reason"),
    [
        pytest.param([], [], r"no PF is on it \(there are PFs on: none\)", id="no PF"),
        pytest.param([pf(A, True, network="x")], [], r"no PF is on it \(there are PFs on: x\)", id="other networks"),
        pytest.param([pf(A)], [], "pf-a: has no VFs", id="no VFs"),
        pytest.param([pf(A, True)], [VfId(A, 0)], "pf-a: 1 of 1 VFs claimed", id="all claimed"),
        pytest.param([pf(A, False)], [], "pf-a: 0 of 1 VFs claimed, 1 not given back yet", id="away"),
        pytest.param([pf(A, True, link_up=False)], [], "pf-a: 0 of 1 VFs claimed, link is down", id="down"),
        pytest.param([held(A, 0)], [], "pf-a: 0 of 1 VFs claimed, pf-a/0 is held by vfio-pci", id="somebody else's"),
        pytest.param(
            [pf(B), pf(A, True)], [VfId(A, 0)], "pf-a: 1 of 1 VFs claimed; pf-b: has no VFs", id="a reason per PF"
        ),
    ],
)
def test_no_free_vf_says_why(pfs: list[Pf], claimed: list[VfId], reason: str) -> None:
    with pytest.raises(NoFreeVf, match=f"^No free VF on physical network 'public': {reason}.$"):
        choose(pfs, claimed, "public")


def test_no_free_vf_says_what_failed() -> None:
    excluded = {VfId(A, 0): "Setting MAC on pf-a/0: in use."}
    with pytest.raises(NoFreeVf) as caught:
        choose([pf(A, True)], [], "public", Preference(), excluded)
    assert caught.value.message == (
        "No free VF on physical network 'public': pf-a: 0 of 1 VFs claimed, "
        "pf-a/0 failed (Setting MAC on pf-a/0: in use)."
    )


class FakeNics:
    """Where each VF is: None at home, else the guest that holds it."""

    def __init__(self, *pfs: tuple[str, int]) -> None:
        self.guests: dict[VfId, int | None] = {VfId(name, index): None for name, n in pfs for index in range(n)}
        self._names = [name for name, _ in pfs]

    def scan(self) -> tuple[Pf, ...]:
        return tuple(
            Pf(
                name=name,
                physical_network="public",
                driver="fake",
                link_up=True,
                vfs=tuple(Vf(vf, at_home=guest is None) for vf, guest in self.guests.items() if vf.pf == name),
            )
            for name in self._names
        )

    def hand_over(self, vf: VfId, settings: VfSettings, *, pid: int) -> None:  # noqa: ARG002 - as Nics has it
        self.guests[vf] = pid

    def take_back(self, vf: VfId) -> None:
        self.guests[vf] = None


class Books(RuleBasedStateMachine):
    """Ports claim and release VFs in any order; whoever does it may be killed between any two steps."""

    @initialize(counts=st.lists(st.integers(0, 3), min_size=1, max_size=3))
    def plug_in(self, counts: list[int]) -> None:
        self.nics = FakeNics(*((f"pf{number}", count) for number, count in enumerate(counts)))
        self.rows: dict[int, VfId] = {}
        self.next_port = 1

    @rule(steps=st.integers(1, 2))
    def create_port(self, steps: int) -> None:
        free = [vf for pf in self.nics.scan() for vf in pf.free(self.rows.values())]
        try:
            vf = choose(self.nics.scan(), self.rows.values(), "public")
        except NoFreeVf:
            assert not free
            return
        assert vf in {one.id for one in free}
        port = self.next_port
        self.next_port += 1
        self.rows[port] = vf
        if steps > 1:
            self.nics.hand_over(vf, VfSettings(), pid=port)

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), steps=st.integers(1, 2))
    def delete_port(self, data: st.DataObject, steps: int) -> None:
        port = data.draw(st.sampled_from(sorted(self.rows)))
        self.nics.take_back(self.rows[port])
        if steps > 1:
            del self.rows[port]

    @rule()
    def start_again(self) -> None:
        """After a crash: what a row says is done once more, what no row knows is taken back."""
        for vf in list(strays(self.nics.scan(), self.rows.values())):
            self.nics.take_back(vf)
        for port, vf in self.rows.items():
            self.nics.hand_over(vf, VfSettings(), pid=port)
        assert {vf for vf, guest in self.nics.guests.items() if guest is not None} == set(self.rows.values())

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def lose_row(self, data: st.DataObject) -> None:
        """The row is gone and the VF was not taken back: what a restored database does."""
        del self.rows[data.draw(st.sampled_from(sorted(self.rows)))]

    @invariant()
    def books_balance(self) -> None:
        claimed = list(self.rows.values())
        assert len(claimed) == len(set(claimed))
        for port, vf in self.rows.items():
            assert self.nics.guests[vf] in {None, port}
        pfs = self.nics.scan()
        free = {vf.id for pf in pfs for vf in pf.free(claimed)}
        lost = set(strays(pfs, claimed))
        assert free | lost | set(claimed) == set(self.nics.guests)
        assert len(free) + len(lost) + len(claimed) == len(self.nics.guests)


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
