"""The embedded CA between controller and agents, and the key that seals heartbeats: files of one directory."""

import contextlib
import datetime as dt
import fcntl
import secrets
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hydria.base import private_file, tls

_CA_DAYS = 3650
_CLIENT_DAYS = 3650
_CLOCK_SKEW = dt.timedelta(minutes=5)
"""Amphorae whose clock is a little behind ours must not refuse a new certificate."""


@dataclass(frozen=True)
class Issued:
    """PEM: the certificate, then its private key. Never logged."""

    pem: str
    expires_at: dt.datetime

    def __repr__(self) -> str:
        return f"Issued(expires_at={self.expires_at.isoformat()})"


@dataclass(frozen=True, repr=False)
class Authority:
    """The CA, loaded. Threads may share it."""

    directory: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    heartbeat_key: str

    @property
    def ca_pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def client_context(self) -> ssl.SSLContext:
        return tls.client_context(self.directory / "ca.pem", self.directory / "client.pem")

    def issue(self, amphora_id: str, days: int) -> Issued:
        """A server certificate whose only name is the amphora's id, for we call amphorae by address."""
        names = x509.SubjectAlternativeName([x509.DNSName(amphora_id)])
        return _issue((self.certificate, self.key), amphora_id, days, ExtendedKeyUsageOID.SERVER_AUTH, names)


def ensure_ca(directory: Path) -> Authority:
    """Load the CA, the controller's own certificate and the heartbeat key; make those that are missing."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(directory):
        if not (directory / "ca.pem").exists():
            _make_ca(directory)
        certificate = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
        key = load_pem_private_key((directory / "ca.key").read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError(f"{directory}/ca.key is no EC key")
        if not (directory / "client.pem").exists():
            issued = _issue((certificate, key), tls.CONTROLLER_NAME, _CLIENT_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH)
            private_file.write(directory / "client.pem", issued.pem.encode())
        if not (directory / "heartbeat.key").exists():
            private_file.write(directory / "heartbeat.key", secrets.token_hex(32).encode())
        return Authority(directory, certificate, key, (directory / "heartbeat.key").read_text())


def ensure_secret(directory: Path, name: str, make: Callable[[], bytes]) -> bytes:
    """The content of a file that only we can read; made when it is missing."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / name
    with _locked(directory):
        if not path.exists():
            private_file.write(path, make())
        return path.read_bytes()


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Two processes that start at once agree on one CA. The kernel drops the lock of one that dies."""
    with (directory / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make_ca(directory: Path) -> None:
    """The key first: a certificate without its key would look like a CA that is ready."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Hydria CA")])
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    certificate = (
        _builder(name, name, public, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    private_file.write(directory / "ca.key", _private_pem(key).encode())
    private_file.write(directory / "ca.pem", certificate.public_bytes(Encoding.PEM))


def _issue(
    signer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
    name: str,
    days: int,
    purpose: x509.ObjectIdentifier,
    names: x509.SubjectAlternativeName | None = None,
) -> Issued:
    authority, authority_key = signer
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        _builder(subject, authority.subject, key.public_key(), days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
    )
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    certificate = builder.sign(authority_key, hashes.SHA256())
    pem = certificate.public_bytes(Encoding.PEM).decode() + _private_pem(key)
    return Issued(pem, certificate.not_valid_after_utc)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
