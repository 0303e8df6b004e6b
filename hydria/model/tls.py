"""What listeners and pools say of TLS: the values that fields of both may have."""

from typing import Annotated, Literal

from msgspec import Meta

Ciphers = Annotated[str, Meta(max_length=2048, pattern=r"^[A-Za-z0-9\-+!:@=_.]*\Z")]
"""An OpenSSL cipher string. It is written into the proxy's configuration, so no other characters."""
TlsVersion = Literal["SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]
AlpnProtocol = Literal["h2", "http/1.1", "http/1.0"]
ContainerRef = Annotated[str, Meta(max_length=255)]
"""Of a secret or a container in the key manager."""
ClientAuthentication = Literal["NONE", "OPTIONAL", "MANDATORY"]
