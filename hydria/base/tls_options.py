"""Names of TLS versions and protocols, as both the configuration and the resources of the API spell them."""

from typing import Literal

TlsVersion = Literal["SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
"""The oldest first: "minimum" means this order."""
AlpnProtocol = Literal["h2", "http/1.1", "http/1.0"]
