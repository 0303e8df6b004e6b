"""Query strings of lists: filters, sorting, pages and the choice of fields. What they mean to rows is the store's."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlencode

from hydria.api.call import Call
from hydria.base import config
from hydria.base.errors import Invalid, invalid_field
from hydria.model.field import key
from hydria.store.query import Page, Query

Parameters = Mapping[str, Sequence[str]]
_TAGS = {"tags": "tags", "tags-any": "tags_any", "not-tags": "not_tags", "not-tags-any": "not_tags_any"}
_NOT_FILTERS = frozenset(("fields", "limit", "marker", "sort", "sort_key", "sort_dir", "page_reverse", *_TAGS))
PROJECT = ("project_id", "tenant_id")
"""Of resources that belong to projects these say whose are asked for; policy has its word there."""


def parse(
    parameters: Parameters,
    *,
    api: config.Api,
    project_id: str | None,
    more: Mapping[str, Sequence[str]],
    defaults: Mapping[str, Any] = MappingProxyType({}),
) -> Query:
    """`project_id`: whose rows exist for the caller. `more`: filters that the URL does not say. Raises Invalid."""
    filters: dict[str, Sequence[str]] = {}
    tags: dict[str, Sequence[str]] = {}
    if api.allow_filtering:
        filters = {name: tuple(values) for name, values in parameters.items() if name not in _NOT_FILTERS}
        tags = {ours: tuple(parameters[theirs]) for theirs, ours in _TAGS.items() if theirs in parameters}
    paged = api.allow_pagination
    return Query(
        filters={**filters, **more},
        sort=_sort(parameters) if api.allow_sorting else (),
        marker=_last(parameters, "marker") if paged else None,
        limit=_limit(parameters, api.pagination_max_limit) if paged else None,
        page_reverse=paged and (_last(parameters, "page_reverse") or "").lower() in ("true", "1"),
        defaults=defaults,
        project_id=project_id,
        tags=tags.get("tags", ()),
        tags_any=tags.get("tags_any", ()),
        not_tags=tags.get("not_tags", ()),
        not_tags_any=tags.get("not_tags_any", ()),
    )


def fields(call: Call) -> frozenset[str] | None:
    """None: all."""
    chosen = frozenset(call.query.get("fields", ()))
    return chosen if chosen and call.services.config.api.allow_field_selection else None


def restricted(answer: dict[str, Any], only: frozenset[str] | None) -> dict[str, Any]:
    return answer if only is None else {name: value for name, value in answer.items() if name in only}


def links(call: Call, query: Query, page: Page[Any]) -> list[dict[str, str]]:
    """A full page has a next one, be it empty: clients go on until one is empty or has no such link."""
    if not page.rows or query.limit is None:
        return []
    found = []
    if page.more_after or (not query.page_reverse and len(page.rows) == query.limit):
        found.append({"rel": "next", "href": _href(call, query, _key(page.rows[-1]), reverse=False)})
    if page.more_before:
        found.append({"rel": "previous", "href": _href(call, query, _key(page.rows[0]), reverse=True)})
    return found


def _key(row: Any) -> str:
    return str(getattr(row, key(type(row))))


def _href(call: Call, query: Query, marker: str, *, reverse: bool) -> str:
    same = [
        (name, value)
        for name, values in call.query.items()
        if name not in ("marker", "page_reverse", "limit")
        for value in values
    ]
    turn = [("page_reverse", "True")] if reverse else []
    return f"{call.url}?{urlencode([*same, ('limit', query.limit), ('marker', marker), *turn])}"


def _last(parameters: Parameters, name: str) -> str | None:
    return next(iter(reversed(parameters.get(name, ()))), None)


def _limit(parameters: Parameters, max_limit: int) -> int:
    text = _last(parameters, "limit")
    if text in (None, "infinite"):
        return max_limit
    try:
        number = int(text or "")
    except ValueError as error:
        raise invalid_field("limit", text, "It must be a number.") from error
    return number if 0 < number <= max_limit else max_limit


def _sort(parameters: Parameters) -> tuple[tuple[str, Literal["asc", "desc"]], ...]:
    keys = _split(parameters, "sort_key")
    directions = _split(parameters, "sort_dir")
    if len(directions) > len(keys):
        raise Invalid("There are more sort_dir than sort_key.", field="sort_dir")
    pairs = [(key, directions[number] if number < len(directions) else "asc") for number, key in enumerate(keys)]
    for item in _split(parameters, "sort"):
        key, _, direction = item.partition(":")
        pairs.append((key, direction or "asc"))
    return tuple((key, _direction(direction)) for key, direction in pairs)


def _split(parameters: Parameters, name: str) -> list[str]:
    """Of a parameter that is repeated or holds several, separated by commas."""
    return [item for value in parameters.get(name, ()) for item in value.split(",")]


def _direction(text: str) -> Literal["asc", "desc"]:
    match text.lower():
        case "asc":
            return "asc"
        case "desc":
            return "desc"
    raise invalid_field("sort_dir", text, "It must be asc or desc.")
