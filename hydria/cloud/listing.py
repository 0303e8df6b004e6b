"""What a list request asks for beyond plain filters: order, page, which fields. Pure."""

from collections.abc import Sequence
from typing import Any

from hydria.base.errors import Invalid
from hydria.cloud.web import Query

CONTROLS = frozenset({"limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields"})

Document = dict[str, Any]


def ordered(documents: list[Document], query: Query) -> list[Document]:
    """By sort_key and sort_dir, which may stand several times; without: as they came."""
    keys, directions = query.get("sort_key", []), query.get("sort_dir", [])
    # From the last key to the first: each sort keeps the order of the one before among equals.
    for position in reversed(range(len(keys))):
        key = keys[position]
        if documents and key not in documents[0]:
            raise Invalid(f"{key} is not a valid sort_key.", field="sort_key")
        descending = position < len(directions) and directions[position] == "desc"
        documents = sorted(documents, key=lambda document: _sortable(document[key]), reverse=descending)
    return documents


def _sortable(value: Any) -> tuple[bool, Any]:
    """None comes first, as in SQLite; lists by their text."""
    return value is not None, value if isinstance(value, str | int | float) or value is None else str(value)


def page(documents: Sequence[Document], query: Query) -> tuple[list[Document], bool]:
    """The page after `marker` of at most `limit`, and whether more follow."""
    start = 0
    if marker := query.get("marker", [""])[0]:
        places = [place for place, document in enumerate(documents) if document["id"] == marker]
        if not places:
            raise Invalid(f"Invalid input for operation: marker {marker} is not valid.", field="marker")
        start = places[0] + 1
    rest = list(documents[start:])
    limit = _limit(query.get("limit", [""])[0])
    return (rest, False) if limit is None else (rest[:limit], len(rest) > limit)


def _limit(text: str) -> int | None:
    if not text:
        return None
    if not text.isdecimal():
        raise Invalid(f"Bad limit '{text}': a number that is not negative is needed.", field="limit")
    return int(text) or None


def narrowed(documents: list[Document], query: Query) -> list[Document]:
    """Only the attributes named by `fields`."""
    fields = set(query.get("fields", [])) - {""}
    if not fields:
        return documents
    return [{key: value for key, value in document.items() if key in fields} for document in documents]
