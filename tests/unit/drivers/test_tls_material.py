"""Certificates as users hand them in."""

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs7,
    pkcs12,
)

from hydria.drivers import tls_material
from hydria.drivers.fake_key_manager import Issuer, anyones
from hydria.drivers.tls_material import Unusable

ROOT = Issuer("root")
MIDDLE = Issuer("middle", ROOT)
LOW = Issuer("low", MIDDLE)
CERTIFICATE, KEY = LOW.issue("www.example.com", "example.com")
ABOVE = (LOW.certificate.decode(), MIDDLE.certificate.decode(), ROOT.certificate.decode())


def certificates(*pems: str) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates("".join(pems).encode())


def encrypted(key: bytes, passphrase: bytes) -> bytes:
    how = (Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    return load_pem_private_key(key, None).private_bytes(*how)


def bundle(
    *above: str, passphrase: bytes | None = None, key: bytes | None = KEY, pem: bytes | None = CERTIFICATE
) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"www",
        load_pem_private_key(key, None) if key else None,  # type: ignore[arg-type] # an EC key
        x509.load_pem_x509_certificate(pem) if pem else None,
        certificates(*above) if above else None,
        BestAvailableEncryption(passphrase) if passphrase else NoEncryption(),
    )


def test_a_plain_pair() -> None:
    held = tls_material.from_parts(CERTIFICATE, KEY)
    assert (held.certificate.encode(), held.private_key.encode(), held.intermediates) == (CERTIFICATE, KEY, ())
    assert held.names == ("www.example.com", "example.com")
    assert held.expires_at > dt.datetime.now(dt.UTC)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
def test_intermediates_are_put_in_order(order: tuple[int, ...]) -> None:
    mixed = [ABOVE[number] for number in order]
    assert tls_material.from_parts(CERTIFICATE, KEY, intermediates="".join(mixed).encode()).intermediates == ABOVE
    assert tls_material.from_pkcs12(bundle(*mixed)).intermediates == ABOVE


def test_strangers_stay_at_the_end_and_the_certificate_is_not_repeated() -> None:
    stranger = Issuer("stranger").certificate
    given = stranger + CERTIFICATE + LOW.certificate
    held = tls_material.from_parts(CERTIFICATE, KEY, intermediates=given)
    assert held.intermediates == (ABOVE[0], stranger.decode())


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER], ids=["PEM", "DER"])
def test_intermediates_in_pkcs7(encoding: Encoding) -> None:
    packed = pkcs7.serialize_certificates(certificates(*ABOVE), encoding)
    assert tls_material.from_parts(CERTIFICATE, KEY, intermediates=packed).intermediates == ABOVE


def test_an_encrypted_key_is_decrypted() -> None:
    held = tls_material.from_parts(CERTIFICATE, encrypted(KEY, b"open sesame"), passphrase=b"open sesame")
    assert held.private_key.encode() == KEY


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        pytest.param((b"nonsense", KEY, None, b""), "is not an X.509", id="no certificate"),
        pytest.param((CERTIFICATE, b"nonsense", None, b""), "private key is not one", id="no key"),
        pytest.param((CERTIFICATE, encrypted(KEY, b"x"), None, b""), "there is no passphrase", id="no passphrase"),
        pytest.param((CERTIFICATE, encrypted(KEY, b"x"), b"y", b""), "passphrase is wrong", id="wrong passphrase"),
        pytest.param((CERTIFICATE, KEY, b"x", b""), "not encrypted", id="passphrase too many"),
        pytest.param((CERTIFICATE, ROOT.issue("a")[1], None, b""), "does not belong", id="another's key"),
        pytest.param((CERTIFICATE, KEY, None, b"nonsense"), "intermediates", id="no intermediates"),
        pytest.param((*LOW.issue(), None, b""), "neither a common name nor", id="no name"),
    ],
)
def test_unusable_parts(parts: tuple[bytes, bytes, bytes | None, bytes], reason: str) -> None:
    certificate, key, passphrase, intermediates = parts
    with pytest.raises(Unusable, match=reason):
        tls_material.from_parts(certificate, key, passphrase=passphrase, intermediates=intermediates)


@pytest.mark.parametrize("kind", ["RSA", "Ed25519"])
def test_a_key_of_another_kind_does_not_belong(kind: str) -> None:
    other = rsa.generate_private_key(65537, 2048) if kind == "RSA" else ed25519.Ed25519PrivateKey.generate()
    pem = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(Unusable, match="does not belong"):
        tls_material.from_parts(CERTIFICATE, pem)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(b"nonsense", "is not a PKCS12", id="nonsense"),
        pytest.param(b"", "is not a PKCS12", id="empty"),
        pytest.param(bundle(passphrase=b"x"), "needs a passphrase", id="passphrase"),
        pytest.param(bundle(key=None), "no private key", id="no key"),
        pytest.param(bundle(pem=None), "no certificate", id="no certificate"),
    ],
)
def test_unusable_bundles(content: bytes, reason: str) -> None:
    with pytest.raises(Unusable, match=reason):
        tls_material.from_pkcs12(content)


def test_revocations_of_one_of_several_cas() -> None:
    both = tls_material.authorities(ROOT.certificate + LOW.certificate)
    tls_material.check_revocations(LOW.revocations, both)
    with pytest.raises(Unusable, match="not signed by"):
        tls_material.check_revocations(MIDDLE.revocations, both)


def test_what_anybody_gets_in_no_op_mode_is_usable() -> None:
    given = anyones()
    assert given.certificate.names == ("noop.example.com",)
    tls_material.check_revocations(given.authority, tls_material.authorities(given.authority))
