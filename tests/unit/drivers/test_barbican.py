"""Against a real HTTP server that answers as Keystone and Barbican do."""

import logging
import threading
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.serialization import NoEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate
from openstack_server import OpenStack

from hydria.base.config import Identity
from hydria.base.errors import HydriaError, Retryable, Unauthorized
from hydria.drivers.barbican import Barbican
from hydria.drivers.fake_key_manager import Issuer
from hydria.drivers.key_manager import CannotRead

ID, PART = (f"{number}{'0' * 7}-0000-4000-8000-00000000000" for number in (1, 2))
SECRET, CONTAINER = f"/key-manager/v1/secrets/{ID}0", f"/key-manager/v1/containers/{ID}0"
ELSEWHERE = "https://barbican.example.com:9311/v1"
"""Where users see the key manager. Nobody answers there."""
TEXT, BINARY = "text/plain", "application/octet-stream"


@pytest.fixture
def openstack() -> Iterator[OpenStack]:
    with OpenStack() as server:
        server.services["key-manager"] = "/key-manager"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def keys(openstack: OpenStack) -> Iterator[Barbican]:
    keys = Barbican(Identity(auth_url=f"{openstack.url}/identity/v3", password="secret"))
    yield keys.seen_by("users-token")
    keys.close()


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, bytes]:
    return Issuer("test").issue("www.example.com")


def has_secret(openstack: OpenStack, path: str, payload: bytes, kind: str = BINARY) -> None:
    openstack.says(f"GET {path}", (200, {"status": "ACTIVE", "content_types": {"default": kind}}))
    openstack.says(f"GET {path}/payload", (200, payload))


def has_container(openstack: OpenStack, parts: dict[str, bytes]) -> None:
    refs = []
    for number, (name, payload) in enumerate(parts.items(), start=1):
        has_secret(openstack, f"/key-manager/v1/secrets/{PART}{number}", payload, TEXT)
        refs.append({"name": name, "secret_ref": f"{ELSEWHERE}/secrets/{PART}{number}"})
    openstack.says(f"GET {CONTAINER}", (200, {"type": "certificate", "secret_refs": refs}))


def pkcs12_of(pair: tuple[bytes, bytes]) -> bytes:
    certificate, key = load_pem_x509_certificate(pair[0]), load_pem_private_key(pair[1], None)
    return pkcs12.serialize_key_and_certificates(b"www", key, certificate, None, NoEncryption())  # type: ignore[arg-type] # an EC key


@pytest.mark.parametrize("ref", [f"{ELSEWHERE}/secrets/{ID}0", f"{ID}0"], ids=["URL", "id alone"])
def test_a_pkcs12_secret(openstack: OpenStack, keys: Barbican, pair: tuple[bytes, bytes], ref: str) -> None:
    has_secret(openstack, SECRET, pkcs12_of(pair))
    assert keys.certificate(ref).names == ("www.example.com",)
    assert openstack.tokens == ["users-token"] * 2
    assert openstack.accepted[-1] == BINARY  # Barbican gives it away as what it is, or not at all


@pytest.mark.parametrize("ref", [f"{ELSEWHERE}/containers/{ID}0", f"{ID}0"], ids=["URL", "id alone"])
def test_a_certificate_container(openstack: OpenStack, keys: Barbican, pair: tuple[bytes, bytes], ref: str) -> None:
    has_container(openstack, {"private_key": pair[1], "certificate": pair[0]})
    held = keys.certificate(ref)
    assert held.certificate.encode() == pair[0]
    assert held.private_key.encode() == pair[1]
    assert openstack.accepted[-1] == TEXT


def test_a_bare_secret(openstack: OpenStack, keys: Barbican) -> None:
    has_secret(openstack, SECRET, b"-----BEGIN", TEXT)
    assert keys.secret(f"{ELSEWHERE}/secrets/{ID}0") == b"-----BEGIN"


@pytest.mark.parametrize(
    ("ref", "reason"),
    [
        ("http://127.0.0.1/latest/meta-data", "no reference"),
        (f"{ELSEWHERE}/secrets/{ID}0/payload", "no reference"),
        (f"{ELSEWHERE}/secrets/../../{ID}0?x=1", "no reference"),
        ("my-certificate", "no reference"),
        (f"{ELSEWHERE}/secrets/{ID}0", "no such secret"),
        (f"{ELSEWHERE}/containers/{ID}0", "no such secret or container"),
        (f"{ID}0", "no such secret or container"),
    ],
)
def test_what_is_not_there(openstack: OpenStack, keys: Barbican, ref: str, reason: str) -> None:
    with pytest.raises(CannotRead, match=reason) as caught:
        keys.certificate(ref)
    assert caught.value.ref == ref
    assert all(request.startswith("GET /key-manager/v1/") for request, _, _ in openstack.requests)


def test_a_container_is_no_ca(keys: Barbican) -> None:
    with pytest.raises(CannotRead, match="names a container"):
        keys.secret(f"{ELSEWHERE}/containers/{ID}0")


def test_a_container_that_lacks_a_part(openstack: OpenStack, keys: Barbican, pair: tuple[bytes, bytes]) -> None:
    has_container(openstack, {"certificate": pair[0]})
    with pytest.raises(CannotRead, match="private key"):
        keys.certificate(f"{ELSEWHERE}/containers/{ID}0")


def test_a_part_that_is_gone(openstack: OpenStack, keys: Barbican, pair: tuple[bytes, bytes]) -> None:
    has_container(openstack, {"certificate": pair[0], "private_key": pair[1]})
    openstack.says(f"GET /key-manager/v1/secrets/{PART}2", (404, {"code": 404}))
    with pytest.raises(CannotRead, match="no such secret"):
        keys.certificate(f"{ELSEWHERE}/containers/{ID}0")


def test_a_secret_without_payload(openstack: OpenStack, keys: Barbican) -> None:
    openstack.says(f"GET {SECRET}", (200, {"status": "ACTIVE", "content_types": None}))
    with pytest.raises(CannotRead, match="has no payload"):
        keys.secret(f"{ELSEWHERE}/secrets/{ID}0")


@pytest.mark.parametrize(
    ("status", "error", "text"),
    [
        (403, CannotRead, "no right"),
        (406, CannotRead, "answers 406"),
        (401, Unauthorized, "401"),
        (429, Retryable, "429"),
        (503, Retryable, "503"),
    ],
)
def test_refusals(openstack: OpenStack, keys: Barbican, status: int, error: type[HydriaError], text: str) -> None:
    openstack.says(f"GET {SECRET}", (status, {"code": status, "description": "hush"}))
    with pytest.raises(error, match=text):
        keys.certificate(f"{ELSEWHERE}/secrets/{ID}0")


def test_nobody_answers(openstack: OpenStack, keys: Barbican) -> None:
    keys.certificate  # noqa: B018 - nothing has been asked so far
    openstack.shutdown()
    openstack.server_close()
    with pytest.raises(Retryable):
        keys.certificate(f"{ELSEWHERE}/secrets/{ID}0")


def test_a_cloud_without_key_manager(openstack: OpenStack, keys: Barbican) -> None:
    del openstack.services["key-manager"]
    with pytest.raises(CannotRead, match="has no key manager"):
        keys.certificate(f"{ELSEWHERE}/secrets/{ID}0")


@pytest.mark.parametrize("path", ["/key-manager", "/key-manager/v1", "/key-manager/v1/"])
def test_the_catalogues_spelling(openstack: OpenStack, keys: Barbican, path: str) -> None:
    openstack.services["key-manager"] = path
    has_secret(openstack, SECRET, b"x")
    assert keys.secret(f"{ELSEWHERE}/secrets/{ID}0") == b"x"


def test_nothing_of_a_secret_is_logged(
    openstack: OpenStack, keys: Barbican, pair: tuple[bytes, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    has_container(openstack, {"certificate": pair[0], "private_key": pair[1]})
    held = keys.certificate(f"{ELSEWHERE}/containers/{ID}0")
    assert "PRIVATE KEY" not in caplog.text + repr(held)
    assert "users-token" not in caplog.text
