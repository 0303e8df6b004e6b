"""A migrated database whose clock the test turns."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_world import Clock, Filled, insert_filled, make_database

from hydria.store.database import Database
from hydria.store.queue import Queue


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path, clock: Clock) -> Iterator[Database]:
    database = make_database(tmp_path / "hydria.db", clock)
    yield database
    database.close()


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database)


@pytest.fixture
def filled(database: Database) -> Filled:
    return insert_filled(database, Filled())
