"""The load balancer's own reader against the embedded key manager: what users store there is what it reads."""

import base64
from collections.abc import Iterator

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import NoEncryption, load_pem_private_key, pkcs12
from cryptography.x509 import load_pem_x509_certificate
from running_cloud import PASSWORDS, RunningCloud

from hydria.base.config import Identity
from hydria.drivers.barbican import Barbican
from hydria.drivers.fake_key_manager import Issuer
from hydria.drivers.key_manager import CannotRead

ISSUER = Issuer("test")
CERTIFICATE, KEY = ISSUER.issue("www.example.com")
BINARY = {"payload_content_type": "application/octet-stream", "payload_content_encoding": "base64"}


@pytest.fixture(scope="module")
def keys(cloud: RunningCloud) -> Iterator[Barbican]:
    made = Barbican(Identity(auth_url=f"{cloud.url}/identity/v3", password=PASSWORDS["hydria"]))
    yield made
    made.close()


def stored(client: httpx.Client, payload: bytes, **how: str) -> str:
    text = base64.b64encode(payload).decode() if how else payload.decode()
    body = {"payload": text, **(how or {"payload_content_type": "text/plain"})}
    answer = client.post("/key-manager/v1/secrets", json=body)
    assert answer.status_code == 201, answer.text
    ref: str = answer.json()["secret_ref"]
    return ref


def bundle() -> bytes:
    key, certificate = load_pem_private_key(KEY, None), load_pem_x509_certificate(CERTIFICATE)
    return pkcs12.serialize_key_and_certificates(b"www", key, certificate, None, NoEncryption())  # type: ignore[arg-type] # an EC key


def contained(client: httpx.Client, **parts: bytes) -> str:
    refs = [{"name": name, "secret_ref": stored(client, payload)} for name, payload in parts.items()]
    body = {"name": "www", "type": "certificate", "secret_refs": refs}
    answer = client.post("/key-manager/v1/containers", json=body)
    assert answer.status_code == 201, answer.text
    ref: str = answer.json()["container_ref"]
    return ref


@pytest.mark.parametrize("spelled", ["as answered", "id alone"])
@pytest.mark.parametrize("kind", ["container", "PKCS12"])
def test_certificates(demo: httpx.Client, keys: Barbican, kind: str, spelled: str) -> None:
    if kind == "container":
        ref = contained(demo, certificate=CERTIFICATE, private_key=KEY, intermediates=ISSUER.certificate)
    else:
        ref = stored(demo, bundle(), **BINARY)
    ref = ref.rsplit("/", 1)[1] if spelled == "id alone" else ref
    held = keys.seen_by(demo.headers["X-Auth-Token"]).certificate(ref)
    assert (held.certificate.encode(), held.private_key.encode()) == (CERTIFICATE, KEY)


@pytest.mark.parametrize("how", [{}, BINARY], ids=["text", "binary"])
def test_a_ca(demo: httpx.Client, keys: Barbican, how: dict[str, str]) -> None:
    ref = stored(demo, ISSUER.certificate, **how)
    assert keys.seen_by(demo.headers["X-Auth-Token"]).secret(ref) == ISSUER.certificate


def test_others_cannot_read_it(demo: httpx.Client, admin: httpx.Client, keys: Barbican) -> None:
    ref = stored(admin, ISSUER.certificate)
    with pytest.raises(CannotRead, match="you have no right"):
        keys.seen_by(demo.headers["X-Auth-Token"]).secret(ref)


def test_what_is_not_there(demo: httpx.Client, keys: Barbican) -> None:
    for kind in ("secrets", "containers"):
        with pytest.raises(CannotRead, match="no such secret"):
            keys.seen_by(demo.headers["X-Auth-Token"]).certificate(
                f"https://elsewhere.example.com/v1/{kind}/4f7a2f6e-1111-4000-8000-000000000000"
            )
