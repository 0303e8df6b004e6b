"""What an image tells of itself: in its own /etc/hydria/image.json, beside it, and as properties in the image service.

Knows no build and no cloud.
"""

from collections.abc import Mapping

import msgspec
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


def properties(facts: Facts) -> dict[str, str]:
    """Of the image service, whose values are text: what is none in Facts is JSON. What is empty is left out."""
    values = msgspec.to_builtins(facts)
    texts = {name: _text(value) for name, value in values.items()}
    return {PREFIX + name: text for name, text in texts.items() if text}


def from_properties(properties: Mapping[str, object]) -> Facts | None:
    """None: an image that says nothing of Hydria, or not as this version understands it. Unknown ones are ignored."""
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(Facts)}
    found = {name: properties[PREFIX + name] for name in fields if PREFIX + name in properties}
    try:
        values = {
            name: value if fields[name] is str else msgspec.json.decode(str(value)) for name, value in found.items()
        }
        return msgspec.convert(values, Facts)
    except msgspec.MsgspecError:
        return None


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
