"""A migrated database whose clock the test turns."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_world import Clock, Filled, insert_filled, make_database

from hydria.store.database import Database
from hydria.store.queue import Queue


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("migrated") / "hydria.db"
    make_database(path, Clock()).close()
    return path


@pytest.fixture
def database(tmp_path: Path, migrated: Path, clock: Clock) -> Iterator[Database]:
    shutil.copy(migrated, tmp_path / "hydria.db")
    database = make_database(tmp_path / "hydria.db", clock)
    yield database
    database.close()


@pytest.fixture
def queue(database: Database) -> Queue:
    return Queue(database)


@pytest.fixture
def filled(database: Database) -> Filled:
    return insert_filled(database, Filled())
