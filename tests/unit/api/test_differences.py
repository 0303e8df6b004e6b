"""Differences of docs/compatibility.md from Octavia, as far as no other test has them. The numbers are the page's."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from api_world import ACTIONS, World, served

from hydria.api.app import MAX_BODY


@pytest.fixture(scope="module")
def parts(shared_world: World) -> Iterator[dict[str, Any]]:
    world = shared_world
    with served("L7 policies", *ACTIONS):
        lb = world.load_balancer()
        pool, listener = world.pool(lb), world.listener(lb)
        yield {"lb": lb, "pool": pool, "listener": listener, "policy": world.policy(listener)}


def test_d4_a_vip_network_without_port_security(world: World):
    network = world.cloud.network("public")
    assert network is not None
    world.cloud.networks[network.id] = msgspec.structs.replace(network, port_security_enabled=False)
    body = {"loadbalancer": {"vip_subnet_id": world.public}}
    world.refused(world.call("POST", "/loadbalancers", body), 400, f"on the VIP network {network.id}")


def test_d7_a_nested_policy_names_a_pool_that_is_there(shared_world: World, parts: Any):
    policies = [{"action": "REDIRECT_TO_POOL", "redirect_pool_id": parts["pool"]["id"]}]
    made = shared_world.listener(parts["lb"], protocol_port=81, l7policies=policies)
    shown = shared_world.get(f"/l7policies/{made['l7policies'][0]['id']}")
    assert shown["redirect_pool_id"] == parts["pool"]["id"]


def test_d8_reject_has_no_redirect_code(shared_world: World, parts: Any):
    assert shared_world.policy(parts["listener"], redirect_http_code=301)["redirect_http_code"] is None


def test_d9_null_is_the_default_redirect_code(shared_world: World, parts: Any):
    to = {"action": "REDIRECT_TO_URL", "redirect_url": "http://a/"}
    made = shared_world.policy(parts["listener"], **to, redirect_http_code=301)
    changed = shared_world.put(f"/l7policies/{made['id']}", {"l7policy": {"redirect_http_code": None}})
    assert (made["redirect_http_code"], changed["redirect_http_code"]) == (301, 302)


def test_d10_a_put_that_says_nothing(shared_world: World, parts: Any):
    changed = shared_world.put(f"/l7policies/{parts['policy']['id']}", {"l7policy": {}})
    assert changed["action"] == parts["policy"]["action"]


def test_d11_two_targets_and_no_action(shared_world: World, parts: Any):
    body = {"l7policy": {"redirect_url": "http://a/", "redirect_prefix": "http://b/"}}
    answer = shared_world.call("PUT", f"/l7policies/{parts['policy']['id']}", body)
    shared_world.refused(answer, 400, "redirect_url and redirect_prefix cannot be given at the same time")


def test_d12_an_action_alone_whose_target_is_stored(shared_world: World, parts: Any):
    made = shared_world.policy(parts["listener"], action="REDIRECT_TO_URL", redirect_url="http://a/")
    changed = shared_world.put(f"/l7policies/{made['id']}", {"l7policy": {"action": "REDIRECT_TO_URL"}})
    assert changed["redirect_url"] == "http://a/"


def test_d13_a_key_is_a_token(shared_world: World, parts: Any):
    rule = {"type": "HEADER", "compare_type": "EQUAL_TO", "key": "X,A", "value": "1"}
    answer = shared_world.call("POST", f"/l7policies/{parts['policy']['id']}/rules", {"rule": rule})
    shared_world.refused(answer, 400, "key")


def test_d14_a_scheme_in_upper_case(shared_world: World, parts: Any):
    made = shared_world.policy(parts["listener"], action="REDIRECT_TO_URL", redirect_url="HTTP://A/")
    assert made["redirect_url"] == "HTTP://A/"


def test_d18_a_body_has_a_limit(shared_world: World):
    headers = {"X-Auth-Token": "demo"}
    answer = shared_world.client.post("/v2/lbaas/pools", content=b" " * (MAX_BODY + 1), headers=headers)
    shared_world.refused(answer, 413, "")


def test_d20_no_null_characters(shared_world: World):
    body = {"loadbalancer": {"vip_subnet_id": shared_world.public, "name": "a\0b"}}
    shared_world.refused(shared_world.call("POST", "/loadbalancers", body), 400, "U+0000")
