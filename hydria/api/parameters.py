"""Query parameters, as the API's description has them. What they mean is `query`'s and the store's."""

from collections.abc import Collection
from typing import Any, Final

import msgspec
from msgspec import Struct

from hydria.store import query as stored

Schema = dict[str, Any]
_WORDS: Final[Schema] = {"type": "array", "items": {"type": "string"}}


def _parameter(name: str, schema: Schema, description: str) -> Schema:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


FIELDS: Final = _parameter("fields", _WORDS, "Answer only with these attributes.")


def flag(name: str, description: str) -> Schema:
    return _parameter(name, {"type": "string", "examples": ["true", "false"]}, description)


def attribute(name: str, schema: Schema | None = None) -> Schema:
    return _parameter(
        name,
        {"type": "array", "items": schema or {"type": "string"}},
        "Only what has this value; of several values one suffices.",
    )


def of_list(resource: type[Struct], *, without: Collection[str] = ()) -> list[Schema]:
    """`without`: filters that the path says."""
    sortable = {field.name: field for field in stored.sortable(resource)}
    filters = [name for name in stored.filterable(resource) if name not in without]
    found = [attribute(name, _filter(sortable[name].type) if name in sortable else None) for name in filters]
    keys = {"type": "string", "enum": list(sortable)}
    return [
        _parameter("limit", {"type": "integer"}, "Rows of a page; at most and by default, what the operator allows."),
        _parameter("marker", {"type": "string"}, "The id of the last row of the page before."),
        _parameter("page_reverse", {"type": "string", "examples": ["True"]}, "The page before the marker."),
        _parameter("sort", _WORDS, "Attributes, each with :asc or :desc, separated by commas."),
        _parameter("sort_key", {"type": "array", "items": keys}, "An attribute to sort by."),
        _parameter("sort_dir", {"type": "array", "items": {"enum": ["asc", "desc"]}}, "One for each sort_key."),
        *(_tags() if "tags" in resource.__struct_fields__ else ()),
        *found,
    ]


def _tags() -> list[Schema]:
    meanings = {
        "tags": "Only what has all of these tags; they may also be separated by commas.",
        "tags-any": "Only what has one of these tags.",
        "not-tags": "Only what has not all of these tags.",
        "not-tags-any": "Only what has none of these tags.",
    }
    return [_parameter(name, _WORDS, text) for name, text in meanings.items()]


def _filter(type_: Any) -> Schema:
    """Numbers must be numbers; any other text is only not found."""
    (schema,), _ = msgspec.json.schema_components([type_])
    kinds = {option.get("type") for option in schema.get("anyOf", [schema])}
    number = next((kind for kind in ("integer", "number") if kind in kinds), None)
    if number:
        return {"type": number}
    return {"type": "string", "enum": list(stored.BOOLEANS)} if "boolean" in kinds else {"type": "string"}
