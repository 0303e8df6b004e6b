"""TLS of listeners and pools, where a provider serves it: what answers show, what is read from the key manager."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_world import World, a_world

from hydria.api.policy import Policy
from hydria.base.config import OWASP_SUITE_B, Api
from hydria.base.errors import Retryable, Unauthorized
from hydria.drivers import tls_material
from hydria.drivers.fake_key_manager import Issuer
from hydria.model.served import EVERYTHING

DEFAULTS = {
    "tls_ciphers": OWASP_SUITE_B,
    "tls_versions": ["TLSv1.2", "TLSv1.3"],
    "alpn_protocols": ["h2", "http/1.1", "http/1.0"],
}
NOTHING = dict.fromkeys(DEFAULTS)


@pytest.fixture
def world(tmp_path: Path, empty_database: Path, default_policy: Policy, api: Api) -> Iterator[World]:
    with a_world(tmp_path, empty_database, default_policy, api, EVERYTHING) as made:
        yield made


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer("clients")


@pytest.fixture
def key(world: World, issuer: Issuer) -> str:
    return world.keys.put(tls_material.from_parts(*issuer.issue("www.example.com")))


@pytest.fixture
def lb(world: World) -> Any:
    return world.load_balancer()


def tls(lb: Any, key: str | None, **values: Any) -> dict[str, Any]:
    body = {"loadbalancer_id": lb["id"], "protocol": "TERMINATED_HTTPS", "protocol_port": 443, **values}
    return body if key is None else {"default_tls_container_ref": key, **body}


def shown(answer: Any) -> dict[str, Any]:
    return {name: answer[name] for name in DEFAULTS}


def refused(world: World, request: str, body: Any, status: int, text: str) -> None:
    method, path = request.split()
    before = world.rows()
    world.refused(world.call(method, path, body), status, text)
    assert world.rows() == before


def test_a_tls_listener_has_the_deployments_defaults(world: World, lb: Any, key: str) -> None:
    made = world.post("/listeners", {"listener": tls(lb, key)})
    assert shown(made) == DEFAULTS
    assert made["default_tls_container_ref"] == key
    assert shown(world.get(f"/listeners/{made['id']}")) == DEFAULTS


def test_other_listeners_and_pools_show_null(world: World, lb: Any) -> None:
    assert shown(world.listener(lb)) == NOTHING
    assert shown(world.pool(lb)) == NOTHING


def test_null_means_the_default_again(world: World, lb: Any, key: str) -> None:
    special = {"tls_ciphers": "AES128-SHA", "tls_versions": ["TLSv1.3"], "alpn_protocols": ["h2"]}
    made = world.post("/listeners", {"listener": tls(lb, key, **special, hsts_max_age=60, hsts_preload=True)})
    assert shown(made) == special
    changed = world.put(f"/listeners/{made['id']}", {"listener": {**NOTHING, "hsts_max_age": 0, "hsts_preload": None}})
    assert shown(changed) == DEFAULTS
    assert (changed["hsts_max_age"], changed["hsts_preload"]) == (0, False)


def test_a_pool_that_begins_to_speak_tls_has_the_defaults(world: World, lb: Any) -> None:
    pool = world.pool(lb)
    assert shown(world.put(f"/pools/{pool['id']}", {"pool": {"tls_enabled": True}})) == DEFAULTS
    changed = world.put(f"/pools/{pool['id']}", {"pool": {"tls_versions": ["TLSv1.3"]}})
    assert changed["tls_versions"] == ["TLSv1.3"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"default_tls_container_ref": None}, id="certificate"),
        pytest.param({"hsts_preload": True}, id="HSTS"),
        pytest.param({"client_authentication": "MANDATORY"}, id="client authentication"),
        pytest.param({"tls_versions": []}, id="versions"),
        pytest.param({"alpn_protocols": []}, id="ALPN"),
    ],
)
def test_a_put_keeps_the_rules(world: World, lb: Any, key: str, change: dict[str, Any]) -> None:
    made = world.post("/listeners", {"listener": tls(lb, key)})
    world.settle()
    refused(world, f"PUT /listeners/{made['id']}", {"listener": change}, 400, next(iter(change)))


@pytest.mark.parametrize("nothing", [None, ""], ids=["null", "as Terraform says it"])
def test_the_default_certificate_can_go_when_there_is_another(
    world: World, lb: Any, key: str, nothing: str | None
) -> None:
    made = world.post("/listeners", {"listener": tls(lb, key, sni_container_refs=[key])})
    path = f"/listeners/{made['id']}"
    changed = world.put(path, {"listener": {"default_tls_container_ref": nothing}})
    assert (changed["default_tls_container_ref"], changed["sni_container_refs"]) == (nothing, [key])
    world.settle()
    world.put(path, {"listener": {"sni_container_refs": [key, key]}})
    refused(world, f"PUT {path}", {"listener": {"sni_container_refs": []}}, 400, "needs a certificate")


@pytest.mark.parametrize("body", ["listener", "pool", "loadbalancer"])
def test_whatever_cannot_be_read_is_named(world: World, lb: Any, key: str, body: str) -> None:
    gone, hidden = "https://keys.example.com/v1/secrets/gone", world.keys.put(b"")
    world.keys.hide(hidden, "demo")
    listener = tls(lb, gone, sni_container_refs=[hidden, key])
    pool = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "tls_container_ref": gone}
    bodies = {
        "listener": listener,
        "pool": {**pool, "loadbalancer_id": lb["id"]},
        "loadbalancer": {
            "vip_subnet_id": world.public,
            "listeners": [
                {name: value for name, value in listener.items() if name != "loadbalancer_id"}
                | {"default_pool": {**pool, "name": "p"}}
            ],
        },
    }
    bad = [gone] if body == "pool" else [gone, hidden]
    refused(world, f"POST /{body}s", {body: bodies[body]}, 400, f"Could not retrieve certificate: {bad}")


def test_a_put_names_what_it_cannot_read(world: World, lb: Any, key: str) -> None:
    made = world.post("/listeners", {"listener": tls(lb, key)})
    world.settle()
    change = {"listener": {"sni_container_refs": ["nowhere"]}}
    refused(world, f"PUT /listeners/{made['id']}", change, 400, "Could not retrieve certificate: ['nowhere']")


def test_a_put_of_something_else_reads_nothing(world: World, lb: Any, key: str) -> None:
    made = world.post("/listeners", {"listener": tls(lb, key)})
    world.keys.hide(key, "demo")
    assert world.put(f"/listeners/{made['id']}", {"listener": {"name": "new"}})["name"] == "new"


def test_nothing_is_asked_for_what_is_wrong_anyway(world: World, lb: Any) -> None:
    body = {"loadbalancer_id": lb["id"], "protocol": "HTTP", "protocol_port": 80, "default_tls_container_ref": "gone"}
    refused(world, "POST /listeners", {"listener": body}, 400, "does not end TLS")


def test_it_is_the_callers_rights_that_count(world: World, lb: Any, key: str) -> None:
    world.keys.hide(key, "demo")
    refused(world, "POST /listeners", {"listener": tls(lb, key)}, 400, "you have no right to read it")
    world.post("/listeners", {"listener": tls(lb, key)}, who="admin")


def test_a_key_manager_that_does_not_answer(world: World, lb: Any, key: str) -> None:
    world.keys.fail(Retryable("key manager GET /secrets/x: 503", after=7))
    answer = world.call("POST", "/listeners", {"listener": tls(lb, key)})
    world.refused(answer, 503, "503")
    assert answer.headers["Retry-After"] == "7"


def test_a_token_that_ran_out_on_the_way(world: World, lb: Any, key: str) -> None:
    world.keys.fail(Unauthorized("key manager GET /secrets/x: 401"))
    refused(world, "POST /listeners", {"listener": tls(lb, key)}, 401, "401")


@pytest.mark.parametrize(
    ("refs", "text"),
    [
        pytest.param(("ca", "crl"), None, id="fits"),
        pytest.param(("ca", None), None, id="CA alone"),
        pytest.param(("ca", "other crl"), "client_crl_container_ref", id="of another CA"),
        pytest.param(("ca", "nonsense"), "client_crl_container_ref", id="no revocations"),
        pytest.param(("nonsense", None), "client_ca_tls_container_ref", id="no CA"),
        pytest.param(("gone", "crl"), "Could not retrieve certificate: ['gone']", id="CA is gone"),
        pytest.param(("ca", "gone"), "Could not retrieve certificate: ['gone']", id="revocations are gone"),
    ],
)
def test_clients_ca(world: World, key: str, issuer: Issuer, refs: tuple[str, str | None], text: str | None) -> None:
    put = world.keys.put
    held = {
        "ca": put(issuer.certificate),
        "crl": put(issuer.revocations),
        "other crl": put(Issuer("others").revocations),
        "nonsense": put(b"nonsense"),
        "gone": "gone",
    }
    clients = {
        "client_authentication": "MANDATORY",
        "client_ca_tls_container_ref": held[refs[0]],
        "client_crl_container_ref": held[refs[1]] if refs[1] else None,
    }
    body = tls(world.load_balancer(), key, **clients)
    if text is None:
        made = world.post("/listeners", {"listener": body})
        assert {name: made[name] for name in clients} == clients
    else:
        refused(world, "POST /listeners", {"listener": body}, 400, text)


def test_a_new_revocation_list_is_checked_against_the_ca_that_is_there(world: World, lb: Any, issuer: Issuer) -> None:
    pool = world.pool(lb, tls_enabled=True, ca_tls_container_ref=world.keys.put(issuer.certificate))
    world.settle()
    path, other = f"/pools/{pool['id']}", world.keys.put(Issuer("others").revocations)
    refused(world, f"PUT {path}", {"pool": {"crl_container_ref": other}}, 400, "not signed by the CA")
    fitting = world.keys.put(issuer.revocations)
    assert world.put(path, {"pool": {"crl_container_ref": fitting}})["crl_container_ref"] == fitting
    world.settle()
    refused(world, f"PUT {path}", {"pool": {"ca_tls_container_ref": None}}, 400, "crl_container_ref needs")


def test_expired_certificates_are_taken(world: World, lb: Any, issuer: Issuer) -> None:
    key = world.keys.put(tls_material.from_parts(*issuer.issue("old.example.com", days=-1)))
    assert world.post("/listeners", {"listener": tls(lb, key)})["default_tls_container_ref"] == key


def test_a_whole_graph(world: World, key: str) -> None:
    listener = {"protocol": "TERMINATED_HTTPS", "protocol_port": 443, "sni_container_refs": [key]}
    pool = {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "tls_enabled": True}
    made = world.load_balancer(listeners=[{**listener, "default_pool": pool}])
    assert shown(made["listeners"][0]) == shown(made["pools"][0]) == DEFAULTS


@pytest.mark.parametrize(
    "api", [Api(minimum_tls_version="TLSv1.2", tls_cipher_prohibit_list="RC4-MD5")], ids=["strict"]
)
def test_what_the_operator_forbids(world: World, lb: Any, key: str) -> None:
    body = {"listener": tls(lb, key, tls_versions=["TLSv1.1"])}
    refused(world, "POST /listeners", body, 400, "TLSv1.1")
    pool = world.pool(lb)
    world.settle()
    refused(world, f"PUT /pools/{pool['id']}", {"pool": {"tls_ciphers": "AES128-SHA:RC4-MD5"}}, 400, "RC4-MD5")


def test_who_may_not_write_makes_nobody_read(world: World, lb: Any, key: str) -> None:
    made = world.post("/listeners", {"listener": tls(lb, key)})
    change = {"listener": {"default_tls_container_ref": "gone"}}
    world.refused(world.call("PUT", f"/listeners/{made['id']}", change, who="demo-reader"), 403, "Policy")
    world.refused(world.call("PUT", f"/listeners/{lb['id']}", change), 404, "not found")
