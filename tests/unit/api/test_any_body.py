"""Whatever JSON comes: an answer below 500, or 501 for what is not served; and the store stays sound."""

import typing
from typing import Any

import pytest
from api_world import World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from hydria.model import field
from hydria.model.flavor import Flavor, FlavorProfile
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Member, Pool

HOSTILE = [
    "",
    " ",
    "%",
    "fe80::1%eth0\n",
    "0.0.0.0",
    "::",
    "255.255.255.255",
    "10.0.0.0/8",
    "::/0",
    "\n",
    "é\u2028",
    "'; DROP",
    "true",
    "00000000-0000-0000-0000-000000000000",
    "/",
    "/a\nb",
    "200-100",
    "http://[::1",
    "https://example.org:0/a",
    "[[a]",
    "(a{9999999999999})",
    "HTTP",
    "TCP",
    "UDP",
    "SOURCE_IP",
    "{}",
    '{"sriov_vip": true}',
    "a" * 300,
]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(min_value=-(2**70), max_value=2**70),
    st.sampled_from([0, 1, 80, 443, 65535, 65536, 2**31, 2**63]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(HOSTILE),
    st.text(st.characters(codec="utf-8"), max_size=20),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
RESOURCES: dict[str, tuple[str, type[Struct], tuple[str, ...]]] = {
    "loadbalancer": ("/loadbalancers", LoadBalancer, ("tenant_id", "listeners", "pools")),
    "listener": ("/listeners", Listener, ("default_pool", "l7policies")),
    "pool": ("/pools", Pool, ("listener_id", "members", "healthmonitor")),
    "member": ("/pools/{pool}/members", Member, ()),
    "healthmonitor": ("/healthmonitors", HealthMonitor, ()),
    "l7policy": ("/l7policies", L7Policy, ("redirect_pool", "rules")),
    "rule": ("/l7policies/{policy}/rules", L7Rule, ()),
    "flavor": ("/flavors", Flavor, ()),
    "flavorprofile": ("/flavorprofiles", FlavorProfile, ()),
}


def likely(hint: typing.Any) -> st.SearchStrategy[typing.Any]:
    """Values of the field's own type, so that some bodies get past the decoder."""
    plain = field._bare(hint)
    if typing.get_origin(plain) is typing.Literal:
        return st.sampled_from(typing.get_args(plain))
    choices = {bool: st.booleans(), int: st.integers(0, 10), str: st.sampled_from(HOSTILE), float: st.just(1.1)}
    return choices.get(plain, JSON)


@st.composite
def bodies(draw: Any, root: str):
    _, resource, extras = RESOURCES[root]
    given_fields = [
        entry for entry in field.fields(resource) if entry.name in field.create_form(resource).__struct_fields__
    ]
    body = {}
    for entry in given_fields:
        if entry.required or draw(st.booleans()):
            body[entry.name] = draw(likely(entry.type) | JSON if draw(st.integers(0, 4)) == 0 else likely(entry.type))
    for name in extras:
        if draw(st.integers(0, 5)) == 0:
            body[name] = draw(JSON)
    return {root: body}


@pytest.fixture(scope="module")
def world(shared_world: World, l7_served: None) -> World:  # noqa: ARG001 - the more is let in
    return shared_world


@pytest.fixture(scope="module")
def parents(world: World):
    lb = world.load_balancer()
    pool = world.pool(lb)
    flavor = world.flavor("{}")
    listener = world.listener(lb)
    policy = world.policy(listener)
    return {
        "loadbalancer_id": lb["id"],
        "pool_id": pool["id"],
        "listener_id": listener["id"],
        "redirect_pool_id": pool["id"],
        "l7policy_id": policy["id"],
        "vip_subnet_id": world.public,
        "flavor_profile_id": flavor["flavor_profile_id"],
        "rows": {"loadbalancer": lb, "pool": pool, "flavor": flavor, "listener": listener,
                 "l7policy": policy, "rule": world.rule(policy), "member": world.member(pool),
                 "healthmonitor": world.monitor(pool), "flavorprofile": {"id": flavor["flavor_profile_id"]}},
    }  # fmt: skip


QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("root", RESOURCES)
@QUICK
@given(data=st.data())
def test_any_body_of_a_post_and_a_put(world: World, parents: Any, root: str, data: Any):
    body = data.draw(bodies(root))
    for name in body[root]:
        if name in parents and data.draw(st.integers(0, 3)) > 0:
            body[root][name] = parents[name]
    for name in {"member": ("pool_id",), "rule": ("l7policy_id",)}.get(root, ()):
        body[root].pop(name, None)
    path = RESOURCES[root][0].format(pool=parents["pool_id"], policy=parents["l7policy_id"])
    answer = world.call("POST", path, body, who="admin")
    assert answer.status_code < 500 or answer.status_code == 501, (answer.text, body)
    updatable = {entry.name for entry in field.fields(RESOURCES[root][1]) if entry.access is field.Access.UPDATE}
    change = {root: {name: value for name, value in body[root].items() if name in updatable}}
    answer = world.call("PUT", f"{path}/{parents['rows'][root]['id']}", change, who="admin")
    assert answer.status_code < 500 or answer.status_code == 501, (answer.text, change)
    assert world.call("GET", path, who="admin").status_code == 200


@QUICK
@given(body=JSON)
def test_any_batch(world: World, parents: Any, body: Any):
    answer = world.call("PUT", f"/pools/{parents['pool_id']}/members?additive_only=true", {"members": body})
    assert answer.status_code < 500, (answer.text, body)


@pytest.mark.usefixtures("parents")
@QUICK
@given(
    name=st.sampled_from(
        ["id", "created_at", "protocol_port", "delay", "tags", "limit", "marker", "sort", "fields", "x"]
    ),
    value=st.sampled_from(HOSTILE) | st.text(max_size=10) | st.integers().map(str),
)
def test_any_query(world: World, name: str, value: Any):
    for path in ("/loadbalancers", "/listeners", "/healthmonitors", "/l7policies", "/flavors"):
        answer = world.call("GET", path, params={name: value}, who="admin")
        assert answer.status_code < 500, (answer.text, path, name, value)
