import dataclasses

import pytest

from hydria.cloud.compute import extra_specs, scheduler
from hydria.cloud.compute.scheduler import Aggregate, Capacity, Host, Request

VFS = {"public": Capacity(8, 8), "members": Capacity(8, 8)}
SRIOV = Aggregate("sriov_aggregate", {"public-sriov": "true", "members-sriov": "true", "sizes": "small, large"})
PLAIN = Host("host1", vfs=VFS)
GOOD = Host("host2", aggregates=(SRIOV,), vfs=VFS)


@pytest.mark.parametrize(
    ("value", "requirement", "expected"),
    [
        pytest.param("true", "true", True, id="equal"),
        pytest.param("true", "True", False, id="case matters"),
        pytest.param("3", "= 2", True, id="= is at least"),
        pytest.param("1", "= 2", False, id="= too small"),
        pytest.param("2.0", "== 2", True, id="numbers, not texts"),
        pytest.param("3", "!= 2", True, id="not equal"),
        pytest.param("2", "<= 2", True, id="at most"),
        pytest.param("abc", "== 2", False, id="text where a number is asked"),
        pytest.param("abc", "s== abc", True, id="texts equal"),
        pytest.param("abc", "s!= abc", False, id="texts differ"),
        pytest.param("b", "s> a", True, id="text greater"),
        pytest.param("a", "s>= a", True, id="text greater or equal"),
        pytest.param("a", "s< b", True, id="text less"),
        pytest.param("a", "s<= a", True, id="text less or equal"),
        pytest.param("12311321", "<in> 11", True, id="contained"),
        pytest.param("12310321", "<in> 11", False, id="not contained"),
        pytest.param("aes mmx aux", "<all-in> aes mmx", True, id="all contained"),
        pytest.param("aes aux", "<all-in> aes mmx", False, id="one not contained"),
        pytest.param("13", "<or> 12 <or> 13", True, id="one of"),
        pytest.param("14", "<or> 12 <or> 13", False, id="none of"),
        pytest.param("", "", True, id="empty"),
    ],
)
def test_operators(value: str, requirement: str, expected: bool):
    assert extra_specs.match(value, requirement) is expected


@pytest.mark.parametrize(
    ("request_", "hosts", "chosen"),
    [
        pytest.param(Request(), (PLAIN,), "host1", id="nothing asked"),
        pytest.param(Request({"public-sriov": "true"}), (PLAIN, GOOD), "host2", id="unscoped property"),
        pytest.param(
            Request({"aggregate_instance_extra_specs:public-sriov": "true"}),
            (PLAIN, GOOD),
            "host2",
            id="scoped property",
        ),
        pytest.param(Request({"hw_rng:allowed": "True"}), (PLAIN,), "host1", id="other scopes are not asked"),
        pytest.param(Request({"sizes": "large"}), (PLAIN, GOOD), "host2", id="value set"),
        pytest.param(Request({"sizes": "<or> huge <or> small"}), (PLAIN, GOOD), "host2", id="operator on a value set"),
        pytest.param(
            Request({"x": "1", "public-sriov": "true"}),
            (dataclasses.replace(GOOD, aggregates=(SRIOV, Aggregate("b", {"x": "1"}))),),
            "host2",
            id="properties of two aggregates",
        ),
        pytest.param(
            Request(physical_networks=("public",)),
            (Host("a", vfs={"public": Capacity(1, 8)}), Host("b", vfs={"public": Capacity(2, 8)})),
            "b",
            id="most free VFs",
        ),
        pytest.param(Request(), (Host("a", servers=2), Host("b", servers=1)), "b", id="fewest servers"),
        pytest.param(
            Request(group_policy="anti-affinity", group_hosts=frozenset("a")),
            (Host("a", group_members=1), Host("b", servers=9)),
            "b",
            id="anti-affinity",
        ),
        pytest.param(
            Request(group_policy="affinity", group_hosts=frozenset("b")),
            (Host("a"), Host("b", group_members=1, servers=9)),
            "b",
            id="affinity",
        ),
        pytest.param(Request(group_policy="affinity"), (Host("a"),), "a", id="affinity, first server"),
        pytest.param(
            Request(group_policy="soft-anti-affinity"),
            (Host("a", group_members=2), Host("b", group_members=1)),
            "b",
            id="soft anti-affinity prefers",
        ),
        pytest.param(
            Request(group_policy="soft-affinity"),
            (Host("a"), Host("b", group_members=1)),
            "b",
            id="soft affinity prefers",
        ),
        pytest.param(
            Request(zone="z"),
            (Host("a"), Host("b", aggregates=(Aggregate("zone", {"availability_zone": "z"}),))),
            "b",
            id="availability zone",
        ),
        pytest.param(Request({"x": "1"}, host="a"), (Host("a", enabled=False), GOOD), "a", id="forced host"),
    ],
)
def test_choose(request_: Request, hosts: tuple[Host, ...], chosen: str):
    assert scheduler.choose(request_, hosts).name == chosen


@pytest.mark.parametrize(
    ("request_", "host", "reason"),
    [
        pytest.param(
            Request(), dataclasses.replace(PLAIN, enabled=False), "compute service is disabled", id="disabled"
        ),
        pytest.param(
            Request({"public-sriov": "true"}),
            PLAIN,
            "aggregate property public-sriov=true is missing (aggregates: none)",
            id="in no aggregate",
        ),
        pytest.param(
            Request({"gpu": "true"}),
            GOOD,
            "aggregate property gpu=true is missing (aggregates: sriov_aggregate)",
            id="aggregate without the property",
        ),
        pytest.param(
            Request({"sizes": "huge"}),
            GOOD,
            "aggregate property sizes=huge is not met (it is large, small)",
            id="property with other values",
        ),
        pytest.param(
            Request(physical_networks=("public",)),
            Host("h", vfs={"public": Capacity(0, 8)}),
            "0 of 8 VFs free on physical network public",
            id="all VFs taken",
        ),
        pytest.param(
            Request(physical_networks=("public", "public")),
            Host("h", vfs={"public": Capacity(1, 8)}),
            "1 of 8 VFs free on physical network public, 2 needed",
            id="two ports on one network need two VFs",
        ),
        pytest.param(Request(physical_networks=("x",)), PLAIN, "no VFs on physical network x", id="no PF there"),
        pytest.param(
            Request(physical_networks=("x",), host="host1"),
            PLAIN,
            "no VFs on physical network x",
            id="forced host has no VF",
        ),
        pytest.param(
            Request(group_policy="anti-affinity"),
            Host("h", group_members=1),
            "server group with policy anti-affinity has a server here already",
            id="anti-affinity",
        ),
        pytest.param(
            Request(group_policy="affinity", group_hosts=frozenset("x")),
            Host("h"),
            "server group with policy affinity has its servers elsewhere",
            id="affinity elsewhere",
        ),
        pytest.param(Request(zone="z"), PLAIN, "is in availability zone nova, not z", id="other zone"),
        pytest.param(Request(host="other"), PLAIN, "host other was asked for", id="another host asked for"),
    ],
)
def test_reason(request_: Request, host: Host, reason: str):
    with pytest.raises(scheduler.NoValidHost) as caught:
        scheduler.choose(request_, (host,))
    assert caught.value.message == f"No valid host was found. {host.name}: {reason}"


def test_every_host_has_a_reason():
    with pytest.raises(scheduler.NoValidHost) as caught:
        scheduler.choose(
            Request({"public-sriov": "true"}, ("public",)),
            (PLAIN, dataclasses.replace(GOOD, vfs={"public": Capacity(0, 8)})),
        )
    assert caught.value.message == (
        "No valid host was found. host1: aggregate property public-sriov=true is missing (aggregates: none); "
        "host2: 0 of 8 VFs free on physical network public"
    )


def test_no_hosts_at_all():
    with pytest.raises(scheduler.NoValidHost, match="there are no hosts"):
        scheduler.choose(Request(), ())


def test_of_a_hundred_equal_hosts_the_emptiest_is_chosen():
    hosts = tuple(dataclasses.replace(GOOD, name=f"host{i}", servers=i) for i in range(100))
    chosen = scheduler.choose(Request({"public-sriov": "true"}, ("public", "members")), hosts)
    assert chosen.name == "host0"
