import multiprocessing
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hydria.drivers.certificates import ensure_ca

AMPHORA = "5b3f4a52-7d57-4f8e-9a39-f6a0f4b4f4a1"


def test_twice_gives_the_same_and_secrets_are_ours_alone(tmp_path: Path) -> None:
    first = ensure_ca(tmp_path / "certificates")
    files = {path: path.read_bytes() for path in first.directory.iterdir()}
    second = ensure_ca(first.directory)
    assert {path: path.read_bytes() for path in first.directory.iterdir()} == files
    assert (second.ca_pem, second.heartbeat_key) == (first.ca_pem, first.heartbeat_key)
    assert stat.S_IMODE(first.directory.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in files if path.name != "lock"} == dict.fromkeys(
        ("ca.pem", "ca.key", "client.pem", "heartbeat.key"), 0o600
    )


@pytest.mark.parametrize("missing", ["ca.pem", "client.pem", "heartbeat.key"])
def test_what_an_interrupted_start_left_out_is_made_up_for(tmp_path: Path, missing: str) -> None:
    ensure_ca(tmp_path)
    (tmp_path / missing).unlink()
    if missing == "ca.pem":
        (tmp_path / "client.pem").unlink()
    authority = ensure_ca(tmp_path)
    authority.client_context()
    client = x509.load_pem_x509_certificate((tmp_path / "client.pem").read_bytes())
    client.verify_directly_issued_by(authority.certificate)


def _ca_pem(directory: Path) -> str:
    return ensure_ca(directory).ca_pem


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert len(set(pool.map(_ca_pem, [tmp_path] * 3))) == 1


def test_an_amphora_certificate(tmp_path: Path) -> None:
    authority = ensure_ca(tmp_path)
    issued = authority.issue(AMPHORA, 30)
    certificate = x509.load_pem_x509_certificate(issued.pem.encode())
    key = load_pem_private_key(issued.pem.encode(), password=None)
    certificate.verify_directly_issued_by(authority.certificate)
    assert key.public_key() == certificate.public_key()
    extensions = certificate.extensions
    names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [AMPHORA]
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    issuer = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    ca = authority.certificate.extensions
    assert issuer.key_identifier == ca.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert ca.get_extension_for_class(x509.BasicConstraints).value == x509.BasicConstraints(ca=True, path_length=0)
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 30
    assert issued.expires_at == certificate.not_valid_after_utc
    assert "PRIVATE" not in repr(issued)


def test_the_controllers_certificate_bears_its_name(tmp_path: Path) -> None:
    ensure_ca(tmp_path)
    certificate = x509.load_pem_x509_certificate((tmp_path / "client.pem").read_bytes())
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "hydria-controller"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_openssl_takes_them(tmp_path: Path) -> None:
    authority = ensure_ca(tmp_path)
    server = tmp_path / "server.pem"
    server.write_text(authority.issue(AMPHORA, 30).pem)
    ssl.create_default_context(cafile=tmp_path / "ca.pem").load_cert_chain(server)
