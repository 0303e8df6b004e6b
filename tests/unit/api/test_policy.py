"""Who may do what, by default and with an operator's own rules."""

from pathlib import Path
from typing import Any

import pytest
from api_world import TOKENS, caller

from hydria.api.policy import DEFAULT_RULES, PREFIX, Policy
from hydria.base.config import ConfigError
from hydria.base.errors import Forbidden

READ = ("get_all", "get_one")
WRITE = ("post", "put", "delete")
QUOTA = ("get_all", "get_one", "get_defaults")
OFFERED = ("flavor", "flavor-profile", "availability-zone", "availability-zone-profile")
CAPABILITIES = ("provider-flavor", "provider-availability-zone")
PARTS = ("loadbalancer", "listener", "pool", "member", "healthmonitor", "l7policy", "l7rule")


@pytest.mark.parametrize(
    ("token", "project", "kinds", "verbs", "allowed"),
    [
        pytest.param("demo", "demo", PARTS, (*READ, *WRITE), True, id="member, own"),
        pytest.param("demo", "other", PARTS, (*READ, *WRITE), False, id="member, another's"),
        pytest.param("demo-reader", "demo", PARTS, READ, True, id="reader reads"),
        pytest.param("demo-reader", "demo", PARTS, WRITE, False, id="reader does not write"),
        pytest.param("demo-nobody", "demo", PARTS, (*READ, *WRITE), False, id="no role"),
        pytest.param("unscoped", None, PARTS, (*READ, *WRITE), False, id="no project"),
        pytest.param("admin", "demo", PARTS, (*READ, *WRITE, "get_all-global"), True, id="admin"),
        pytest.param("demo", "demo", PARTS, ("get_all-global",), False, id="not across projects"),
        pytest.param("demo", "demo", ("flavor",), READ, True, id="flavors are shown"),
        pytest.param("demo", "demo", ("flavor",), WRITE, False, id="flavors are the operator's"),
        pytest.param("demo", "demo", ("flavor-profile",), (*READ, *WRITE), False, id="profiles are the operator's"),
        pytest.param("demo", "demo", ("availability-zone",), READ, True, id="zones are shown"),
        pytest.param("demo", "demo", ("availability-zone",), WRITE, False, id="zones are the operator's"),
        pytest.param("demo", "demo", ("availability-zone-profile",), (*READ, *WRITE), False, id="zone profiles, too"),
        pytest.param("demo-reader", "demo", ("quota",), QUOTA, True, id="one's own quota is shown"),
        pytest.param("demo", "other", ("quota",), QUOTA, False, id="another's quota is not"),
        pytest.param("demo", "demo", ("quota",), ("put", "delete"), False, id="quotas are the operator's"),
        pytest.param("admin", "demo", ("quota",), (*QUOTA, "put", "delete", "get_all-global"), True, id="all quotas"),
        pytest.param("demo", "demo", ("amphora",), READ, False, id="amphorae are the operator's"),
        pytest.param("admin", "admin", ("amphora", *OFFERED), READ, True, id="the operator"),
        pytest.param("admin", "admin", OFFERED, WRITE, True, id="the operator's"),
        pytest.param("demo", "demo", ("loadbalancer",), ("put_failover",), False, id="failover is the operator's"),
        pytest.param("demo", "demo", ("provider",), ("get_all",), True, id="providers"),
        pytest.param("demo", "demo", CAPABILITIES, ("get_all",), False, id="capabilities"),
        pytest.param("admin", "admin", CAPABILITIES, ("get_all",), True, id="capabilities are the operator's"),
        pytest.param("demo", "demo", ("nothing",), ("get_all",), False, id="a rule that is none"),
    ],
)
def test_defaults(*, default_policy: Policy, token: str, project: Any, kinds: Any, verbs: Any, allowed: bool):
    decided = {default_policy.allows(TOKENS[token], f"{kind}:{verb}", project) for kind in kinds for verb in verbs}
    assert decided == {allowed}


def test_telemetry_lists_members(default_policy: Policy):
    service = caller("service", "service")
    assert default_policy.allows(service, "member:get_all", "demo")
    assert not default_policy.allows(service, "pool:get_all", "demo")


def test_a_refusal_has_the_known_text(default_policy: Policy):
    with pytest.raises(Forbidden, match=r"^Policy does not allow this request to be performed\.$"):
        default_policy.check(TOKENS["demo"], "loadbalancer:get_one", "other")


def test_an_operators_file_of_octavia_works(tmp_path: Path):
    path = tmp_path / "policy.yaml"
    path.write_text(
        '"load-balancer:observer_and_owner": "role:load-balancer_observer and project_id:%(project_id)s"\n'
        f'"{PREFIX}:flavor:post": "role:flavor-maker"\n'
    )
    policy = Policy(str(path))
    assert policy.allows(caller("demo", "load-balancer_observer"), "pool:get_one", "demo")
    assert not policy.allows(caller("demo", "reader"), "pool:get_one", "demo")
    assert policy.allows(caller("demo", "flavor-maker"), "flavor:post", "demo")
    assert not policy.allows(TOKENS["admin"], "flavor:post", "admin")
    assert policy.allows(TOKENS["admin"], "pool:get_one", "demo")


def test_an_operators_file_may_ask_for_is_admin_and_define_who_is(tmp_path: Path):
    """As files for Octavia do."""
    path = tmp_path / "policy.yaml"
    path.write_text(
        '"context_is_admin": "role:cloud_admin"\n'
        '"load-balancer:read-global": "is_admin:True"\n'
        '"load-balancer:read": "is_admin:True or role:auditor"\n'
    )
    policy = Policy(str(path))
    assert policy.allows(caller("ops", "cloud_admin"), "loadbalancer:get_all-global", "demo")
    assert policy.allows(caller("ops", "cloud_admin"), "flavor:post", "ops")
    assert not policy.allows(TOKENS["admin"], "loadbalancer:get_all-global", "demo")
    assert policy.allows(caller("ops", "auditor"), "pool:get_one", "demo")
    assert not policy.allows(TOKENS["demo"], "pool:get_one", "demo")


def test_a_file_wins_over_the_variant(tmp_path: Path):
    path = tmp_path / "policy.yaml"
    path.write_text('"load-balancer:write": "role:builder and rule:load-balancer:owner"\n')
    policy = Policy(str(path), variant="admin_or_owner")
    assert policy.allows(caller("demo", "anything"), "pool:get_one", "demo")
    assert not policy.allows(caller("demo", "anything"), "pool:put", "demo")
    assert policy.allows(caller("demo", "builder"), "pool:put", "demo")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param('"a": ["b', "policy.yaml", id="no YAML"),
        pytest.param('"load-balancer:read": "rule:nowhere"', "policy.yaml", id="a rule that is none"),
        pytest.param('"a": "rule:b"\n"b": "rule:a"', "policy.yaml", id="in a circle"),
        pytest.param(None, "policy.yaml", id="no file"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str | None, reason: str):
    path = tmp_path / "policy.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        Policy(str(path))


def test_every_rule_that_rules_name_exists():
    named = {word for rule in DEFAULT_RULES.values() for word in rule.replace("(", " ").split() if "rule:" in word}
    assert {word.strip(")").removeprefix("rule:") for word in named} <= set(DEFAULT_RULES)


def test_a_decision_is_made_once():
    fresh = Policy()
    for _ in range(20):
        fresh.check(TOKENS["demo"], "loadbalancer:get_one", "demo")
    assert fresh._decide.cache_info().misses == 1
