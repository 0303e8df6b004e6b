"""What a list request asks for: page, order, filters on times. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Table, UnaryExpression

from hydria.base.errors import Invalid
from hydria.cloud.web import Query

DEFAULT_LIMIT, MAX_LIMIT = 10, 100
SORT_KEYS = ("created", "expiration", "mode", "name", "secret_type", "status", "updated")

T = TypeVar("T")


class Limits(NamedTuple):
    offset: int
    limit: int


class Page(NamedTuple, Generic[T]):
    found: Sequence[T]
    total: int
    limits: Limits


def limits(query: Query) -> Limits:
    """What is no number is passed over, as in Barbican."""
    offset, limit = _number(query, "offset", 0), _number(query, "limit", DEFAULT_LIMIT)
    return Limits(max(offset, 0), min(max(limit, 1), MAX_LIMIT))


def _number(query: Query, name: str, default: int) -> int:
    text = query.get(name, [""])[0]
    return int(text) if text.removeprefix("-").isdecimal() else default


def order(table: Table, query: Query) -> list[UnaryExpression[Any]]:
    """`sort=name:asc,created:desc`; the oldest first, where that says nothing. Raises Invalid."""
    columns = table.c
    wanted: list[UnaryExpression[Any]] = []
    for part in filter(None, query.get("sort", [""])[0].split(",")):
        key, _, direction = part.partition(":")
        if key not in SORT_KEYS or key not in columns or direction not in {"", "asc", "desc"}:
            raise Invalid(f"Bad sort '{part}': one of {', '.join(SORT_KEYS)}, with :asc or :desc.", field="sort")
        wanted.append(columns[key].desc() if direction == "desc" else columns[key].asc())
    return [*wanted, columns.created.asc(), columns.id.asc()]


def times(column: ColumnElement[str | None], text: str) -> Iterator[ColumnElement[bool]]:
    """`gte:2026-01-01T00:00:00,lt:2026-02-01T00:00:00`; without an operator: that very moment. Raises Invalid."""
    for part in filter(None, text.split(",")):
        operator, colon, rest = part.partition(":")
        if operator not in {"gt", "gte", "lt", "lte"} or not colon:
            operator, rest = "eq", part
        moment = parsed(rest, "time")
        yield {
            "gt": column > moment,
            "gte": column >= moment,
            "lt": column < moment,
            "lte": column <= moment,
            "eq": column == moment,
        }[operator]


def parsed(text: str, field: str) -> str:
    """An ISO 8601 time, without a zone in UTC, as the books keep times. Raises Invalid."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise Invalid(f"Invalid date for '{field}'", field=field) from error
    return (moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment).isoformat()
