import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import alembic.command
import alembic.config
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.schema import CreateIndex, CreateTable
from store_world import Clock, Filled, insert_filled, make_database

from hydria.base.errors import Conflict, Retryable
from hydria.model.amphora import Amphora
from hydria.model.availability_zone import AvailabilityZone, AvailabilityZoneProfile
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Pool
from hydria.store import migrations, resources
from hydria.store.database import Database, Transaction, head
from hydria.store.load_balancers import touch
from hydria.store.tables import METADATA


def schema(database: Database) -> dict[str, object]:
    """Tables by their columns, keys and indexes. Order and defaults of columns are those of their migration."""
    with database.read() as tx:
        inspector = sa.inspect(tx.connection)
        tables = set(inspector.get_table_names()) - {"alembic_version"}
        found: dict[str, object] = {name: _table(tx, inspector, name) for name in tables}
        indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        return found | {name: text.replace('"', "") for name, text in tx.execute(sa.text(indexes))}


def _table(tx: Transaction, inspector: sa.Inspector, name: str) -> object:
    columns = {
        column["name"]: (str(column["type"]), column["nullable"], column["primary_key"])
        for column in inspector.get_columns(name)
    }
    # SQLite's own words: SQLAlchemy does not see all of a reference that came with a column.
    listed = tx.execute(sa.text(f"PRAGMA foreign_key_list({name})")).mappings()
    keys = {(key["from"], key["table"], key["to"], key["on_delete"]) for key in listed}
    return columns, keys, inspector.get_pk_constraint(name)["name"]


def test_migrations_make_what_the_structs_say(tmp_path: Path, clock: Clock):
    migrated = make_database(tmp_path / "migrated.db", clock)
    derived = Database(f"sqlite:///{tmp_path / 'derived.db'}")
    with derived.write() as tx:
        METADATA.create_all(tx.connection)
    assert schema(migrated) == schema(derived)
    assert "load_balancer" in schema(derived)
    migrated.close()
    derived.close()


def upgrade(tx: Transaction, revision: str) -> None:
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(migrations.__path__[0])))
    config.attributes["connection"] = tx.connection
    alembic.command.upgrade(config, revision)


def test_migrating_keeps_what_is_there(tmp_path: Path, clock: Clock):
    database = Database(f"sqlite:///{tmp_path / 'hydria.db'}", clock)
    with database.write() as tx:
        upgrade(tx, "0001")
        resources.insert(tx, LoadBalancer(id="lb"))
        columns = "(id, loadbalancer_id, status, cert_busy, created_at, heartbeat_sequence)"
        values = "('a', 'lb', 'ALLOCATED', 0, '2026-01-01 00:00:00.000000', 7)"
        tx.execute(sa.text(f"INSERT INTO amphora {columns} VALUES {values}"))  # noqa: S608 - of our own
    database.migrate()
    with database.read() as tx:
        (row,) = resources.find(tx, Amphora)
    assert (row.id, row.loadbalancer_id, row.heartbeat_sequence, row.replace_for) == ("a", "lb", 7, None)
    database.close()


def test_load_balancers_from_before_there_were_zones(tmp_path: Path, clock: Clock, database: Database):
    old = Database(f"sqlite:///{tmp_path / 'old.db'}", clock)
    with old.write() as tx:
        upgrade(tx, "0003")
        new = [LoadBalancer(id=id_, project_id="p", vip_address="192.0.2.1", tags=["a"]) for id_ in ("lb-1", "lb-2")]
        rows = resources.insert_all(tx, new)
        plain = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "tls_versions": [], "alpn_protocols": []}
        pool = resources.insert(tx, Pool(id="pool", loadbalancer_id="lb-1", project_id="p", **plain))
        upgrade(tx, "0004")
        assert resources.find(tx, LoadBalancer) == rows
        assert resources.find(tx, Pool) == (pool,)
    old.migrate()
    assert schema(old) == schema(database)
    with old.write() as tx:
        profile = AvailabilityZoneProfile(id="p", provider_name="amphora", name="p", availability_zone_data="{}")
        resources.insert(tx, profile)
        resources.insert(tx, AvailabilityZone(name="zone", availability_zone_profile_id="p"))
        resources.update(tx, LoadBalancer, "lb-1", availability_zone="zone")
    for refused in (
        lambda tx: resources.delete(tx, AvailabilityZone, "zone"),
        lambda tx: resources.delete(tx, AvailabilityZoneProfile, "p"),
        lambda tx: resources.update(tx, LoadBalancer, "lb-2", availability_zone="nowhere"),
    ):
        with pytest.raises(Conflict), old.write() as tx:
            refused(tx)
    with old.read() as tx:
        assert [row.availability_zone for row in resources.find(tx, LoadBalancer)] == ["zone", None]
    old.close()


def test_migrating_again_looks_at_the_revision_and_changes_nothing(database: Database):
    before = schema(database)
    statements: list[str] = []
    sa.event.listen(database._engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    database.migrate()
    assert "alembic_version" in statements[-1]
    assert not [text for text in statements if not text.startswith(("BEGIN", "PRAGMA", "SELECT"))]
    assert schema(database) == before


def test_many_may_migrate_at_once(tmp_path: Path):
    databases = [Database(f"sqlite:///{tmp_path / 'hydria.db'}") for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(Database.migrate, databases))
    with databases[0].read() as tx:
        assert tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalars().all() == [head()]
    for database in databases:
        database.close()


@pytest.mark.parametrize("dialect", [postgresql.dialect(), mysql.dialect()], ids=["postgresql", "mysql"])
def test_tables_can_be_made_elsewhere(dialect: sa.Dialect):
    for table in METADATA.sorted_tables:
        assert table.name in str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            assert str(index.name) in str(CreateIndex(index).compile(dialect=dialect))


def test_a_failed_write_leaves_nothing(database: Database):
    def fail(tx: Transaction) -> None:
        resources.insert(tx, LoadBalancer(id="a"))
        raise LookupError

    with pytest.raises(LookupError), database.write() as tx:
        fail(tx)
    with database.read() as tx:
        assert resources.find(tx, LoadBalancer) == ()


def test_a_read_is_one_snapshot(database: Database):
    with database.read() as before:
        assert resources.find(before, LoadBalancer) == ()
        with database.write() as tx:
            resources.insert(tx, LoadBalancer(id="a"))
        assert resources.find(before, LoadBalancer) == ()
    with database.read() as after:
        assert [row.id for row in resources.find(after, LoadBalancer)] == ["a"]


def test_an_unusable_database_is_worth_another_try(tmp_path: Path):
    database = Database(f"sqlite:///{tmp_path / 'missing' / 'hydria.db'}")
    with pytest.raises(Retryable, match="unable to open"), database.read():
        pass
    database.close()


def test_writers_of_all_threads_and_processes_take_turns(tmp_path: Path, clock: Clock):
    databases = [make_database(tmp_path / "hydria.db", clock) for _ in range(2)]
    names = insert_filled(databases[0], Filled())
    start = threading.Barrier(8)

    def write(number: int) -> list[int]:
        start.wait()
        generations = []
        for _ in range(10):
            with databases[number % 2].write() as tx:
                generations.append(touch(tx, names.lb, strict=False))
        return generations

    with ThreadPoolExecutor(8) as pool:
        seen = sorted(generation for part in pool.map(write, range(8)) for generation in part)
    assert seen == list(range(1, 81))
    for database in databases:
        database.close()
