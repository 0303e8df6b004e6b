"""What an image tells of itself: in its own /etc/hydria/image.json, beside it, and as properties in the image service.

Knows no build and no cloud.
"""

from msgspec import Struct

from hydria.model.spec import VERSIONS

PATH = "/etc/hydria/image.json"
PREFIX = "hydria_"
"""Of the image service's properties."""


class Facts(Struct, kw_only=True, frozen=True):
    version: str
    """Of Hydria, whose agent is in it."""
    spec_versions: tuple[int, ...] = VERSIONS
    nftables: bool = True
    pinning: bool = False
    sshd: bool = False
    distribution: str = ""
    """As debian-12."""
    architecture: str = "amd64"
    kernel: str = ""
    """Its release."""
    haproxy: str = ""
    """Its version."""
    created: str = ""
    """RFC 3339, UTC."""
    command_line: str = ""
    """Of the kernel, for those who boot it directly."""
