"""Lists: filters, tags, sort, pages. Says nothing of links or of who may see what."""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.types import TypeEngine

from hydria.base.errors import Invalid, invalid_field
from hydria.model.amphora import Amphora
from hydria.model.field import Field, fields, is_words, key
from hydria.model.load_balancer import LoadBalancer
from hydria.model.quota import DEPRECATED
from hydria.store import resources
from hydria.store.database import Transaction
from hydria.store.relations import RELATIONS, refers, related
from hydria.store.tables import Json, table, title
from hydria.store.tags import has_tag

__all__ = ["Page", "Query", "filterable", "related", "select", "sortable"]

R = TypeVar("R", bound=Struct)
Direction = Literal["asc", "desc"]

_ALIASES = {"tenant_id": "project_id", **DEPRECATED}
"""The latter of quotas."""
_Key = tuple[sa.ColumnElement[Any], bool]
"""What to sort by, and whether descending."""


@dataclass(frozen=True)
class Query:
    filters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Attribute or relation → values as in the URL. One of the values suffices; all names must match."""
    sort: Sequence[tuple[str, Direction]] = ()
    """By default created_at, where it is shown. The key always comes last."""
    marker: str | None = None
    """The id of the last row seen (with `page_reverse` the first)."""
    limit: int | None = None
    page_reverse: bool = False
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Attribute → what null means: rows are found and sorted by that."""
    project_id: str | None = None
    """Only rows of this project exist for the caller. None: all."""
    tags: Sequence[str] = ()
    """Has all of these. (In each of the four a value may hold several, separated by commas.)"""
    tags_any: Sequence[str] = ()
    not_tags: Sequence[str] = ()
    """Has not all of these."""
    not_tags_any: Sequence[str] = ()
    """Has none of these."""


@dataclass(frozen=True)
class Page(Generic[R]):
    rows: tuple[R, ...]
    more_before: bool
    more_after: bool


def select(tx: Transaction, resource: type[R], query: Query) -> Page[R]:
    """One or, with a marker, two statements. Raises Invalid for an unknown attribute, value or marker."""
    visible = _visible(resource, query)
    keys = _sort_keys(resource, query)
    if query.page_reverse:
        keys = [(what, not descending) for what, descending in keys]
    statement = resources.select(resource).where(*visible, *_conditions(resource, query))
    if query.marker is not None:
        statement = statement.where(_after(keys, _position(tx, resource, query.marker, visible, keys)))
    statement = statement.order_by(*(what.desc() if descending else what for what, descending in keys))
    if query.limit is not None:
        statement = statement.limit(query.limit + 1)  # one more than shown tells whether there are more
    rows = resources.from_rows(resource, tx.execute(statement).all())
    more = query.limit is not None and len(rows) > query.limit
    rows = rows[: query.limit] if more else rows
    passed = query.marker is not None
    if query.page_reverse:
        return Page(tuple(reversed(rows)), more_before=more, more_after=passed)
    return Page(tuple(rows), more_before=passed, more_after=more)


def _visible(resource: type[Struct], query: Query) -> list[sa.ColumnElement[bool]]:
    return [] if query.project_id is None else [table(resource).c.project_id == query.project_id]


def _conditions(resource: type[Struct], query: Query) -> list[sa.ColumnElement[bool]]:
    found = [_filter(resource, name, values, query.defaults) for name, values in query.filters.items()]
    tags, not_tags = _tags(resource, query.tags), _tags(resource, query.not_tags)
    tags_any, not_tags_any = _tags(resource, query.tags_any), _tags(resource, query.not_tags_any)
    if tags_any:
        found.append(sa.or_(*tags_any))
    if not_tags:
        found.append(sa.not_(sa.and_(*not_tags)))
    if not_tags_any:
        found.append(sa.not_(sa.or_(*not_tags_any)))
    return [*found, *tags]


def _tags(resource: type[Struct], values: Sequence[str]) -> list[sa.ColumnElement[bool]]:
    wanted = [tag for value in values for tag in value.split(",") if tag]
    if wanted and "tags" not in table(resource).c:
        raise _unknown("tags")
    return [has_tag(table(resource).c.tags, tag) for tag in wanted]


def _filter(
    resource: type[Struct], name: str, values: Sequence[str], defaults: Mapping[str, Any]
) -> sa.ColumnElement[bool]:
    name = _ALIASES.get(name, name)
    if name in RELATIONS.get(resource, {}):
        return refers(resource, name, values)
    if resource is Amphora and name == "project_id":  # that of its load balancer
        own = table(LoadBalancer).c
        return table(resource).c.loadbalancer_id.in_(sa.select(own.id).where(own.project_id.in_(values)))
    attribute = _attribute(resource, name)
    column = table(resource).c[name]
    if isinstance(column.type, Json):
        return sa.or_(*(_holds(attribute, column, value) for value in values))
    if isinstance(column.type, sa.DateTime):
        return sa.or_(*(_at(attribute, column, value) for value in values))
    return _effective(column, defaults).in_([_parse(attribute, column, value) for value in values])


def _effective(column: sa.Column[Any], defaults: Mapping[str, Any]) -> sa.ColumnElement[Any]:
    if column.name not in defaults:
        return column
    return sa.func.coalesce(column, sa.literal(defaults[column.name], column.type))


def sortable(resource: type[Struct]) -> tuple[Field, ...]:
    """Public, plain attributes: what a list can be sorted by."""
    columns = table(resource).c
    return tuple(a for a in fields(resource) if a.public and not isinstance(columns[a.name].type, Json))


def filterable(resource: type[Struct]) -> tuple[str, ...]:
    """Names of filters but `tags`: of attributes, of relations, and what else attributes are called."""
    names = [attribute.name for attribute in fields(resource) if attribute.public and attribute.name != "tags"]
    others = (other for other, name in _ALIASES.items() if name in names)
    of_parent = ("project_id",) if resource is Amphora else ()
    return (*names, *others, *of_parent, *RELATIONS.get(resource, {}))


def _holds(attribute: Field, column: sa.Column[Any], text: str) -> sa.ColumnElement[bool]:
    """A list of words has this one; anything else is this JSON value."""
    if is_words(attribute.type):
        return has_tag(column, text)
    try:
        value = msgspec.json.decode(text, type=attribute.type)
    except (msgspec.MsgspecError, ValueError) as error:
        raise _no_filter(attribute, text) from error
    equal: sa.ColumnElement[bool] = column == value
    return equal


def _at(attribute: Field, column: sa.Column[Any], text: str) -> sa.ColumnElement[bool]:
    """Answers show whole seconds."""
    moment = _parse(attribute, column, text)
    return column.between(moment, moment if moment.microsecond else moment.replace(microsecond=999_999))


def _attribute(resource: type[Struct], name: str) -> Field:
    """A public one: what a list can be filtered by, and sorted by when it is plain."""
    for attribute in fields(resource):
        if attribute.name == name and attribute.public:
            return attribute
    raise _unknown(name)


def _unknown(name: str) -> Invalid:
    return Invalid(f"'{name}' is not a valid option for filters or sort keys.", field=name)


def _parse(attribute: Field, column: sa.Column[Any], text: str) -> Any:
    try:
        return _PARSERS.get(type(column.type), str)(text)
    except (ValueError, KeyError, OverflowError) as error:
        raise _no_filter(attribute, text) from error


def _no_filter(attribute: Field, text: str) -> Invalid:
    return invalid_field(attribute.name, text, "It cannot be filtered for.")


def _date(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo is None else moment.astimezone(dt.UTC).replace(tzinfo=None)


def _big_integer(text: str) -> int:
    """Raises ValueError also for what no column can hold: SQLite's driver would raise OverflowError."""
    number = int(text)
    if number.bit_length() > 63:
        raise ValueError(text)
    return number


BOOLEANS = {
    **dict.fromkeys(("true", "t", "yes", "y", "on", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "off", "0"), False),
}
_PARSERS: Mapping[type[TypeEngine[Any]], Callable[[str], Any]] = {
    sa.Boolean: lambda text: BOOLEANS[text.lower()],
    sa.BigInteger: _big_integer,
    sa.Float: float,
    sa.DateTime: _date,
}
_LEAST: Mapping[type[TypeEngine[Any]], Any] = {
    sa.Boolean: False,
    sa.BigInteger: 0,
    sa.Float: 0.0,
    sa.DateTime: dt.datetime.min,  # noqa: DTZ901 - dates are stored without zone
}


def _by_age(resource: type[Struct]) -> tuple[tuple[str, Direction], ...]:
    """The oldest first; what does not say how old it is, by its key alone."""
    dated = any(attribute.name == "created_at" and attribute.public for attribute in fields(resource))
    return (("created_at", "asc"),) if dated else ()


def _sort_keys(resource: type[Struct], query: Query) -> list[_Key]:
    keys: list[_Key] = []
    for name, direction in (*(query.sort or _by_age(resource)), (key(resource), "asc")):
        attribute = _attribute(resource, _ALIASES.get(name, name))
        if direction not in ("asc", "desc"):
            raise invalid_field("sort", direction, "The direction is asc or desc.")
        column = table(resource).c[attribute.name]
        if isinstance(column.type, Json):
            raise _unknown(name)
        if column.nullable and column.name not in query.defaults:
            # NULL compares with nothing, so a page could not begin after it: it is put last, as a value of its own.
            keys.append((sa.case((column.is_(None), 1), else_=0), direction == "desc"))
            least = _LEAST.get(type(column.type), "")
            keys.append((sa.func.coalesce(column, sa.literal(least, column.type)), direction == "desc"))
        else:
            keys.append((_effective(column, query.defaults), direction == "desc"))
    return keys


def _position(
    tx: Transaction, resource: type[Struct], marker: str, visible: Sequence[sa.ColumnElement[bool]], keys: list[_Key]
) -> sa.Row[Any]:
    columns = (what.label(f"key_{number}") for number, (what, _) in enumerate(keys))
    row = tx.execute(sa.select(*columns).where(table(resource).c[key(resource)] == marker, *visible)).first()
    if row is None:
        raise invalid_field("marker", marker, f"There is no such {title(resource)}.")
    return row


def _after(keys: list[_Key], position: sa.Row[Any]) -> sa.ColumnElement[bool]:
    """Lexicographically behind: equal in the first keys, behind in the next one."""
    behind: list[sa.ColumnElement[bool]] = []
    equal: list[sa.ColumnElement[bool]] = []
    for (what, descending), plain in zip(keys, position, strict=True):
        value = sa.literal(plain, what.type)
        behind.append(sa.and_(*equal, what < value if descending else what > value))
        equal.append(what == value)
    return sa.or_(*behind)
