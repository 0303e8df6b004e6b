"""What the collections of the network service share: who sees what, filters, pages, revisions, tags."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from sqlalchemy import JSON, Boolean, ColumnElement, Connection, Integer, Table, false

from hydria.base.errors import NotFound
from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.listing import CONTROLS, Document, narrowed, ordered, page
from hydria.cloud.network.errors import HTTPBadRequest, InvalidInput, PolicyNotAuthorized, TagNotFound
from hydria.cloud.network.resources import ADMIN_ATTRIBUTES, Standard
from hydria.cloud.resource import changed, given, new_id, now
from hydria.cloud.rows import Rows
from hydria.cloud.web import Query

R = TypeVar("R", bound=Standard)
Values = Mapping[str, Any]


class Collection(Generic[R]):
    """One kind of resource. A subclass adds the rules of its kind around `insert`, `replace` and `remove`."""

    name: ClassVar[str]
    plural: ClassVar[str]
    title: ClassVar[str]
    """As the errors call it."""
    missing: ClassVar[type[NotFound]]

    def __init__(self, database: Database, table: Table, resource: type[R]) -> None:
        self.database = database
        self.rows = Rows(table, resource)

    # What a subclass may say otherwise.

    def visible(self, context: Context) -> ColumnElement[bool]:
        """What somebody who is not administrator sees; at least his project's."""
        return self._own(context)

    def complete(self, connection: Connection, resources: list[R]) -> list[R]:  # noqa: ARG002 - for subclasses
        """Add what other tables keep."""
        return resources

    def conditions(self, query: Query) -> list[ColumnElement[bool]]:  # noqa: ARG002 - for subclasses
        """Filters on what other tables keep. Their names are in `special_filters`."""
        return []

    special_filters: ClassVar[frozenset[str]] = frozenset()

    def insert(self, connection: Connection, context: Context, values: Values) -> R:
        """Check and store a new one."""
        raise NotImplementedError

    def replace(self, connection: Connection, context: Context, current: R, values: Values) -> R:
        """Check and store `values` in place of what `current` has."""
        raise NotImplementedError

    def remove(self, connection: Connection, context: Context, current: R) -> None:
        """Check that nobody needs it, and delete it."""
        raise NotImplementedError

    # What the API calls.

    def documents(self, context: Context, query: Query) -> tuple[list[Document], bool]:
        """The documents of one page and whether more follow."""
        equals, predicates = self._filters(query)
        where = self.conditions(query) + ([] if context.is_admin else [self.visible(context)])
        with self.database.read() as connection:
            resources = self.complete(connection, self.rows.select(connection, equals, *where))
        shown = [self.shown(context, resource) for resource in resources]
        matching = [document for document in shown if _matches(document, predicates)]
        rest, more = page(ordered(matching, query), query)
        return narrowed(rest, query), more

    def get(self, context: Context, id_: str) -> R:
        """Raises NotFound also for what the caller may not see."""
        with self.database.read() as connection:
            return self.find(connection, context, id_)

    def create(self, context: Context, document: object) -> R:
        values = given(_new_names(document), self.rows.resource, "create")
        self._authorize(context, f"create_{self.name}", values)
        with self.database.begin() as connection:
            created = self.insert(connection, context, {"project_id": context.project_id or "", **values})
            return self.complete(connection, [created])[0]

    def update(self, context: Context, id_: str, document: object) -> R:
        values = given(_new_names(document), self.rows.resource, "update")
        with self.database.begin() as connection:
            current = self.find_own(connection, context, id_, f"update_{self.name}")
            self._authorize(context, f"update_{self.name}", values)
            updated = self.replace(connection, context, current, values)
            return self.complete(connection, [updated])[0]

    def delete(self, context: Context, id_: str) -> None:
        with self.database.begin() as connection:
            self.remove(connection, context, self.find_own(connection, context, id_, f"delete_{self.name}"))

    def set_tags(self, context: Context, id_: str, tags: Sequence[str]) -> Sequence[str]:
        unique = sorted(set(tags))
        if any(not 1 <= len(tag) <= 255 for tag in unique):
            raise InvalidInput("Invalid input for tags: a tag has 1 to 255 characters.", field="tags")
        with self.database.begin() as connection:
            current = self.find_own(connection, context, id_, f"update_{self.plural}_tags")
            self.store(connection, changed(current, {"tags": unique}))
        return unique

    def remove_tag(self, context: Context, id_: str, tag: str) -> None:
        with self.database.begin():
            tags = self.get(context, id_).tags
            if tag not in tags:
                raise TagNotFound(f"Tag {tag} could not be found.")
            self.set_tags(context, id_, [other for other in tags if other != tag])

    def shown(self, context: Context, resource: R) -> Document:
        document: Document = msgspec.to_builtins(resource)
        document["tenant_id"] = document["project_id"]
        if not context.is_admin:
            for name in ADMIN_ATTRIBUTES & document.keys():
                del document[name]
        return document

    # What subclasses and neighbours call.

    def find(self, connection: Connection, context: Context, id_: str) -> R:
        where = [] if context.is_admin else [self.visible(context)]
        found = self.rows.select(connection, {"id": [id_]}, *where)
        if not found:
            raise self.missing(f"{self.title} {id_} could not be found.")
        return self.complete(connection, found)[0]

    def find_own(self, connection: Connection, context: Context, id_: str, action: str) -> R:
        """As `find`; seeing it, as with shared networks, is not enough. Raises PolicyNotAuthorized."""
        resource = self.find(connection, context, id_)
        if not context.sees(resource.project_id):
            raise disallowed(action)
        return resource

    def new(self, values: Values) -> R:
        moment = now()
        document = {"id": new_id(), "created_at": moment, "updated_at": moment, **values}
        return msgspec.convert(document, self.rows.resource)

    def store(self, connection: Connection, resource: R) -> R:
        """The next revision."""
        resource.revision_number += 1
        resource.updated_at = now()
        self.rows.replace(connection, resource)
        return resource

    def _own(self, context: Context) -> ColumnElement[bool]:
        return self.rows.table.c.project_id == context.project_id if context.project_id else false()

    def _authorize(self, context: Context, action: str, values: Values) -> None:
        if context.is_admin:
            return
        if not context.roles & {"member", "manager"}:
            raise disallowed(action)
        if values.get("project_id", context.project_id) != context.project_id:
            raise disallowed(f"{action}:project_id")
        for name in sorted(ADMIN_ATTRIBUTES & values.keys()):
            raise disallowed(f"{action}:{name}")
        for name in ("shared", "router:external", "is_default"):
            if values.get(name):
                raise disallowed(f"{action}:{name}")

    def _filters(self, query: Query) -> tuple[dict[str, list[Any]], dict[str, list[str]]]:
        """Those that the database does, and those on lists (tags, security groups)."""
        equals: dict[str, list[Any]] = {}
        predicates: dict[str, list[str]] = {}
        columns = self.rows.table.c
        for parameter, values in query.items():
            name = "project_id" if parameter == "tenant_id" else parameter
            if name in CONTROLS or name in self.special_filters:
                continue
            if name in TAG_FILTERS or (name in columns and isinstance(columns[name].type, JSON)):
                predicates[name] = [item for value in values for item in value.split(",")]
            elif name in columns:
                equals[name] = [_of_type(columns[name].type, name, value) for value in values]
            else:
                raise HTTPBadRequest(f"['{name}'] is invalid attribute for filtering", field=name)
        return equals, predicates


TAG_FILTERS = frozenset({"tags", "tags-any", "not-tags", "not-tags-any"})


def _matches(document: Document, predicates: Mapping[str, list[str]]) -> bool:
    for name, wanted in predicates.items():
        have = set(document["tags" if name in TAG_FILTERS else name])
        every, one = have >= set(wanted), bool(have & set(wanted))
        if not {"tags": every, "tags-any": one, "not-tags": not every, "not-tags-any": not one}.get(name, one):
            return False
    return True


def _of_type(kind: object, name: str, text: str) -> object:
    try:
        if isinstance(kind, Boolean):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return int(text) if isinstance(kind, Integer) else text
    except (KeyError, ValueError) as error:
        raise InvalidInput(
            f"Invalid input for {name}. Reason: '{text}' is not one of its values.", field=name
        ) from error


def _new_names(document: object) -> object:
    """`tenant_id` is what project_id was called; clients still send it."""
    if not isinstance(document, dict) or "tenant_id" not in document:
        return document
    rest = {key: value for key, value in document.items() if key != "tenant_id"}
    return {"project_id": document["tenant_id"], **rest}


def disallowed(action: str) -> PolicyNotAuthorized:
    return PolicyNotAuthorized(f"(rule:{action}) is disallowed by policy")
