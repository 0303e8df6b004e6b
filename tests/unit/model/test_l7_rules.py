"""What L7 policies and their rules may be: each action, each type."""

import contextlib
import itertools
import re
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hydria.base.errors import Conflict, Invalid, Unsupported
from hydria.model import l7_rules
from hydria.model.field import create_form, decode, new
from hydria.model.graph import Graph, PolicyNode
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer

POOL = "4f7a2f6e-2222-4000-8000-000000000000"


def policy(**values: Any):
    return L7Policy(**{"id": "y1", "listener_id": "l1", "action": "REJECT", **values})


def rule(**values: Any):
    return L7Rule(id="r1", l7policy_id="y1", **values)


EVERYTHING = {"redirect_pool_id": POOL, "redirect_url": "http://a", "redirect_prefix": "http://b"}


@pytest.mark.parametrize(
    ("action", "kept", "code"),
    [
        ("REJECT", set(), None),
        ("REDIRECT_TO_POOL", {"redirect_pool_id"}, None),
        ("REDIRECT_TO_URL", {"redirect_url"}, 302),
        ("REDIRECT_PREFIX", {"redirect_prefix"}, 302),
    ],
)
def test_an_action_has_its_own_fields_only(action: Any, kept: set[str], code: int | None):
    made = l7_rules.for_action(policy(action=action, **EVERYTHING))
    assert {name for name in EVERYTHING if getattr(made, name) is not None} == kept
    assert made.redirect_http_code == code
    chosen = l7_rules.for_action(policy(action=action, redirect_http_code=307, **EVERYTHING)).redirect_http_code
    assert chosen == (None if code is None else 307)
    for name in kept:
        with pytest.raises(Invalid, match=f"{name}.*must be given with action {action}"):
            l7_rules.for_action(policy(action=action, **{**EVERYTHING, name: None}))


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        pytest.param({"name": "x"}, None, id="no target"),
        pytest.param({"redirect_url": "http://a"}, "REDIRECT_TO_URL", id="URL"),
        pytest.param({"redirect_prefix": "http://a"}, "REDIRECT_PREFIX", id="prefix"),
        pytest.param({"redirect_pool_id": POOL, "redirect_url": None}, "REDIRECT_TO_POOL", id="pool"),
        pytest.param({"redirect_url": "http://a", "action": "REJECT"}, "REJECT", id="an action decides"),
    ],
)
def test_a_target_alone_says_the_action(changes: dict[str, Any], action: str | None):
    assert l7_rules.with_action_of_target(changes) == ({**changes, "action": action} if action else changes)


def test_two_targets_without_action():
    with pytest.raises(Invalid, match="redirect_pool_id and redirect_url cannot be given at the same time"):
        l7_rules.with_action_of_target({"redirect_pool_id": POOL, "redirect_url": "http://a"})


@pytest.mark.parametrize("protocol", ["TCP", "UDP", "SCTP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "PROMETHEUS"])
def test_listeners_that_can_have_policies(protocol: Any):
    listener = Listener(id="l1", loadbalancer_id="lb", protocol=protocol, protocol_port=1)
    if protocol in ("HTTP", "TERMINATED_HTTPS"):
        l7_rules.check_listener(listener)
    else:
        with pytest.raises(Invalid if protocol == "PROMETHEUS" else Unsupported, match=protocol):
            l7_rules.check_listener(listener)


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("http://localhost", True),
        ("https://example.org:8443/a/b?c=d&e=%20f#g", True),
        ("HTTP://EXAMPLE.ORG", True),
        ("https://[2001:db8::1]/", True),
        ("http://user@example.org/", True),
        ("ftp://example.org/", False),
        ("//example.org/", False),
        ("/a", False),
        ("example.org", False),
        ("http://", False),
        ("http:///a", False),
        ("http://example.org:port/", False),
        ("http://example.org:70000/", False),
        ("http://[2001:db8::1/", False),
        ("http://example.org/a b", False),
        ("http://example.org/\n  acl x", False),
        ("http://example.org/%zz", False),
        ('http://example.org/"', False),
        ("http://exämple.org/", False),
        ("javascript:alert(1)", False),
        (f"http://example.org/{'a' * 236}", True),
        (f"http://example.org/{'a' * 237}", False),
    ],
)
@pytest.mark.parametrize("name", ["redirect_url", "redirect_prefix"])
def test_urls(name: str, text: str, fine: bool):
    body = {"listener_id": POOL, "action": "REJECT", name: text}

    def made() -> L7Policy:
        return new(L7Policy, decode(create_form(L7Policy), body), id="y1")

    if fine:
        assert getattr(made(), name) == text
    else:
        with pytest.raises(Invalid, match=name):
            made()


COMPARE_TYPES: Any = ("REGEX", "STARTS_WITH", "ENDS_WITH", "CONTAINS", "EQUAL_TO")
POSSIBLE: dict[Any, Any] = {
    "HOST_NAME": COMPARE_TYPES,
    "PATH": COMPARE_TYPES,
    "FILE_TYPE": ("REGEX", "EQUAL_TO"),
    "HEADER": COMPARE_TYPES,
    "COOKIE": COMPARE_TYPES,
    "SSL_CONN_HAS_CERT": ("EQUAL_TO",),
    "SSL_VERIFY_RESULT": ("EQUAL_TO",),
    "SSL_DN_FIELD": COMPARE_TYPES,
}
KEYS = {"HEADER": "X-Colour", "COOKIE": "colour", "SSL_DN_FIELD": "CN"}
VALUES = {"SSL_CONN_HAS_CERT": "true", "SSL_VERIFY_RESULT": "0"}


@pytest.mark.parametrize(("type_", "compare_type"), list(itertools.product(POSSIBLE, COMPARE_TYPES)))
def test_types_and_compare_types(type_: Any, compare_type: Any):
    made = rule(type=type_, compare_type=compare_type, key=KEYS.get(type_), value=VALUES.get(type_, "blue"))
    if compare_type in POSSIBLE[type_]:
        l7_rules.check_rule(made)
    else:
        with pytest.raises(Invalid, match=f"compare_type.*{type_} can have"):
            l7_rules.check_rule(made)


def case(id_: str, type_: str, fault: str | None, **values: str):
    """`by`: the compare_type."""
    rest = {"compare_type": values.pop("by", "EQUAL_TO"), "value": "blue", **values}
    return pytest.param({"type": type_, **rest}, fault, id=f"{type_}: {id_}")


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        case("no key", "HEADER", "needs a key"),
        case("empty key", "HEADER", "needs a key", key=""),
        case("key is no token", "HEADER", "needs a key", key="X Colour"),
        case("key of evil", "HEADER", "needs a key", key="X-Colour)"),
        case("no key", "COOKIE", "needs a key"),
        case("key is no token", "COOKIE", "needs a key", key="a=b"),
        case("key of two words", "SSL_DN_FIELD", "needs a key", key="CN O"),
        case("no key", "SSL_DN_FIELD", "needs a key"),
        case("key with hyphen", "SSL_DN_FIELD", None, key="st-1"),
        case("value with blanks", "SSL_DN_FIELD", None, key="O", value="Example Org"),
        case("no value", "SSL_DN_FIELD", "value", key="O", value=""),
        case("key", "SSL_CONN_HAS_CERT", "has no key", key="x", value="true"),
        case("False", "SSL_CONN_HAS_CERT", "must be true", value="False"),
        case("True", "SSL_CONN_HAS_CERT", None, value="tRuE"),
        case("key", "SSL_VERIFY_RESULT", "has no key", key="x", value="0"),
        case("negative", "SSL_VERIFY_RESULT", "number from 0", value="-1"),
        case("word", "SSL_VERIFY_RESULT", "number from 0", value="ok"),
        case("digits of elsewhere", "SSL_VERIFY_RESULT", "number from 0", value="\u0663"),
        case("empty key is none", "SSL_VERIFY_RESULT", None, key="", value="18"),
        case("no value", "PATH", "value", value=""),
        case("blank", "PATH", "value", value="/a b"),
        case("quoted blank", "PATH", None, value='"/a\tb c"'),
        case("open quote", "PATH", "value", value='"/a b'),
        case("beyond ASCII", "HOST_NAME", "value", value="exämple.org"),
        case("a key means nothing", "PATH", None, key="x", value="/a"),
        case("semicolon", "COOKIE", "value", key="a", value="a;b"),
        case("comma", "COOKIE", None, key="a", value="a,b"),
        case("backslash", "COOKIE", "value", key="a", value="a\\b"),
        case("expression", "PATH", None, value=r"^/(a|b)+ .*$", by="REGEX"),
        case("broken expression", "PATH", "not a regular expression", value="(a", by="REGEX"),
        case("empty expression", "PATH", "must not be empty", value="", by="REGEX"),
        case("too many repetitions", "PATH", "not a regular expression", value="a{99999999999}", by="REGEX"),
        case("Python warns", "PATH", None, value="[[a]", by="REGEX"),
        case("broken expression", "COOKIE", "not a regular expression", key="a", value="*", by="REGEX"),
        case("broken expression", "SSL_DN_FIELD", "not a regular expression", key="O", value="[", by="REGEX"),
    ],
)
def test_keys_and_values(values: Any, fault: str | None):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if fault is None:
            l7_rules.check_rule(rule(**values))
        else:
            with pytest.raises(Invalid, match=fault):
                l7_rules.check_rule(rule(**values))


@pytest.mark.parametrize("name", ["key", "value"])
def test_no_line_breaks(name: str):
    body = {"l7policy_id": POOL, "type": "HEADER", "compare_type": "REGEX", "key": "a", "value": "b", name: "a\nb"}
    with pytest.raises(Invalid, match=name):
        decode(create_form(L7Rule), body)


@settings(deadline=None)
@given(text=st.text(max_size=60) | st.text("ab(){}[]|*+?^$\\\\1,", max_size=20))
def test_any_expression_is_judged(text: str):
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(text)
        fine = text != ""
    except (re.error, OverflowError):
        fine = False
    with contextlib.nullcontext() if fine else pytest.raises(Invalid, match="value"):
        l7_rules.check_rule(rule(type="PATH", compare_type="REGEX", value=text))


def test_at_most_fifty_rules():
    l7_rules.check_number(policy(), 50)
    with pytest.raises(Conflict, match="Too many rules on L7 policy y1"):
        l7_rules.check_number(policy(), 51)


@pytest.mark.parametrize(("position", "order"), [(1, "xab"), (2, "axb"), (3, "abx"), (4, "abx"), (2**31 - 1, "abx")])
def test_a_policy_goes_where_it_asks(position: int, order: str):
    there = [policy(id=id_, position=place) for place, id_ in enumerate("ab", start=1)]
    placed = l7_rules.placed(there, policy(id="x", position=position))
    assert "".join(one.id for one in placed) == order
    assert [one.position for one in placed] == [1, 2, 3]


def test_pools_below_a_listener():
    """Its default pool and those that a policy which applies leads to, each once; not another listener's."""

    def node(
        id_: str, pool_id: str, listener_id: str = "l1", *, enabled: bool = True, rules: Any = (True,)
    ) -> PolicyNode:
        made = policy(
            id=id_,
            listener_id=listener_id,
            action="REDIRECT_TO_POOL",
            redirect_pool_id=pool_id,
            admin_state_up=enabled,
        )
        value = {"type": "PATH", "compare_type": "REGEX", "value": "a"}
        return PolicyNode(policy=made, rules=tuple(rule(admin_state_up=up, **value) for up in rules))

    listener = Listener(id="l1", loadbalancer_id="lb", protocol="HTTP", protocol_port=80, default_pool_id="p1")
    graph = Graph(
        load_balancer=LoadBalancer(id="lb"),
        generation=1,
        listeners=(listener,),
        policies=(
            node("a", "p3"),
            node("b", "p2", rules=(False, True)),
            node("c", "p1"),
            node("d", "p4", rules=()),
            node("e", "p5", rules=(False,)),
            node("f", "p6", enabled=False),
            node("g", "p7", "l2"),
        ),
    )
    assert graph.reachable_pools(listener) == ("p1", "p3", "p2")
