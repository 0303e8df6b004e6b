"""What operators offer to users: the providers, and the profiles whose data says what one of them shall do."""

import datetime as dt
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from hydria.base.errors import Invalid, Unsupported, invalid_field
from hydria.model.field import INTERNAL, Text
from hydria.model.resource import Resource

D = TypeVar("D", bound=Struct)

PROVIDERS = {"amphora": "The Octavia Amphora driver.", "octavia": "Deprecated alias of the Octavia Amphora driver."}
"""Names under which clients of Octavia ask for load balancers; both mean ours. They compare the descriptions, too."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]
Data = Annotated[str, Meta(max_length=4096)]
"""A JSON object as text; a struct of its own says what may be in it."""


class Offer(Resource, kw_only=True, frozen=True):
    created_at: Annotated[dt.datetime | None, INTERNAL] = None
    updated_at: Annotated[dt.datetime | None, INTERNAL] = None


class Profile(Offer, kw_only=True, frozen=True):
    name: Name
    provider_name: Text


def check_provider(name: str) -> str:
    if name not in PROVIDERS:
        raise Invalid(f"Provider '{name}' is not enabled.", field="provider")
    return name


def parse_data(attribute: str, text: str, kind: type[D]) -> D:
    """A profile's data. Raises Invalid (no JSON object), Unsupported (an unknown key or type)."""
    try:
        value = msgspec.json.decode(text.encode())
    except msgspec.DecodeError as error:
        raise invalid_field(attribute, text, f"It must be a JSON object: {error}.") from error
    if not isinstance(value, dict):
        raise invalid_field(attribute, text, "It must be a JSON object.")
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise Unsupported(f"Provider 'amphora' does not support a requested option: {attribute}: {error}") from error


def capabilities(kind: type[Struct]) -> list[dict[Literal["name", "description"], str]]:
    """The keys of a profile's data, each with its meaning."""
    schema: dict[str, Any] = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"]
    return [{"name": name, "description": entry.get("description", "")} for name, entry in schema.items()]
