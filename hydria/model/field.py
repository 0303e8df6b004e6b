"""One line per field: from its annotation come the create, update and response forms and the database column.

address: Annotated[Ip, CREATE]            only in POST (and in every answer)
weight: Annotated[int, Meta(ge=0, le=256)] = 1        in POST and PUT
provisioning_status: Annotated[ProvisioningStatus, READ] = ...   Hydria sets it
request_sriov: Annotated[bool, REQUEST] = False       only in POST, never stored
private_key: Annotated[Pem | None, WRITE] = None     in POST and PUT, neither shown nor stored as it is
generation: Annotated[int, INTERNAL] = 0              stored, never shown
"""

import enum
import functools
import ipaddress
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar, Union

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from hydria.base.errors import Invalid, invalid_field


class Access(enum.Enum):
    CREATE = "create"
    UPDATE = "update"
    READ = "read"
    REQUEST = "request"
    WRITE = "write"
    INTERNAL = "internal"


CREATE, READ, REQUEST = Access.CREATE, Access.READ, Access.REQUEST
WRITE, INTERNAL = Access.WRITE, Access.INTERNAL


class Check(Struct, frozen=True):
    """A rule that a JSON type cannot express. `normalize` returns the stored form or raises ValueError."""

    normalize: Callable[[Any], Any]


def _ip(text: str) -> str:
    if "%" in text:  # ipaddress accepts any text as a scope id; it would reach configuration files.
        raise ValueError("An address with a scope id cannot be used.")
    return str(ipaddress.ip_address(text))


def _ip_as_written(text: str) -> str:
    _ip(text)
    return text


def _cidr(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))


_UUID = r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}"


def _uuid(text: str) -> str:
    """UUIDs in any case; the API's clients send them with and without hyphens (projects have none)."""
    if not re.fullmatch(_UUID, text):
        raise ValueError("Value should be UUID format")
    return text


def text(max_length: int, normalize: Callable[[str], str], **schema: Any) -> tuple[Meta, Check]:
    """Of a string with a check of ours. `schema`: what the API's description says of it, in JSON Schema's words."""
    return Meta(max_length=max_length, extra_json_schema=schema), Check(normalize)


Ip = Annotated[str, *text(64, _ip, anyOf=[{"format": "ipv4"}, {"format": "ipv6"}])]
IpAsWritten = Annotated[str, *text(64, _ip_as_written, anyOf=[{"format": "ipv4"}, {"format": "ipv6"}])]
"""Answers have the very text of the request, where clients compare it: 2001:db8:0:0:0:0:0:1 stays that."""
Cidr = Annotated[str, *text(64, _cidr, examples=["192.0.2.0/24", "2001:db8::/64"])]
Uuid = Annotated[str, *text(36, _uuid, pattern=f"^{_UUID}$")]
Text = Annotated[str, Meta(max_length=255)]
Port = Annotated[int, Meta(ge=1, le=65535)]
Tags = list[Text]


class Field(Struct, frozen=True):
    name: str
    type: Any
    """The annotation without our own markers: what msgspec decodes."""
    access: Access
    nullable: bool
    default: Any
    """msgspec.NODEFAULT where a value must be given."""
    default_factory: Any

    @property
    def required(self) -> bool:
        return self.default is msgspec.NODEFAULT and self.default_factory is msgspec.NODEFAULT

    def default_value(self) -> Any:
        return self.default if self.default is not msgspec.NODEFAULT else self.default_factory()

    @property
    def stored(self) -> bool:
        return self.access not in (Access.REQUEST, Access.WRITE)

    @property
    def public(self) -> bool:
        return self.access not in (Access.REQUEST, Access.WRITE, Access.INTERNAL)

    @property
    def check(self) -> Callable[[Any], Any] | None:
        return _check_of(self.type)


R = TypeVar("R", bound=Struct)


def key(resource: type[Struct]) -> str:
    """The field that tells its rows apart, in paths, markers and references."""
    return getattr(resource, "KEY", "id")


@functools.cache
def fields(resource: type[Struct]) -> tuple[Field, ...]:
    """All fields of a resource, in the order of their definition, those of its bases first."""
    hints = typing.get_type_hints(resource, include_extras=True)
    found = []
    for info in msgspec.structs.fields(resource):
        hint = hints[info.name]
        access = next((mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Access)), Access.UPDATE)
        found.append(
            Field(
                name=info.name,
                type=hint,
                access=access,
                nullable=type(None) in typing.get_args(_bare(hint)),
                default=info.default,
                default_factory=info.default_factory,
            )
        )
    return tuple(found)


def _bare(hint: Any) -> Any:
    return hint.__origin__ if typing.get_origin(hint) is Annotated else hint


def _check_of(hint: Any) -> Callable[[Any], Any] | None:
    """The normalizer of a type: its own, its element's, or that of the not-None half of a union."""
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, Check):
            return mark.normalize
    bare = _bare(hint)
    arguments = typing.get_args(bare)
    if typing.get_origin(bare) in (Union, types.UnionType):
        inner = [check for check in map(_check_of, arguments) if check]
        return inner[0] if inner else None
    if typing.get_origin(bare) in (list, tuple) and arguments:
        element = _check_of(arguments[0])
        return None if element is None else lambda items: [element(item) for item in items]
    return None


def is_words(hint: Any) -> bool:
    """A list of strings, or none."""
    bare = _bare(hint)
    if typing.get_origin(bare) in (Union, types.UnionType):
        return any(map(is_words, typing.get_args(bare)))
    if typing.get_origin(bare) is not list:
        return False
    element = _bare(typing.get_args(bare)[0])
    return element is str or typing.get_origin(element) is typing.Literal


def creatable(resource: type[Struct]) -> tuple[Field, ...]:
    """What a POST may say."""
    return tuple(field for field in fields(resource) if field.access not in (Access.READ, Access.INTERNAL))


def updatable(resource: type[Struct]) -> tuple[Field, ...]:
    """What a PUT may say."""
    return tuple(field for field in fields(resource) if field.access in (Access.UPDATE, Access.WRITE))


@functools.cache
def create_form(resource: type[Struct], *, without: tuple[str, ...] = ()) -> type[Struct]:
    """The struct that decodes a POST body: unknown fields refused, required ones demanded, the rest may be absent.

    `without`: fields that the place of the body says already, as a member's pool_id; the body must not hold them.
    """
    definition = [
        (field.name, field.type) if field.required else (field.name, field.type | None | UnsetType, UNSET)
        for field in creatable(resource)
        if field.name not in without
    ]
    return msgspec.defstruct(f"{resource.__name__}Create", definition, kw_only=True, forbid_unknown_fields=True)


@functools.cache
def update_form(resource: type[Struct]) -> type[Struct]:
    """The struct that decodes a PUT body: only mutable fields; absent = unchanged, null = back to the default."""
    definition = [(field.name, field.type | None | UnsetType, UNSET) for field in updatable(resource)]
    return msgspec.defstruct(f"{resource.__name__}Update", definition, kw_only=True, forbid_unknown_fields=True)


def new(resource: type[R], form: Struct, **set_by_us: Any) -> R:
    """A resource from a decoded POST body and the values that the server decides. Raises Invalid."""
    values = {**given(resource, form), **set_by_us}
    return resource(**{name: value for name, value in values.items() if name in resource.__struct_fields__})


def given(resource: type[Struct], form: Struct) -> dict[str, Any]:
    """What a decoded body says, checked and normalized; null has become the default. Raises Invalid."""
    by_name = {field.name: field for field in fields(resource)}
    values: dict[str, Any] = {}
    for name in form.__struct_fields__:
        value = getattr(form, name)
        if value is UNSET:
            continue
        field = by_name[name]
        if value is None:
            if field.required:
                raise invalid_field(name, value, "Mandatory field missing.")
            value = field.default_value()
        if value is not None and field.check is not None:
            try:
                value = field.check(value)
            except ValueError as error:
                raise invalid_field(name, value, str(error)) from error
        values[name] = value
    return values


def decode(form: type[R], value: Any) -> R:
    """Builtins (parsed JSON) → form. Raises Invalid with the field's name and a wording that clients know."""
    try:
        # Clients of Octavia send numbers and booleans as text, too: "80", "true".
        return msgspec.convert(value, form, strict=False)
    except msgspec.ValidationError as error:
        raise _explained(str(error), value) from error


def _explained(text: str, body: Any) -> Invalid:
    reason, _, path = text.partition(" - at `$")
    if unknown := re.search(r"unknown field `([^`]+)`", reason):
        return Invalid(
            f"Unknown attribute for argument {path.rstrip('`').lstrip('.') or 'body'}: {unknown[1]}", field=unknown[1]
        )
    if missing := re.search(r"missing required field `([^`]+)`", reason):
        return Invalid(
            f"Invalid input for field/attribute {missing[1]}. Value: 'None'. Mandatory field missing.", field=missing[1]
        )
    name = path.rstrip("`").lstrip(".") or "body"
    return invalid_field(name, _value_at(body, name), f"{reason}.")


def _value_at(body: Any, path: str) -> Any:
    for part in re.findall(r"[^.\[\]]+", path):
        if isinstance(body, Mapping):
            body = body.get(part)
        elif isinstance(body, list) and part.isdigit():
            body = body[int(part)]
    return body


def public(resource: Struct) -> dict[str, Any]:
    """What an answer shows of a resource's own fields, as JSON types; relations are added by the API."""
    values = msgspec.to_builtins(resource)
    return {name: values[name] for name in _public_names(type(resource))}


@functools.cache
def _public_names(resource: type[Struct]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(resource) if field.public)
