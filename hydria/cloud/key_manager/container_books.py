"""Containers: named references to secrets that belong together. Knows no payload and no HTTP."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement

from hydria.base.errors import NotFound
from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.key_manager.collection import Collection
from hydria.cloud.key_manager.errors import mismatch
from hydria.cloud.key_manager.resources import Container, ContainerConsumer, Name, Reference, containers
from hydria.cloud.key_manager.secret_books import Secrets
from hydria.cloud.web import Query


class Names(Struct, frozen=True):
    required: frozenset[str]
    allowed: frozenset[str]


def _names(*required: str, optional: tuple[str, ...]) -> Names:
    return Names(frozenset(required), frozenset({*required, *optional}))


NAMES: Mapping[str, Names] = {
    "certificate": _names("certificate", optional=("private_key", "private_key_passphrase", "intermediates")),
    "rsa": _names("public_key", "private_key", optional=("private_key_passphrase",)),
}
"""Type of container → what its secrets are called. In a generic one they are called anything."""


class ReferenceForm(Struct):
    secret_ref: str
    name: Name | None = None


class Containers(Collection[Container]):
    name = "Container"
    consumer = ContainerConsumer

    def __init__(self, database: Database, secrets: Secrets, secrets_url: str) -> None:
        super().__init__(database, containers, Container)
        self._secrets = secrets
        self._secrets_url = secrets_url

    def filters(self, context: Context, query: Query) -> list[ColumnElement[bool]]:  # noqa: ARG002 - as the base has it
        return [containers.c[name] == query[name][0] for name in ("name", "type") if query.get(name, [""])[0]]

    def create(self, context: Context, document: dict[str, Any]) -> Container:
        if "type" not in document:
            raise mismatch("Container", "'type' is a required property", "type")
        container = self.new(context, document, "Container creation")
        container.secret_refs = self._references(document.get("secret_refs") or [])
        _check_names(container)
        with self.database.begin() as connection:
            for reference in container.secret_refs:
                found = self._secrets.rows.select(connection, {"id": [reference.secret_id]}, *self._secrets.existing())
                if not found or found[0].project_id != container.project_id:
                    raise NotFound(f"Secret provided for '{reference.name}' doesn't exist.")
            self.rows.insert(connection, container)
        return container

    def _references(self, given: object) -> list[Reference]:
        try:
            forms = msgspec.convert(given, list[ReferenceForm])
        except msgspec.ValidationError as error:
            raise mismatch("Container", str(error), "secret_refs") from error
        references = []
        for form in forms:
            prefix, _, id_ = form.secret_ref.rstrip("/").rpartition("/")
            if prefix != self._secrets_url:
                reason = f"Secret_ref does not match the configured hostname, it begins with {self._secrets_url}/"
                raise mismatch("Container", reason, "secret_ref")
            references.append(Reference(name=form.name, secret_id=id_))
        return references


def _check_names(container: Container) -> None:
    """Raises Invalid."""
    names = [reference.name or "" for reference in container.secret_refs]
    if len(set(names)) < len(names):
        raise mismatch("Container", "Duplicate reference names are not allowed", "secret_refs")
    if len({reference.secret_id for reference in container.secret_refs}) < len(names):
        raise mismatch("Container", "Duplicate secret ids are not allowed", "secret_refs")
    known = NAMES.get(container.type)
    # Barbican lets an empty one of any type pass.
    if known is None or not names:
        return
    if unknown := sorted(set(names) - known.allowed):
        allowed = ", ".join(sorted(known.allowed))
        reason = f"'{unknown[0]}' is no reference name of a {container.type} container, which are {allowed}"
        raise mismatch("Container", reason, "secret_refs")
    if missing := sorted(known.required - set(names)):
        reason = f"The minimum required reference names of a {container.type} container: '{missing[0]}' is missing"
        raise mismatch("Container", reason, "secret_refs")
