"""Reading and writing single rows of any resource type. Knows nothing of statuses or of what is below what."""

import datetime as dt
import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from hydria.base.errors import Conflict
from hydria.model.availability_zone import AvailabilityZone
from hydria.model.field import fields, key
from hydria.model.flavor import Flavor
from hydria.model.listener import Listener
from hydria.model.pool import HealthMonitor, Member
from hydria.store.database import Transaction
from hydria.store.tables import table, title

R = TypeVar("R", bound=Struct)

_AT = "at"
"""Which row a statement is about: under the name of no column."""


def get(tx: Transaction, resource: type[R], id_: str) -> R | None:
    rows = from_rows(resource, tx.execute(_select_by_id(resource), {"id": id_}).all())
    return rows[0] if rows else None


def find(tx: Transaction, resource: type[R], **equals: Any) -> tuple[R, ...]:
    """Rows with exactly these values (of a sequence: one of them), the oldest first."""
    columns = table(resource).c
    statement = select(resource)
    for name, value in equals.items():
        among = isinstance(value, Sequence) and not isinstance(value, str)
        statement = statement.where(columns[name].in_(value) if among else columns[name] == value)
    order = [columns[name] for name in ("created_at", key(resource)) if name in columns]
    return tuple(from_rows(resource, tx.execute(statement.order_by(*order)).all()))


def insert(tx: Transaction, row: R) -> R:
    """The row as stored: dated. Raises Conflict where it would be a duplicate."""
    (stored,) = insert_all(tx, [row])
    return stored


def insert_all(tx: Transaction, rows: Iterable[R]) -> tuple[R, ...]:
    """Rows of one type, in one statement; a microsecond apart, so that their order is that of the request."""
    moment = now(tx)
    dated: tuple[R, ...] = tuple(
        _dated(row, moment + dt.timedelta(microseconds=position)) for position, row in enumerate(rows)
    )
    if dated:
        resource = type(dated[0])
        values = [{name: getattr(row, name) for name in _stored(resource)} for row in dated]
        try:
            tx.execute(_insert(resource), values)
        except sa.exc.IntegrityError as error:
            raise _conflict(resource, values, error) from error
    return dated


def update(tx: Transaction, resource: type[Struct], id_: str, **values: Any) -> bool:
    """Whether there was such a row. Raises Conflict where it would become a duplicate."""
    return update_all(tx, resource, {id_: values}) > 0


def update_all(tx: Transaction, resource: type[Struct], changes: Mapping[str, Mapping[str, Any]]) -> int:
    """Id → what its row becomes, in one statement per set of columns. Returns how many rows there were."""
    changed = 0
    moment = {"updated_at": now(tx)} if "updated_at" in table(resource).c else {}
    alike: defaultdict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for id_, values in changes.items():
        row = {**moment, **values}
        alike[tuple(row)].append({_AT: id_, **row})
    for names, rows in alike.items():
        try:
            changed += tx.execute(_update(resource, names), rows if len(rows) > 1 else rows[0]).rowcount
        except sa.exc.IntegrityError as error:
            raise _conflict(resource, [{**row, key(resource): row[_AT]} for row in rows], error) from error
    return changed


def delete(tx: Transaction, resource: type[Struct], id_: str) -> bool:
    """Whether there was such a row. Raises Conflict where others still refer to it."""
    this = table(resource).c[key(resource)] == id_
    try:
        return tx.execute(sa.delete(table(resource)).where(this)).rowcount > 0
    except sa.exc.IntegrityError as error:
        raise Conflict(f"{title(resource)} {id_} is in use and cannot be modified.") from error


def now(tx: Transaction) -> dt.datetime:
    """Dates are UTC without a zone, as the API shows them."""
    return dt.datetime.fromtimestamp(tx.clock(), dt.UTC).replace(tzinfo=None)


@functools.cache
def select(resource: type[Struct]) -> sa.Select[Any]:
    return sa.select(*(table(resource).c[name] for name in _stored(resource)))


def from_rows(resource: type[R], rows: Iterable[sa.Row[Any]]) -> list[R]:
    """Rows that begin with the columns of `select(resource)`, in its order."""
    names = _stored(resource)
    return [resource(**dict(zip(names, row, strict=False))) for row in rows]


@functools.cache
def _stored(resource: type[Struct]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(resource) if field.stored)


@functools.cache
def _select_by_id(resource: type[Struct]) -> sa.Select[Any]:
    return select(resource).where(table(resource).c[key(resource)] == sa.bindparam("id"))


@functools.cache
def _insert(resource: type[Struct]) -> sa.Insert:
    return sa.insert(table(resource))


@functools.cache
def _update(resource: type[Struct], names: tuple[str, ...]) -> sa.Update:
    values: dict[str, Any] = {name: sa.bindparam(name) for name in names}
    return sa.update(table(resource)).where(table(resource).c[key(resource)] == sa.bindparam(_AT)).values(values)


def _dated(row: R, moment: dt.datetime) -> R:
    undated = "created_at" in row.__struct_fields__ and getattr(row, "created_at") is None  # noqa: B009 - not every Struct has it
    return msgspec.structs.replace(row, created_at=moment) if undated else row


def _conflict(
    resource: type[Struct], rows: Sequence[dict[str, Any]], error: sa.exc.IntegrityError
) -> Conflict | sa.exc.IntegrityError:
    reason = str(error.orig).upper()
    if "FOREIGN KEY" in reason:
        return Conflict(f"{title(resource)} {rows[0][key(resource)]} refers to something that is not there.")
    if "UNIQUE" not in reason and "DUPLICATE" not in reason:
        return error
    if len(rows) > 1:
        return Conflict(f"{title(resource)}s are duplicates of each other or of existing ones.")
    return Conflict(_duplicate(resource, rows[0]))


def _duplicate(resource: type[Struct], values: dict[str, Any]) -> str:
    """The wording that clients know for a second one of what may exist once."""
    if resource is Member:
        return (
            f"Another member on this pool is already using ip {values.get('address')} "
            f"on protocol_port {values.get('protocol_port')}"
        )
    if resource is Listener:
        return (
            f"Another Listener on this Load Balancer is already using protocol {values.get('protocol')} "
            f"and protocol_port {values.get('protocol_port')}"
        )
    if resource is HealthMonitor:
        return "This pool already has a health monitor"
    if resource is Flavor:
        return f"A flavor of {values.get('name')} already exists."
    if resource is AvailabilityZone:
        return f"An availability zone of {values.get('name')} already exists."
    return f"{title(resource)} {values.get(key(resource))} already exists."
