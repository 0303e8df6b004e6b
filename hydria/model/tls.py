"""What listeners and pools say of TLS: the values that fields of both may have."""

from typing import Annotated, Literal

from msgspec import Meta

from hydria.base.tls_options import AlpnProtocol, TlsVersion

Ciphers = Annotated[str, Meta(min_length=1, max_length=2048, pattern=r"^[A-Za-z0-9\-+!:@=_.]*\Z")]
"""An OpenSSL cipher string. It is written into the proxy's configuration, so no other characters."""
TlsVersions = Annotated[list[TlsVersion], Meta(min_length=1)]
AlpnProtocols = Annotated[list[AlpnProtocol], Meta(min_length=1)]
"""Left out, both are the deployment's defaults where TLS is used, else null; an empty list would mean no TLS at all."""
ContainerRef = Annotated[str, Meta(max_length=255)]
"""Of a secret or a container in the key manager."""
ClientAuthentication = Literal["NONE", "OPTIONAL", "MANDATORY"]
