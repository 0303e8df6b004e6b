"""Worlds for the controller's tests, and the databases that they take in turn."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from controller_world import World

from hydria.drivers.certificates import Authority, ensure_ca
from hydria.store.database import Database


class Databases:
    """Empty ones. One that is given back is emptied for the next world: what its engine has compiled costs the most."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._spare: list[Database] = []
        empty = Database(f"sqlite:///{directory}/empty.db")
        empty.migrate()
        empty.close()

    def take(self) -> Database:
        if self._spare:
            return self._spare.pop()
        path = Path(tempfile.mkdtemp(dir=self._directory)) / "hydria.db"
        shutil.copy(self._directory / "empty.db", path)
        return Database(f"sqlite:///{path}")

    def give_back(self, database: Database) -> None:
        self.empty(database)
        self._spare.append(database)

    def empty(self, database: Database) -> None:
        database.close()
        path = Path(str(database.url.database))
        for left in path.parent.iterdir():
            left.unlink()
        shutil.copy(self._directory / "empty.db", path)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return ensure_ca(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    return Databases(tmp_path_factory.mktemp("databases"))


@pytest.fixture
def new_world(authority: Authority, databases: Databases) -> Iterator[Callable[[], World]]:
    """A world of its own at each call."""
    with ExitStack() as cleanup:

        def make() -> World:
            database = databases.take()
            cleanup.callback(databases.give_back, database)
            return World(database, authority)

        yield make


@pytest.fixture
def next_world(authority: Authority, databases: Databases) -> Iterator[Callable[[], World]]:
    """A world of its own at each call, which ends the one before."""
    database = databases.take()

    def make() -> World:
        databases.empty(database)
        return World(database, authority)

    yield make
    databases.give_back(database)


@pytest.fixture
def world(new_world: Callable[[], World]) -> World:
    return new_world()
