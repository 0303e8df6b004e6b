"""Octavia's sets of rules: who may do what under each of them, asked of the API itself."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from api_world import TOKENS, World, a_world, caller

from hydria.api import policy
from hydria.api.policy import Policy
from hydria.base.config import Api, PolicyVariant

OWNER = caller("demo", "member", "reader", "load-balancer_member")
PERSONAS = {
    "nobody": caller("demo"),
    "any": caller("demo", "some_role"),
    "reader": caller("demo", "reader"),
    "member": caller("demo", "member", "reader"),
    "observer": caller("demo", "load-balancer_observer"),
    "lb member": caller("demo", "load-balancer_member"),
    "stranger": caller("other", "member", "reader", "load-balancer_member"),
    "admin": caller("ops", "admin", "member", "reader"),
    "lb admin": caller("ops", "load-balancer_admin"),
    "global observer": caller("ops", "load-balancer_global_observer"),
    "quota admin": caller("ops", "load-balancer_quota_admin"),
    "system reader": dataclasses.replace(caller(None, "reader"), system=True),
    "system admin": dataclasses.replace(caller(None, "admin", "member", "reader"), system=True),
    "domain admin": caller(None, "admin", "member", "reader"),
}

# What a persona may do with what project `demo` has: r(ead), w(rite), g (sees it in lists of every project),
# o(perate: failover, flavors, availability zones, amphorae), f(lavors and zones are shown), q(uota is shown), s(ets
# quotas). Whoever is not named may do nothing.
RIGHTS: dict[str, dict[str, str]] = {
    "default": {"reader": "rfq", "member": "rwfq", "stranger": "f", "admin": "rwgofqs"},
    "keystone_default_roles": {
        "reader": "rfq",
        "member": "rwfq",
        "stranger": "f",
        "admin": "rwgofqs",
        "lb admin": "o",  # beside which it has to be a member: that is Octavia's file
    },
    "keystone_default_roles_scoped": {
        "reader": "rfq",
        "member": "rwfq",
        "stranger": "f",
        "admin": "f",
        "lb admin": "o",
        "system reader": "rgfq",
        "system admin": "rwgofqs",
    },
    "admin_or_owner": {
        **dict.fromkeys(("nobody", "any", "reader", "member", "observer", "lb member"), "rwfq"),
        **dict.fromkeys(("stranger", "global observer", "quota admin"), "f"),
        "admin": "rwgofqs",
        "lb admin": "rwgofqs",
    },
    "octavia_advanced_rbac": {
        "observer": "rfq",
        "lb member": "rwfq",
        "stranger": "f",
        "global observer": "rgfq",
        "quota admin": "qs",
        "lb admin": "rwgofqs",
        "admin": "rwgofqs",
    },
}


@pytest.fixture(scope="module", params=get_args(PolicyVariant))
def variant(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="module")
def world(variant: PolicyVariant, empty_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    rules = Policy(variant=variant)
    with pytest.MonkeyPatch.context() as patch:
        for name, who in {**PERSONAS, "demo": OWNER}.items():
            patch.setitem(TOKENS, name, who)
        with a_world(tmp_path_factory.mktemp("variant"), empty_database, rules, Api()) as made:
            yield made


@pytest.fixture(scope="module")
def lb(world: World) -> Any:
    return world.load_balancer(name="demo's")


@pytest.fixture(scope="module")
def pool(world: World, lb: Any) -> Any:
    return world.pool(lb)


def has(variant: str, persona: str, right: str) -> bool:
    return right in RIGHTS[variant].get(persona, "")


def test_each_variant_has_a_table_and_each_file_is_a_variant():
    assert set(RIGHTS) == set(get_args(PolicyVariant))
    files = {path.stem for path in (Path(policy.__file__).parent / "policies").iterdir()}
    assert files == set(RIGHTS) - {"default"}


@pytest.mark.parametrize("persona", PERSONAS)
@pytest.mark.parametrize(
    ("request_", "body", "right", "status"),
    [
        pytest.param("GET /loadbalancers/@lb", None, "r", 200, id="show"),
        pytest.param("GET /loadbalancers/@lb/status", None, "r", 200, id="status tree"),
        pytest.param("GET /loadbalancers/@lb/stats", None, "r", 200, id="counters"),
        pytest.param("GET /pools/@pool/members", None, "r", 200, id="list members"),
        pytest.param("PUT /pools/@pool", {"pool": {"description": "again"}}, "w", 200, id="update"),
        pytest.param("PUT /loadbalancers/@lb", {"loadbalancer": {"vip_sg_ids": []}}, "w", 200, id="security groups"),
        pytest.param("PUT /pools/@pool/members", {"members": []}, "w", 202, id="batch"),
        pytest.param("PUT /loadbalancers/@lb/failover", None, "o", 202, id="failover"),
        pytest.param("GET /flavors", None, "f", 200, id="list flavors"),
        pytest.param("GET /providers", None, "f", 200, id="list providers"),
        pytest.param("GET /flavorprofiles", None, "o", 200, id="list flavor profiles"),
        pytest.param("GET /providers/amphora/flavor_capabilities", None, "o", 200, id="capabilities"),
        pytest.param("GET /availabilityzones", None, "f", 200, id="list availability zones"),
        pytest.param("GET /availabilityzoneprofiles", None, "o", 200, id="list availability zone profiles"),
        pytest.param("GET /providers/amphora/availability_zone_capabilities", None, "o", 200, id="of zones, too"),
        pytest.param("GET /quotas/demo", None, "q", 200, id="quota"),
        pytest.param("GET /quotas/demo/default", None, "q", 200, id="default quota"),
        pytest.param("GET /quotas?project_id=demo", None, "q", 200, id="list quotas"),
        pytest.param("PUT /quotas/demo", {"quota": {"pool": -1}}, "s", 202, id="set a quota"),
        pytest.param("DELETE /quotas/demo", None, "s", 202, id="reset a quota"),
        pytest.param("GET /octavia/amphorae", None, "o", 200, id="list amphorae"),
    ],
)
def test_what_may_be_done(  # noqa: PLR0917
    world: World, variant: str, lb: Any, pool: Any, persona: str, request_: str, body: Any, right: str, status: int
):
    method, path = request_.replace("@lb", lb["id"]).replace("@pool", pool["id"]).split()
    prefix = "/v2" if path.startswith("/octavia") else "/v2/lbaas"
    answer = world.client.request(method, f"{prefix}{path}", json=body, headers={"X-Auth-Token": persona})
    if has(variant, persona, right):
        assert answer.status_code == status, answer.text
    else:
        world.refused(answer, 403, "Policy does not allow this request to be performed.")


@pytest.mark.parametrize("persona", PERSONAS)
def test_what_may_be_made_and_deleted(world: World, variant: str, lb: Any, persona: str):
    allowed = has(variant, persona, "w")
    body = {"pool": {"loadbalancer_id": lb["id"], "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}}
    assert world.call("POST", "/pools", body, who=persona).status_code == (201 if allowed else 403)
    theirs = world.pool(lb)["id"]
    assert world.call("DELETE", f"/pools/{theirs}", who=persona).status_code == (204 if allowed else 403)


@pytest.mark.parametrize("persona", PERSONAS)
def test_what_lists_show(world: World, variant: str, lb: Any, persona: str):
    """Of one's own project, or of all of them; who may read nothing is told so."""
    answer = world.call("GET", "/loadbalancers", who=persona)
    if has(variant, persona, "r") or persona == "stranger":
        shown = [item["id"] for item in answer.json()["loadbalancers"]]
        assert shown == ([lb["id"]] if has(variant, persona, "r") else [])
    elif answer.status_code != 403:  # reads its own project, which has none
        assert answer.json()["loadbalancers"] == []
    foreign = world.call("GET", "/loadbalancers?project_id=demo", who=persona).status_code
    assert foreign == (200 if has(variant, persona, "r") else 403)


@pytest.mark.parametrize("persona", PERSONAS)
def test_for_whom_one_may_create(world: World, variant: str, persona: str):
    """A load balancer of project `demo`."""
    body = {"loadbalancer": {"vip_subnet_id": world.public, "project_id": "demo"}}
    answer = world.call("POST", "/loadbalancers", body, who=persona)
    assert answer.status_code == (201 if has(variant, persona, "w") else 403)
    if answer.status_code == 201:
        world.delete(f"/loadbalancers/{answer.json()['loadbalancer']['id']}")
        world.settle()


def test_without_enforced_scope_the_rules_alone_decide():
    loose, domain_admin = Policy(enforce_scope=False), PERSONAS["domain admin"]
    assert loose.allows(domain_admin, "flavor:post", None)
    assert not Policy().allows(domain_admin, "flavor:post", None)
