"""Reads and writes whole resources of one table. Knows no resource by name and no rule about any."""

from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Table, UnaryExpression, func, select

from hydria.cloud.resource import from_row, to_row

R = TypeVar("R", bound=Struct)


class Rows(Generic[R]):
    """A resource and its table, made by `resource.table`."""

    def __init__(self, table: Table, resource: type[R]) -> None:
        self.table = table
        self.resource = resource

    def get(self, connection: Connection, id_: str) -> R | None:
        row = connection.execute(self.table.select().where(self.table.c.id == id_)).one_or_none()
        return None if row is None else from_row(row, self.resource)

    def select(
        self, connection: Connection, equals: Mapping[str, Sequence[Any]] | None = None, *where: ColumnElement[bool]
    ) -> list[R]:
        """`equals`: column → the values that it may have. In the order of creation."""
        conditions = [self.table.c[name].in_(values) for name, values in (equals or {}).items()]
        query = self.table.select().where(*conditions, *where)
        return [from_row(row, self.resource) for row in connection.execute(query)]

    def page(
        self,
        connection: Connection,
        *where: ColumnElement[bool],
        order: Sequence[UnaryExpression[Any]],
        offset: int,
        limit: int,
    ) -> tuple[list[R], int]:
        """Those of one page, and how many there are in all."""
        query = self.table.select().where(*where).order_by(*order).offset(offset).limit(limit)
        total = connection.execute(select(func.count()).select_from(self.table).where(*where)).scalar_one()
        return [from_row(row, self.resource) for row in connection.execute(query)], total

    def insert(self, connection: Connection, resource: R) -> None:
        connection.execute(self.table.insert(), to_row(resource))

    def replace(self, connection: Connection, resource: R) -> None:
        """Store `resource` in place of the one with its id."""
        values = to_row(resource)
        connection.execute(self.table.update().where(self.table.c.id == values["id"]).values(values))

    def delete(self, connection: Connection, id_: str) -> bool:
        """Was there one?"""
        return connection.execute(self.table.delete().where(self.table.c.id == id_)).rowcount > 0
