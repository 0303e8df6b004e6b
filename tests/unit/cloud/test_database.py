import concurrent.futures
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, func, select, text

from hydria.cloud.database import Database

numbers = Table("numbers", MetaData(), Column("id", Integer, primary_key=True), Column("name", String))


@pytest.fixture
def database(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path}/test.db")
    with database.begin() as connection:
        numbers.metadata.create_all(connection)
    yield database
    database.close()


def count(database: Database):
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(numbers)).scalar_one()


def test_error_rolls_back_everything_also_what_an_inner_transaction_did(database: Database):
    def add_two_and_fail() -> None:
        with database.begin() as outer:
            outer.execute(numbers.insert().values(id=1))
            with database.begin() as inner:
                assert inner is outer
                inner.execute(numbers.insert().values(id=2))
            assert count(database) == 2
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        add_two_and_fail()
    assert count(database) == 0


def test_readers_see_nothing_half_done(database: Database):
    with database.begin() as connection, concurrent.futures.ThreadPoolExecutor(1) as pool:
        connection.execute(numbers.insert().values(id=1))
        assert pool.submit(count, database).result() == 0
    assert count(database) == 1


def test_writers_queue(database: Database):
    def add(number: int) -> None:
        with database.begin() as connection:
            highest = connection.execute(select(func.coalesce(func.max(numbers.c.id), 0))).scalar_one()
            connection.execute(numbers.insert().values(id=highest + 1, name=str(number)))

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(64)))
    assert count(database) == 64


def test_sqlite_is_set_up_as_we_need_it(database: Database, tmp_path: Path):
    with database.read() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA foreign_keys")).scalar() == 1
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 10_000
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
