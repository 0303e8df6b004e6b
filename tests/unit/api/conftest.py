"""An API for each test; what makes it stands in api_world.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_world import World, a_world

from hydria.api.policy import Policy
from hydria.base.config import Api
from hydria.store.database import Database


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture(scope="session")
def default_policy() -> Policy:
    return Policy()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("api") / "empty.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def world(tmp_path: Path, empty_database: Path, default_policy: Policy, api: Api) -> Iterator[World]:
    with a_world(tmp_path, empty_database, default_policy, api) as made:
        yield made
