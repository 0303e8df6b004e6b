"""TLS between controller and agents: both sides show a certificate of the same CA, and each checks who the other is."""

import ssl
from pathlib import Path

CONTROLLER_NAME = "hydria-controller"
"""Common name of the only client an agent listens to."""


def client_context(ca: Path, certificate: Path) -> ssl.SSLContext:
    """For calling agents. `certificate` holds our certificate and key. The server's name is checked at connecting."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate)
    return context


def server_context(ca: Path, certificate: Path) -> ssl.SSLContext:
    """For an agent: a client without a certificate of `ca` does not get past the handshake."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certificate)
    return context


def peer_name(connection: ssl.SSLSocket) -> str | None:
    """Common name of the other side's certificate, which the handshake has verified."""
    certificate = connection.getpeercert() or {}
    parts = certificate.get("subject", ())
    return next((pair[1] for part in parts for pair in part if pair[0] == "commonName"), None)
