import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hydria.controller.member_networks import Nic, Plan, Situation, plan
from hydria.drivers.cloud import Subnet
from hydria.model.load_balancer import VnicType
from hydria.model.pool import Member

SUBNETS = {
    name: Subnet(id=name, network_id=name.removesuffix("6"), cidr="192.0.2.0/24")
    for name in ("vip", "vip6", "a", "a6", "b")
}


def member(name: str, subnet: str | None, vnic_type: VnicType = "normal", age: int = 0) -> Member:
    created = dt.datetime(2026, 1, 1, second=age, tzinfo=dt.UTC)
    return Member(
        id=name,
        pool_id="pool",
        address="192.0.2.10",
        protocol_port=80,
        subnet_id=subnet,
        vnic_type=vnic_type,
        created_at=created,
    )


def planned(
    *members: Member, vip: VnicType = "normal", attached: set[Nic] | None = None, refused: dict[Nic, str] | None = None
) -> Plan:
    return plan(members, Situation(("vip", vip), SUBNETS, frozenset(attached or ()), refused))


NORMAL, DIRECT = member("n", "a", age=1), member("d", "a", "direct", age=2)
CASES: dict[str, tuple[Plan, set[Nic], set[str]]] = {
    "nobody": (planned(), set(), set()),
    "a normal one": (planned(NORMAL), {("a", "normal")}, set()),
    "a direct one": (planned(DIRECT), {("a", "direct")}, set()),
    "one port per network, whatever the subnet": (planned(NORMAL, member("6", "a6")), {("a", "normal")}, set()),
    "two networks": (planned(NORMAL, member("b", "b", "direct")), {("a", "normal"), ("b", "direct")}, set()),
    "the eldest decides: normal": (planned(DIRECT, NORMAL), {("a", "normal")}, {"d"}),
    "the eldest decides: direct": (planned(NORMAL, member("d", "a", "direct", 0)), {("a", "direct")}, set()),
    "of the same age the lower id": (planned(member("n", "a"), member("d", "a", "direct")), {("a", "direct")}, set()),
    "what is attached decides: normal": (
        planned(member("d", "a", "direct", 0), NORMAL, attached={("a", "normal")}),
        {("a", "normal")},
        {"d"},
    ),
    "what is attached decides: direct": (planned(NORMAL, attached={("a", "direct")}), {("a", "direct")}, set()),
    "a normal port that serves nobody makes room": (
        planned(DIRECT, attached={("a", "normal")}),
        {("a", "direct")},
        set(),
    ),
    "both are attached for a moment": (
        planned(NORMAL, DIRECT, attached={("a", "normal"), ("a", "direct")}),
        {("a", "direct")},
        set(),
    ),
    "no VF: the others get a normal port": (
        planned(member("d", "a", "direct", 0), NORMAL, refused={("a", "direct"): "none left"}),
        {("a", "normal")},
        {"d"},
    ),
    "no VF for the only one": (planned(DIRECT, refused={("a", "direct"): "none left"}), set(), {"d"}),
    "no address": (planned(NORMAL, refused={("a", "normal"): "none left"}), set(), {"n"}),
    "nothing at all": (
        planned(NORMAL, DIRECT, refused={("a", "normal"): "none left", ("a", "direct"): "none left"}),
        set(),
        {"n", "d"},
    ),
    "the VIP's network has its port": (planned(member("m", "vip"), member("6", "vip6")), set(), set()),
    "without a subnet: through the VIP's network": (planned(member("m", None)), set(), set()),
    "direct in the network of a normal VIP": (planned(member("m", "vip", "direct")), set(), {"m"}),
    "direct in the network of a direct VIP": (planned(member("m", "vip", "direct"), vip="direct"), set(), set()),
    "a subnet that is gone": (planned(member("m", "gone")), set(), {"m"}),
}


@pytest.mark.parametrize("case", CASES)
def test_plan(case: str) -> None:
    got, nics, faulty = CASES[case]
    assert got.nics == nics
    assert got.faults.keys() == faulty


def test_reasons_say_what_to_do_about() -> None:
    assert planned(NORMAL, DIRECT).faults["d"] == (
        "Member d (192.0.2.10) asks for an SR-IOV port, but network a is attached by a port which is not."
    )
    assert planned(DIRECT, refused={("a", "direct"): "No VF."}).faults["d"] == "No VF."


members = st.lists(
    st.builds(
        member,
        st.uuids().map(str),
        st.sampled_from([*SUBNETS, "gone", None]),
        st.sampled_from(["normal", "direct"]),
        st.integers(0, 5),
    ),
    max_size=8,
    unique_by=lambda item: item.id,
)
nics = st.sets(st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["normal", "direct"])))


@given(members, nics, nics, st.randoms())
def test_the_order_of_rows_means_nothing_and_everybody_is_served_or_told(
    people: list[Member], attached: set[Nic], refused: set[Nic], random: object
) -> None:
    situation = Situation(("vip", "direct"), SUBNETS, frozenset(attached), dict.fromkeys(refused - attached, "no"))
    first = plan(people, situation)
    random.shuffle(people)  # type: ignore[attr-defined] # Hypothesis gives a random.Random
    assert plan(people, situation) == first
    assert len({network for network, _ in first.nics}) == len(first.nics), "one port per network"
    assert not first.nics & (refused - attached)
    told = first.faults.keys() | {id_ for ids in first.served.values() for id_ in ids}
    assert told == {item.id for item in people}


@given(members, nics)
def test_what_was_planned_stays_when_it_is_attached(people: list[Member], attached: set[Nic]) -> None:
    first = plan(people, Situation(("vip", "normal"), SUBNETS, frozenset(attached)))
    assert plan(people, Situation(("vip", "normal"), SUBNETS, first.nics)) == first
