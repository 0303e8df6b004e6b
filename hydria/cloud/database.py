"""The embedded cloud's own database: engine, tables' registry, transactions. Knows no table by name."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Connection, MetaData, create_engine, event, make_url

metadata = MetaData()
"""Every service's module registers its tables here when it is imported."""

BUSY_TIMEOUT_MS = 10_000


class Database:
    """SQLite in WAL mode. Reads never wait; writes of this process queue on a lock instead of polling on SQLite's."""

    def __init__(self, url: str) -> None:
        _keep_private(url)
        # No limit: a thread that waited here for a connection could hold the writers' lock.
        self._engine = create_engine(
            url, json_serializer=_encode, json_deserializer=msgspec.json.decode, max_overflow=-1
        )
        event.listen(self._engine, "connect", _prepare)
        self._writing = threading.Lock()
        self._thread = threading.local()

    def create_tables(self) -> None:
        with self.begin() as connection:
            metadata.create_all(connection)

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """One immediate transaction: committed at the end, rolled back by an exception.

        Inside another `begin` of the same thread it is that transaction, so services can call each other.
        """
        outer: Connection | None = getattr(self._thread, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._writing, self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            self._thread.connection = connection
            try:
                yield connection
                connection.commit()
            finally:
                self._thread.connection = None

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view; inside a `begin` of the same thread it sees what that has written."""
        outer: Connection | None = getattr(self._thread, "connection", None)
        if outer is not None:
            yield outer
            return
        with self._engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection

    def close(self) -> None:
        self._engine.dispose()


def _keep_private(url: str) -> None:
    """Hashes of passwords are in it; SQLite gives its log the mode of the database."""
    name = make_url(url).database
    if name not in {None, "", ":memory:"}:
        path = Path(str(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)


def _encode(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _prepare(connection: Any, _record: object) -> None:
    """`isolation_level = None` stops the sqlite3 module from opening transactions behind our back."""
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        # A commit survives a killed process; a power cut, which may lose the last ones, also ends every server.
        "synchronous = NORMAL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")
