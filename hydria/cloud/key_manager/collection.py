"""What secrets and containers share: who sees them, lists, ACLs, consumers. Knows no HTTP and no payload."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import ColumnElement, Connection, Table

from hydria.base.errors import Conflict, Forbidden, NotFound, not_found
from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.key_manager import access, listing
from hydria.cloud.key_manager.errors import mismatch
from hydria.cloud.key_manager.resources import Acl, Consumer, Kept, Name, moment
from hydria.cloud.resource import changed, givable, given, new_id
from hydria.cloud.rows import Rows
from hydria.cloud.web import Query

R = TypeVar("R", bound=Kept)
Document = dict[str, Any]


class AclForm(Struct, forbid_unknown_fields=True, rename={"project_access": "project-access"}):
    users: list[Name] | UnsetType = UNSET
    project_access: bool | UnsetType = UNSET


class AclsForm(Struct, forbid_unknown_fields=True):
    read: AclForm | UnsetType = UNSET


class Collection(Generic[R]):
    name: ClassVar[str]
    """As errors call one of them."""
    consumer: ClassVar[type[Consumer]]

    def __init__(self, database: Database, table: Table, resource: type[R]) -> None:
        self.database = database
        self.rows = Rows(table, resource)

    # What a subclass may say otherwise.

    def existing(self) -> list[ColumnElement[bool]]:
        """Beyond these nobody sees anything."""
        return []

    def filters(self, context: Context, query: Query) -> list[ColumnElement[bool]]:
        """What of the query is about this kind of resource."""
        raise NotImplementedError

    # What the API calls.

    def show(self, context: Context, id_: str) -> R:
        with self.database.read() as connection:
            return self.readable(connection, context, id_, f"{self.name} retrieval")

    def page(self, context: Context, query: Query) -> listing.Page[R]:
        project_id = access.require_member(context, f"{self.name}(s) retrieval")
        columns, limits = self.rows.table.c, listing.limits(query)
        where = [*self.existing(), *self.filters(context, query)]
        with self.database.read() as connection:
            if query.get("acl_only", [""])[0].lower() == "true":
                # ACLs are few; which ones name somebody is not a column.
                granted = self.rows.select(connection, None, columns.acl.is_not(None))
                where.append(columns.id.in_([one.id for one in granted if access.has_acl(context, one)]))
            else:
                where.append(columns.project_id == project_id)
            found, total = self.rows.page(
                connection,
                *where,
                order=listing.order(self.rows.table, query),
                offset=limits.offset,
                limit=limits.limit,
            )
        return listing.Page(found, total, limits)

    def delete(self, context: Context, id_: str, *, unless_consumed: bool = False) -> None:
        with self.database.begin() as connection:
            kept = self.changeable(connection, context, id_, f"{self.name} deletion")
            if unless_consumed and kept.consumers:
                raise Conflict(f"{self.name} cannot be deleted as it has consumers.")
            self.rows.delete(connection, id_)

    def set_acl(self, context: Context, id_: str, document: object, *, keep: bool) -> R:
        """`keep`: what the document does not say stays as it was."""
        try:
            form = msgspec.convert(document, AclsForm).read
        except msgspec.ValidationError as error:
            raise mismatch("ACL", str(error), "read") from error
        with self.database.begin() as connection:
            kept = self.changeable(connection, context, id_, f"{self.name}ACL(s) Update")
            acl = kept.acl if keep else None
            if form is not UNSET:
                acl = _acl(kept.acl, form, keep=keep)
            return self._store(connection, kept, {"acl": msgspec.to_builtins(acl)})

    def delete_acl(self, context: Context, id_: str) -> None:
        with self.database.begin() as connection:
            kept = self.changeable(connection, context, id_, f"{self.name}ACL(s) deletion")
            self._store(connection, kept, {"acl": None})

    def acl(self, context: Context, id_: str) -> Acl | None:
        with self.database.read() as connection:
            return self.changeable(connection, context, id_, f"{self.name}ACL(s) retrieval").acl

    def consumers(self, context: Context, id_: str, query: Query) -> listing.Page[Consumer]:
        kept, limits = self.show(context, id_), listing.limits(query)
        rest = kept.consumers[limits.offset : limits.offset + limits.limit]
        return listing.Page(list(rest), len(kept.consumers), limits)

    def add_consumer(self, context: Context, id_: str, document: object) -> R:
        """May run twice: a consumer is there once."""
        identity, now = self._identity(document), moment()
        with self.database.begin() as connection:
            kept = self.readable(connection, context, id_, f"{self.name}Consumer creation")
            consumer = {**identity, "project_id": context.project_id or "", "created": now, "updated": now}
            others = [msgspec.to_builtins(one) for one in kept.consumers if consumer_identity(one) != identity]
            for before in kept.consumers:
                if consumer_identity(before) == identity:
                    consumer |= {"project_id": before.project_id, "created": before.created}
            return self._store(connection, kept, {"consumers": [*others, consumer]}, touch=False)

    def remove_consumer(self, context: Context, id_: str, document: object) -> R:
        identity = self._identity(document)
        with self.database.begin() as connection:
            kept = self.readable(connection, context, id_, f"{self.name}Consumer deletion")
            gone = [one for one in kept.consumers if consumer_identity(one) == identity]
            if not gone:
                raise NotFound("Consumer not found.")
            if context.project_id not in {gone[0].project_id, kept.project_id}:
                raise Forbidden("Not Allowed. Sorry, only the creator of a consumer can delete it.")
            rest = [msgspec.to_builtins(one) for one in kept.consumers if one is not gone[0]]
            return self._store(connection, kept, {"consumers": rest}, touch=False)

    # What subclasses use.

    def readable(self, connection: Connection, context: Context, id_: str, operation: str) -> R:
        """Raises NotFound, and Forbidden for what others own."""
        kept = self._find(connection, id_)
        access.require_read(context, kept, operation)
        return kept

    def changeable(self, connection: Connection, context: Context, id_: str, operation: str) -> R:
        """Raises NotFound, and Forbidden for what others own or only may read."""
        kept = self._find(connection, id_)
        access.require_change(context, kept, operation)
        return kept

    def new(self, context: Context, document: Mapping[str, Any], operation: str) -> R:
        """Checked, not stored. What a document has beyond the resource is passed over, as in Barbican."""
        project_id, now = access.require_member(context, operation), moment()
        known = givable(self.rows.resource, "create")
        values = given({key: value for key, value in document.items() if key in known}, self.rows.resource, "create")
        if values.get("name") is not None:
            values["name"] = values["name"].strip()
        own = {"id": new_id(), "project_id": project_id, "creator_id": context.user_id, "created": now, "updated": now}
        return msgspec.convert({**values, **own}, self.rows.resource)

    def _find(self, connection: Connection, id_: str) -> R:
        found = self.rows.select(connection, {"id": [id_]}, *self.existing())
        if not found:
            raise not_found(self.name, id_)
        return found[0]

    def _store(self, connection: Connection, kept: R, values: Mapping[str, Any], *, touch: bool = True) -> R:
        stored = changed(kept, {**values, "updated": moment() if touch else kept.updated})
        self.rows.replace(connection, stored)
        return stored

    def _identity(self, document: object) -> Document:
        names = givable(self.consumer, "create")
        known = {key: value for key, value in document.items() if key in names} if isinstance(document, dict) else {}
        if missing := sorted(names - known.keys()):
            raise mismatch("Consumer", f"'{missing[0]}' is a required property", missing[0])
        return given(known, self.consumer, "create")


def consumer_identity(consumer: Consumer) -> Document:
    """What its caller gave."""
    document = msgspec.to_builtins(consumer)
    return {name: document[name] for name in sorted(givable(type(consumer), "create"))}


def _acl(before: Acl | None, form: AclForm, *, keep: bool) -> Acl:
    now = moment()
    acl = Acl(created=before.created if before else now, updated=now)
    if before and keep:
        acl.users, acl.project_access = before.users, before.project_access
    if form.users is not UNSET:
        acl.users = _unique(form.users)
    if form.project_access is not UNSET:
        acl.project_access = form.project_access
    return acl


def _unique(users: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(users))
