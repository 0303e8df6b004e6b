"""Certificates, keys, CAs and revocation lists as users hand them in: read, checked, in one form. Pure."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes, PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import NameOID


class Unusable(ValueError):
    """Says what is wrong with it, without quoting it."""


@dataclass(frozen=True)
class Certificate:
    """PEM, ready to be served."""

    certificate: str
    private_key: str
    """Not encrypted. Never log it."""
    intermediates: tuple[str, ...]
    """Each signs the one before it, the first the certificate."""
    names: tuple[str, ...]
    expires_at: dt.datetime

    def __repr__(self) -> str:
        return f"Certificate(names={self.names}, expires_at={self.expires_at.isoformat()})"


def from_parts(
    certificate: bytes, private_key: bytes, *, passphrase: bytes | None = None, intermediates: bytes = b""
) -> Certificate:
    """The parts of a certificate container: PEM; the intermediates may be PKCS7. Raises Unusable."""
    try:
        leaf = x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise Unusable("its certificate is not an X.509 certificate in PEM") from error
    return _checked(leaf, _private_key(private_key, passphrase), _intermediates(intermediates))


def from_pkcs12(bundle: bytes) -> Certificate:
    """Raises Unusable."""
    try:
        held = pkcs12.load_pkcs12(bundle, None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable("it is not a PKCS12 bundle, or one that needs a passphrase") from error
    if held.key is None or held.cert is None:
        raise Unusable(f"its PKCS12 bundle has no {'private key' if held.key is None else 'certificate'}")
    return _checked(held.cert.certificate, held.key, [extra.certificate for extra in held.additional_certs])


def authorities(pem: bytes) -> list[x509.Certificate]:
    """The CAs that clients' or members' certificates may be signed by. Raises Unusable."""
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise Unusable("it is not an X.509 certificate in PEM") from error


def check_revocations(pem: bytes, cas: Sequence[x509.Certificate]) -> None:
    """Raises Unusable for what is no revocation list of one of `cas`."""
    revocations = revocation_list(pem)
    if not any(_signed_by(revocations, ca) for ca in cas):
        raise Unusable("the certificate revocation list is not signed by the CA that is named with it")


def revocation_list(pem: bytes) -> x509.CertificateRevocationList:
    """Raises Unusable."""
    try:
        return x509.load_pem_x509_crl(pem)
    except ValueError as error:
        raise Unusable("it is not a certificate revocation list in PEM") from error


def _signed_by(revocations: x509.CertificateRevocationList, ca: x509.Certificate) -> bool:
    try:
        return revocations.is_signature_valid(cast("CertificateIssuerPublicKeyTypes", ca.public_key()))
    except (TypeError, ValueError, UnsupportedAlgorithm):  # a key that signs nothing
        return False


def _private_key(pem: bytes, passphrase: bytes | None) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem, passphrase)
    except TypeError as error:  # cryptography's way to say that there is a passphrase too many, or one too few
        state = "not encrypted, yet there is a passphrase" if passphrase else "encrypted, and there is no passphrase"
        raise Unusable(f"its private key is {state}") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable("its private key is not one in PEM, or its passphrase is wrong") from error


def _intermediates(held: bytes) -> list[x509.Certificate]:
    if not held.strip():
        return []
    try:
        if b"-----BEGIN CERTIFICATE-----" in held:
            return x509.load_pem_x509_certificates(held)
        if b"-----BEGIN PKCS7-----" in held:
            return pkcs7.load_pem_pkcs7_certificates(held)
        return pkcs7.load_der_pkcs7_certificates(held)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Unusable("its intermediates are neither certificates in PEM nor PKCS7") from error


def _checked(leaf: x509.Certificate, key: PrivateKeyTypes, others: Sequence[x509.Certificate]) -> Certificate:
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        fits = leaf.public_key().public_bytes(*public) == key.public_key().public_bytes(*public)
        called = names(leaf)
    except (ValueError, UnsupportedAlgorithm) as error:  # certificates are decoded piece by piece, when asked
        raise Unusable("its certificate has parts that cannot be read") from error
    if not fits:
        raise Unusable("its private key does not belong to its certificate")
    if not called:
        raise Unusable("its certificate has neither a common name nor a DNS name")
    return Certificate(
        certificate=_pem(leaf),
        private_key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        intermediates=tuple(map(_pem, _in_order(leaf, others))),
        names=called,
        expires_at=leaf.not_valid_after_utc,
    )


def _in_order(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """As TLS sends them, whatever order they came in; those that belong to no chain stay, at the end."""
    left, chain = [other for other in others if other != leaf], [leaf]
    while above := next((other for other in left if other.subject == chain[-1].issuer), None):
        chain.append(above)
        left.remove(above)
    return chain[1:] + left


def names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Common name and DNS names."""
    common = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        common += extension.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        pass
    return tuple(dict.fromkeys(name.lower() for name in common))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
