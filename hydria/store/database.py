"""The connection to the database: transactions, and bringing the schema up to date."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hydria.base.errors import Retryable

_MIGRATIONS = Path(__file__).parent / "migrations"
_BUSY_SECONDS = 30.0


class Transaction:
    """What statements run in. Made by `Database.read` and `Database.write` only."""

    def __init__(self, connection: sa.Connection, clock: Callable[[], float]) -> None:
        self.connection = connection
        self.clock = clock

    def execute(
        self, statement: sa.Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> sa.CursorResult[Any]:
        result = self.connection.execute(statement, values)
        assert isinstance(result, sa.CursorResult)  # noqa: S101 - for the type checker: Core gives no other
        return result


class Database:
    """One per process, shared by its threads."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.url = sa.make_url(url)
        sqlite = self.url.get_backend_name() == "sqlite"
        if sqlite:
            self._engine = _sqlite_engine(self.url)
            self._reading = self._engine
            self._writing = self._engine.execution_options(hydria_begin="BEGIN IMMEDIATE")
        else:
            self._engine = sa.create_engine(self.url, pool_size=20, max_overflow=80, pool_pre_ping=True)
            self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ")
            self._writing = self._engine.execution_options(isolation_level="READ COMMITTED")
        # SQLite has one writer at a time. Threads of this process queue here, in their order, instead of in SQLite's
        # busy handler, which sleeps up to 100 ms. Re-entrant, so that a nested write fails by timeout and not never.
        self._turn: contextlib.AbstractContextManager[Any] = threading.RLock() if sqlite else contextlib.nullcontext()

    @contextlib.contextmanager
    def write(self) -> Iterator[Transaction]:
        """Commits at the end, rolls back when an exception leaves it."""
        with self._turn, self._transaction(self._writing) as tx:
            yield tx
            tx.connection.commit()

    @contextlib.contextmanager
    def read(self) -> Iterator[Transaction]:
        """One snapshot."""
        with self._transaction(self._reading) as tx:
            yield tx

    @contextlib.contextmanager
    def _transaction(self, engine: sa.Engine) -> Iterator[Transaction]:
        try:
            with engine.connect() as connection:
                connection.begin()  # now, not with the first statement: the lock comes before any decision
                yield Transaction(connection, self.clock)
        except (sa.exc.OperationalError, sa.exc.TimeoutError) as error:
            # The statement and its values are left out: they may hold what a tenant typed.
            reason = error.orig if isinstance(error, sa.exc.OperationalError) else error
            raise Retryable(f"Database {self.url.render_as_string()}: {reason}") from error

    def migrate(self) -> None:
        """Create the tables or bring them up to date. Any number of processes may do so at once."""
        if self._revision() == head():
            return
        import alembic.command  # noqa: PLC0415 - 100 ms that only a change of the schema costs
        import alembic.config  # noqa: PLC0415 - likewise

        config = alembic.config.Config()
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        with self.write() as tx:
            if self.url.get_backend_name() == "postgresql":
                tx.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("hydria"))))
            config.attributes["connection"] = tx.connection
            alembic.command.upgrade(config, "head")

    def _revision(self) -> str | None:
        with self.read() as tx:
            if not sa.inspect(tx.connection).has_table("alembic_version"):
                return None
            version = sa.table("alembic_version", sa.column("version_num", sa.String))
            return tx.connection.scalar(sa.select(version.c.version_num))

    def close(self) -> None:
        self._engine.dispose()


def head() -> str:
    """The newest revision: migrations are named by four digits."""
    return max(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(
        url,
        pool_size=20,
        max_overflow=80,
        # isolation_level None: sqlite3 would otherwise begin transactions itself, too late for a snapshot.
        connect_args={"timeout": _BUSY_SECONDS, "isolation_level": None, "cached_statements": 512},
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("hydria_begin", "BEGIN"))

    return engine
