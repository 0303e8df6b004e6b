"""Secrets and their payloads, which are encrypted before the database sees them. Knows no HTTP."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, or_, select

from hydria.base import log
from hydria.base.errors import Conflict, NotFound
from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.key_manager import content, listing
from hydria.cloud.key_manager.collection import Collection
from hydria.cloud.key_manager.content import Payload
from hydria.cloud.key_manager.encryption import Keyring, Sealed
from hydria.cloud.key_manager.errors import mismatch
from hydria.cloud.key_manager.resources import Secret, SecretConsumer, moment, payloads, secrets
from hydria.cloud.web import Query

logger = log.Logger(__name__)

FILTERS = {"name": "name", "alg": "algorithm", "mode": "mode", "secret_type": "secret_type"}
"""Parameter → column."""
TIMES = ("created", "updated", "expiration")


class Secrets(Collection[Secret]):
    name = "Secret"
    consumer = SecretConsumer

    def __init__(self, database: Database, keyring: Keyring) -> None:
        super().__init__(database, secrets, Secret)
        self._keyring = keyring

    def existing(self) -> list[ColumnElement[bool]]:
        expiration = secrets.c.expiration
        return [or_(expiration.is_(None), expiration > moment())]

    def filters(self, context: Context, query: Query) -> list[ColumnElement[bool]]:  # noqa: ARG002 - as the base has it
        columns = secrets.c
        where = [columns[column] == query[name][0] for name, column in FILTERS.items() if query.get(name, [""])[0]]
        bits = query.get("bits", [""])[0]
        if bits.isdecimal() and int(bits):
            where.append(columns.bit_length == int(bits))
        for name in TIMES:
            where += listing.times(columns[name], query.get(name, [""])[0])
        return where

    def create(self, context: Context, document: dict[str, Any]) -> Secret:
        secret = self.new(context, document, "Secret creation")
        payload = content.of_document(document)
        if secret.expiration is not None and secret.expiration.strip():
            secret.expiration = listing.parsed(secret.expiration, "expiration")
            if secret.expiration <= moment():
                raise mismatch("Secret", "'expiration' is before current time", "expiration")
        else:
            secret.expiration = None
        secret.content_type = payload.content_type if payload is not None else None
        with self.database.begin() as connection:
            # What nobody can read any more is not kept either.
            connection.execute(secrets.delete().where(secrets.c.expiration <= moment()))
            self.rows.insert(connection, secret)
            if payload is not None:
                self._keep(connection, secret, payload)
        return secret

    def add_payload(self, context: Context, id_: str, payload: Payload) -> None:
        with self.database.begin() as connection:
            secret = self.changeable(connection, context, id_, "Secret update")
            if secret.content_type is not None:
                raise Conflict("Secret already has data, cannot modify it.")
            self._keep(connection, secret, payload)
            self._store(connection, secret, {"content_type": payload.content_type})

    def payload(self, context: Context, id_: str) -> Payload:
        with self.database.read() as connection:
            secret = self.readable(connection, context, id_, "Secret payload retrieval")
            row = connection.execute(
                select(payloads.c.key_id, payloads.c.sealed).where(payloads.c.secret_id == id_)
            ).one_or_none()
        if row is None or secret.content_type is None:
            raise NotFound(f"Secret {id_} has no payload.")
        return Payload(secret.content_type, self._keyring.open(id_, Sealed(*row)))

    def _keep(self, connection: Connection, secret: Secret, payload: Payload) -> None:
        sealed = self._keyring.seal(secret.id, payload.data)
        values = {"secret_id": secret.id, "key_id": sealed.key_id, "sealed": sealed.data}
        connection.execute(payloads.insert().values(values))

    def open_books(self) -> None:
        """Read the keys, at the first start make one, and encrypt anew what an older key encrypted. May run twice.

        Where payloads are stored and the file is gone no new key is made: the old one can still be put back.
        """
        with self.database.begin() as connection:
            columns = payloads.c
            stored = set(connection.execute(select(columns.key_id).distinct()).scalars())
            self._keyring.load(make=not stored)
            query = select(columns.secret_id, columns.key_id, columns.sealed)
            query = query.where(columns.key_id.in_(self._keyring.ids[1:]))
            for secret_id, key_id, data in connection.execute(query).all():
                sealed = self._keyring.seal(secret_id, self._keyring.open(secret_id, Sealed(key_id, data)))
                values = {"key_id": sealed.key_id, "sealed": sealed.data}
                connection.execute(payloads.update().where(columns.secret_id == secret_id).values(values))
        if unknown := stored - set(self._keyring.ids):
            # Everything else of the cloud can work, so it starts; who reads such a secret is told the same.
            keys, file = ", ".join(sorted(unknown)), self._keyring.path
            logger.error("secrets cannot be read: their keys are not in the key file", keys=keys, file=str(file))
