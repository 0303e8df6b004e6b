"""A key manager in memory that behaves: certificates that were put into it, hidden from some, not answering on demand.

With `anything` (the `--noop` mode) each reference names a usable certificate, CA and revocation list.
"""

import copy
import datetime as dt
import functools
import itertools
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hydria.drivers import tls_material
from hydria.drivers.key_manager import CannotRead
from hydria.drivers.tls_material import Certificate, Unusable

_DAY = dt.timedelta(days=1)


class Issuer:
    """A CA that signs whatever it is asked for. Its certificate and its (empty) revocation list are PEM."""

    def __init__(self, name: str, above: "Issuer | None" = None) -> None:
        self.name, self._key = _named(name), ec.generate_private_key(ec.SECP256R1())
        self.certificate = (above or self).sign(self.name, self._key.public_key(), [], authority=True)

    @property
    def revocations(self) -> bytes:
        today = dt.datetime.now(dt.UTC)
        builder = x509.CertificateRevocationListBuilder(self.name, today - _DAY, today + 30 * _DAY)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def issue(self, *names: str, days: int = 30) -> tuple[bytes, bytes]:
        """Certificate and private key for the DNS `names`, of which the first is the common name too."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        subject = _named(names[0]) if names else x509.Name([])
        return self.sign(subject, key.public_key(), names, days=days), pem

    def sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        names: Sequence[str],
        *,
        days: int = 30,
        authority: bool = False,
    ) -> bytes:
        today = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(today - 365 * _DAY)
            .not_valid_after(today + days * _DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


class FakeKeyManager:
    """drivers.key_manager.KeyManager."""

    def __init__(self, *, anything: bool = False) -> None:
        self._anything = anything
        self._held: dict[str, Certificate | bytes] = {}
        self._hidden: set[tuple[str, str]] = set()
        self._failing: list[Exception] = []
        self._numbers = itertools.count(1)
        self._token = ""

    # What a test arranges.

    def put(self, content: Certificate | bytes) -> str:
        """Its reference."""
        kind = "containers" if isinstance(content, Certificate) else "secrets"
        ref = f"https://keys.example.com/v1/{kind}/{next(self._numbers):08d}-0000-4000-8000-000000000000"
        self._held[ref] = content
        return ref

    def hide(self, ref: str, token: str) -> None:
        """The token's owner has no right to it."""
        self._hidden.add((ref, token))

    def fail(self, error: Exception) -> None:
        """The next call raises it."""
        self._failing.append(error)

    # KeyManager.

    def seen_by(self, token: str) -> "FakeKeyManager":
        view = copy.copy(self)
        view._token = token  # noqa: SLF001 - a copy of ourselves
        return view

    def certificate(self, ref: str) -> Certificate:
        held = self._find(ref)
        if held is None:
            return anyones().certificate
        if isinstance(held, Certificate):
            return held
        try:
            return tls_material.from_pkcs12(held)
        except Unusable as error:
            raise CannotRead(ref, str(error)) from None

    def secret(self, ref: str) -> bytes:
        held = self._find(ref)
        if held is None:
            return anyones().authority
        if isinstance(held, Certificate):
            raise CannotRead(ref, "it names a container, where a secret is needed")
        return held

    def _find(self, ref: str) -> Certificate | bytes | None:
        if self._failing:
            raise self._failing.pop()
        if (ref, self._token) in self._hidden:
            raise CannotRead(ref, "you have no right to read it")
        if ref not in self._held and not self._anything:
            raise CannotRead(ref, "the key manager has no such secret")
        return self._held.get(ref)


class _Anyones:
    def __init__(self) -> None:
        issuer = Issuer("Hydria no-op CA")
        self.certificate = tls_material.from_parts(*issuer.issue("noop.example.com"), intermediates=issuer.certificate)
        self.authority = issuer.certificate + issuer.revocations
        """In one: whoever looks for a CA or for its revocation list finds it."""


@functools.cache
def anyones() -> _Anyones:
    """Made when it is first needed, once per process: keys cost time."""
    return _Anyones()


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
