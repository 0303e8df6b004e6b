"""One struct per API resource gives its table, its create and update forms and its answers.

A field is given by the caller (`Given`: at create and update, `GivenOnce`: at create) or is the cloud's own. Columns
bear the API's names, so that a row is the document that the API shows. Knows no resource by name.
"""

import functools
import types
import typing
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import JSON, Boolean, Column, ForeignKey, Integer, String, Table
from sqlalchemy.schema import SchemaItem

from hydria.base.errors import Invalid
from hydria.cloud.database import metadata

T = TypeVar("T")
R = TypeVar("R", bound=Struct)

Given = Annotated[T, Meta(extra={"given": ("create", "update")})]
GivenOnce = Annotated[T, Meta(extra={"given": ("create",)})]
Derived = Annotated[T, Meta(extra={"stored": False})]
"""Shown, yet kept in another table."""

NONE: Mapping[str, str] = types.MappingProxyType({})

Verb = Literal["create", "update"]


def new_id() -> str:
    return str(uuid.uuid4())


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def table(
    name: str,
    resource: type[Struct],
    *constraints: SchemaItem,
    references: Mapping[str, str] = NONE,
    owners: Mapping[str, str] = NONE,
    index: tuple[str, ...] = (),
) -> Table:
    """The table that keeps `resource`.

    `references`: field → the key of another table that it holds; `owners`: likewise, and it goes when that one goes.
    """
    columns = []
    for field in msgspec.structs.fields(resource):
        hint, extra = _hint(resource, field.name)
        if not extra.get("stored", True):
            continue
        kind, nullable = _column_type(hint)
        keys = [ForeignKey(references[field.name])] if field.name in references else []
        keys += [ForeignKey(owners[field.name], ondelete="CASCADE")] if field.name in owners else []
        primary, indexed = field.name == "id", field.name in index
        columns.append(
            Column(field.encode_name, kind, *keys, primary_key=primary, nullable=nullable, index=indexed),
        )
    return Table(name, metadata, *columns, *constraints)


def from_row(row: Sequence[Any], resource: type[R], **derived: object) -> R:
    """`row` holds all columns of the resource's table, in order; `derived` what the table does not keep."""
    return msgspec.convert({**dict(zip(stored_names(resource), row, strict=True)), **derived}, resource)


def to_row(resource: Struct) -> dict[str, Any]:
    """What the table keeps of `resource`."""
    values = msgspec.to_builtins(resource)
    return {name: values[name] for name in stored_names(type(resource))}


@functools.cache
def stored_names(resource: type[Struct]) -> tuple[str, ...]:
    fields = msgspec.structs.fields(resource)
    return tuple(field.encode_name for field in fields if _hint(resource, field.name)[1].get("stored", True))


def given(document: object, resource: type[Struct], verb: Verb) -> dict[str, Any]:
    """What a caller gave for `resource`, checked; keyed by the API's names. Raises Invalid."""
    if not isinstance(document, dict):
        raise Invalid(f"The body must hold an object, not {document!r}.")
    known = {field.encode_name for field in msgspec.structs.fields(resource)}
    if unknown := sorted(set(document) - known):
        raise Invalid(f"Unrecognized attribute(s) '{', '.join(unknown)}'", field=unknown[0])
    if refused := sorted(set(document) - givable(resource, verb)):
        method = "POST" if verb == "create" else "PUT"
        raise Invalid(f"Attribute '{refused[0]}' not allowed in {method}", field=refused[0])
    try:
        # As the real services do: "true" for true, "80" for 80.
        values = msgspec.convert(document, _form(resource, verb), strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(f"Invalid input: {error}") from error
    return typing.cast("dict[str, Any]", msgspec.to_builtins(values))


@functools.cache
def givable(resource: type[Struct], verb: Verb) -> frozenset[str]:
    """What a caller may give, by the API's names."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(_form(resource, verb)))


def changed(resource: R, values: Mapping[str, Any]) -> R:
    """A copy of `resource` with `values`, keyed by the API's names."""
    return msgspec.convert({**msgspec.to_builtins(resource), **values}, type(resource))


@functools.cache
def _form(resource: type[Struct], verb: Verb) -> type[Struct]:
    """Every field that may be given, none required: who needs one says so in the service's own words."""
    fields: list[tuple[str, Any, Any]] = []
    rename: dict[str, str] = {}
    for field in msgspec.structs.fields(resource):
        _, extra = _hint(resource, field.name)
        if verb in extra.get("given", ()):
            fields.append((field.name, field.type | UnsetType, UNSET))
            rename[field.name] = field.encode_name
    return msgspec.defstruct(f"{resource.__name__}_{verb}", fields, rename=rename, kw_only=True)


@functools.cache
def _hints(resource: type[Struct]) -> dict[str, Any]:
    return typing.get_type_hints(resource, include_extras=True)


def _hint(resource: type[Struct], name: str) -> tuple[Any, dict[str, Any]]:
    """Type of a field and what the markers above say of it."""
    hint, extra = _hints(resource)[name], dict[str, Any]()
    while typing.get_origin(hint) is Annotated:
        for meta in hint.__metadata__:
            extra |= getattr(meta, "extra", None) or {}
        hint = hint.__origin__
    return hint, extra


def _column_type(hint: Any) -> tuple[Any, bool]:
    choices = typing.get_args(hint) if typing.get_origin(hint) in {types.UnionType, typing.Union} else (hint,)
    (plain, *rest) = [choice for choice in choices if choice is not type(None)]
    while typing.get_origin(plain) is Annotated:
        plain = plain.__origin__
    nullable = len(rest) + 1 < len(choices)
    if typing.get_origin(plain) is Literal:
        plain = type(typing.get_args(plain)[0])
    return {str: String, int: Integer, bool: Boolean}.get(plain, JSON(none_as_null=True)), nullable
