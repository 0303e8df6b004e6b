"""Request bodies → typed forms, with Nova's words for what is wrong. Knows no resource."""

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from hydria.base.errors import Invalid, invalid_field

F = TypeVar("F")

Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
Metadata = dict[Annotated[str, Meta(min_length=1, max_length=255)], Annotated[str, Meta(max_length=255)]]

LOCATED = re.compile(r"^(?P<reason>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
"""How msgspec says where in a document it found something."""


class Form(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    pass


def document(body: bytes) -> dict[str, Any]:
    """Raises Invalid where the body is no JSON object."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise Invalid("Malformed request body") from error


def read(body: bytes, envelope: str, form: type[F]) -> F:
    """The object below `envelope`. Raises Invalid, naming the field."""
    content = document(body)
    if envelope not in content:
        raise invalid_field(envelope, None, f"'{envelope}' is a required property.")
    return convert(content[envelope], envelope, form)


def convert(content: Any, name: str, form: type[F]) -> F:
    """`content` stands below `name` in the body. As Nova does, "80" is taken for 80. Raises Invalid."""
    try:
        return msgspec.convert(content, form, strict=False)
    except msgspec.ValidationError as error:
        located = LOCATED.fullmatch(str(error))
        reason, path = (located["reason"], located["path"]) if located else (str(error), None)
        if "unknown field" in reason:
            unknown = reason.partition("`")[2].rstrip("`")
            reason = f"Additional properties are not allowed ('{unknown}' was unexpected)"
        raise invalid_field(path or name, _value(content, path), f"{reason}.") from error


def _value(content: Any, path: str | None) -> Any:
    """What stands at `path`; nothing where that is many values or the whole."""
    for key in (path or "...").split("."):
        if not isinstance(content, dict) or key not in content:
            return "..."
        content = content[key]
    return content
