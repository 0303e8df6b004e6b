"""Inline certificates: handed in, sealed, named by listeners and pools, never shown."""

import logging
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_world import NOBODY, World, a_world

from hydria.api.policy import Policy
from hydria.base.config import Api
from hydria.base.errors import Terminal
from hydria.drivers.fake_key_manager import Issuer
from hydria.drivers.sealing import Seal
from hydria.model.certificate import referred
from hydria.model.served import EVERYTHING

ISSUER = Issuer("inline")
OTHER = Issuer("other")
CERTIFICATE, KEY = (pem.decode() for pem in ISSUER.issue("www.example.com"))
NEW_CERTIFICATE, NEW_KEY = (pem.decode() for pem in ISSUER.issue("new.example.com"))
CA, CRL, OTHER_CRL = (pem.decode() for pem in (ISSUER.certificate, ISSUER.revocations, OTHER.revocations))
SHOWN = {
    *("id", "name", "description", "type", "ref", "names", "expires_at", "fingerprint", "created_at", "updated_at"),
    *("project_id", "tenant_id"),
}


@pytest.fixture
def world(tmp_path: Path, empty_database: Path, default_policy: Policy, api: Api) -> Iterator[World]:
    with a_world(tmp_path, empty_database, default_policy, api, EVERYTHING) as made:
        yield made


def body(**values: Any) -> dict[str, Any]:
    return {"certificate": {"name": "www", "content": CERTIFICATE, "private_key": KEY, **values}}


def made(world: World, kind: str, content: str, **more: Any) -> str:
    """Its reference."""
    ref: str = world.post("/certificates", {"certificate": {"type": kind, "content": content}}, **more)["ref"]
    return ref


def tls(world: World, ref: str, **values: Any) -> dict[str, Any]:
    lb = world.load_balancer()
    listener = {"loadbalancer_id": lb["id"], "protocol": "TERMINATED_HTTPS", "protocol_port": 443}
    return {"listener": {**listener, "default_tls_container_ref": ref, **values}}


def test_what_is_shown(world: World) -> None:
    shown = world.post("/certificates", body())
    assert set(shown) == SHOWN
    assert (shown["type"], shown["names"], shown["project_id"]) == ("CERTIFICATE", ["www.example.com"], "demo")
    assert shown["ref"] == f"/v2/lbaas/certificates/{shown['id']}"
    assert world.get(f"/certificates/{shown['id']}") == shown
    assert world.get("/certificates") == [shown]


@pytest.mark.parametrize("host", ["", "https://lb.example.com", "http://10.0.0.1:9876/load-balancer"])
def test_a_listener_names_it(world: World, host: str) -> None:
    ref = host + world.post("/certificates", body())["ref"]
    assert world.post("/listeners", tls(world, ref))["default_tls_container_ref"] == ref


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"content": CERTIFICATE + KEY, "private_key": None}, id="key in the content"),
        pytest.param({"content": KEY + CERTIFICATE, "private_key": None}, id="key first"),
        pytest.param({"content": CERTIFICATE + CA}, id="with its CA"),
    ],
)
def test_forms_of_content(world: World, values: dict[str, Any]) -> None:
    assert world.post("/certificates", body(**values))["names"] == ["www.example.com"]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param({"content": None}, "content is missing", id="no content"),
        pytest.param({"content": "nonsense"}, "content: its certificate is not", id="nonsense"),
        pytest.param({"private_key": NEW_KEY}, "does not belong to its certificate", id="another's key"),
        pytest.param({"private_key": None}, "private key is not one in PEM", id="no key"),
        pytest.param({"private_key": 5}, "private_key must be a text", id="number"),
        pytest.param({"private_key": ""}, "private_key must be a text", id="empty"),
        pytest.param({"content": CERTIFICATE * 200}, "content must be a text of 1 to 65536", id="long"),
        pytest.param({"type": "CA"}, "private_key is only possible with type CERTIFICATE", id="CA with a key"),
        pytest.param({"type": "CRL", "private_key": None}, "is not a certificate revocation list", id="no CRL"),
        pytest.param({"type": "KEY"}, "type", id="type"),
        pytest.param({"sealed": "x"}, "Unknown attribute", id="sealed"),
    ],
)
def test_refused(world: World, values: dict[str, Any], text: str) -> None:
    before = world.rows()
    answer = world.call("POST", "/certificates", body(**values))
    world.refused(answer, 400, text)
    assert "BEGIN" not in answer.text
    assert world.rows() == before


@pytest.mark.parametrize(
    ("field", "kind", "content", "text"),
    [
        pytest.param("client_ca_tls_container_ref", "CA", CA, None, id="CA"),
        pytest.param("client_ca_tls_container_ref", "CRL", CRL, "not an X.509", id="CRL for a CA"),
        pytest.param("default_tls_container_ref", "CA", CA, "no private key", id="CA to be served"),
    ],
)
def test_each_has_its_use(world: World, field: str, kind: str, content: str, text: str | None) -> None:
    own = world.post("/certificates", body())["ref"]
    wanted = tls(world, own, **{field: made(world, kind, content)})
    answer = world.call("POST", "/listeners", wanted)
    if text is None:
        assert world.done(answer, 201)[field] == wanted["listener"][field]
    else:
        world.refused(answer, 400, text)


def test_a_key_is_no_ca(world: World) -> None:
    own = world.post("/certificates", body())["ref"]
    answer = world.call("POST", "/listeners", tls(world, own, client_ca_tls_container_ref=own))
    world.refused(answer, 400, "where a CA or a CRL is needed")


@pytest.mark.parametrize(("content", "status"), [(CRL, 201), (OTHER_CRL, 400)], ids=["its own", "another's"])
def test_revocations_fit_their_ca(world: World, content: str, status: int) -> None:
    own, ca, crl = world.post("/certificates", body())["ref"], made(world, "CA", CA), made(world, "CRL", content)
    wanted = tls(world, own, client_ca_tls_container_ref=ca, client_crl_container_ref=crl)
    assert world.call("POST", "/listeners", wanted).status_code == status


def test_renewal(world: World) -> None:
    shown = world.post("/certificates", body())
    world.post("/listeners", tls(world, shown["ref"]))
    path = f"/certificates/{shown['id']}"
    world.refused(world.call("PUT", path, {"certificate": {"private_key": NEW_KEY}}), 400, "needs the content")
    new = world.put(path, {"certificate": {"content": NEW_CERTIFICATE, "private_key": NEW_KEY, "name": "new"}})
    assert (new["names"], new["name"], new["ref"]) == (["new.example.com"], "new", shown["ref"])
    assert new["fingerprint"] != shown["fingerprint"]


@pytest.mark.parametrize("field", ["default_tls_container_ref", "sni_container_refs"])
def test_what_is_in_use_stays(world: World, field: str) -> None:
    first, second = (world.post("/certificates", body()) for _ in range(2))
    value = [first["ref"]] if field == "sni_container_refs" else first["ref"]
    listener = world.post("/listeners", tls(world, second["ref"], **{field: value}))
    path = f"/certificates/{first['id']}"
    world.refused(world.call("DELETE", path), 409, f"in use by Listener {listener['id']}")
    world.settle()
    world.delete(f"/listeners/{listener['id']}")
    world.delete(path)
    world.refused(world.call("GET", path), 404, f"Certificate {first['id']} not found.")


def test_others_do_not_have_it(world: World) -> None:
    ref = world.post("/certificates", body(), who="other")["ref"]
    path = ref.removeprefix("/v2/lbaas")
    assert world.get("/certificates") == []
    for method, content in (("GET", None), ("PUT", {"certificate": {"name": "mine"}}), ("DELETE", None)):
        world.refused(world.call(method, path, content), 403, "Policy does not allow")
    answer = world.call("POST", "/listeners", tls(world, ref))
    world.refused(answer, 400, f"Could not retrieve certificate: ['{ref}']. {ref}: there is no such")
    assert world.get("/certificates", who="admin")[0]["ref"] == ref


@pytest.mark.parametrize("who", ["demo-reader", "demo-nobody"])
def test_who_may_only_read_hands_nothing_in(world: World, who: str) -> None:
    world.refused(world.call("POST", "/certificates", body(), who=who), 403, "Policy does not allow")


def test_nothing_of_it_lies_open(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ref = world.post("/certificates", body())["ref"]
    world.post("/listeners", tls(world, ref))
    secret = KEY.splitlines()[1].encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert all(secret not in path.read_bytes() for path in files)
    assert secret.decode() not in caplog.text
    key = tmp_path / "certificates" / "sealing.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    sealed = Seal(tmp_path / "one").close(b"secret")
    assert Seal(tmp_path / "one").open(sealed) == b"secret"
    with pytest.raises(Terminal, match="is not the key that sealed it"):
        Seal(tmp_path / "two").open(sealed)


@pytest.mark.parametrize(
    ("ref", "id_"),
    [
        (f"/v2/lbaas/certificates/{NOBODY}", NOBODY),
        (f"https://host:9876/v2/lbaas/certificates/{NOBODY}", NOBODY),
        (f"https://keys/v1/secrets/{NOBODY}", None),
        (f"/v2/lbaas/certificates/{NOBODY}/x", None),
        (NOBODY, None),
    ],
)
def test_references(ref: str, id_: str | None) -> None:
    assert referred(ref) == id_
