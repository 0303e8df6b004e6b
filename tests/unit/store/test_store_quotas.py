"""Counting under a limit: whatever happens at the same time, never a row too many."""

import multiprocessing
import threading
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.dialects import mysql, postgresql
from store_world import Clock, make_database

from hydria.base.config import Quotas
from hydria.base.errors import Forbidden
from hydria.model.l7 import L7Policy
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Member, Pool
from hydria.model.quota import LIMITED, Quota
from hydria.model.resource import Provisioned
from hydria.model.status import ProvisioningStatus
from hydria.store import quotas, resources
from hydria.store.database import Database, Transaction

THREE = Quotas(default_load_balancer_quota=3)
ANY = Quotas()


def admitted(database: Database, project: str, names: list[str], defaults: Quotas = THREE) -> list[str]:
    """Those of the load balancers that the quota let in, each in a transaction of its own."""
    made = []
    for name in names:
        try:
            with database.write() as tx:
                quotas.reserve(tx, project, {LoadBalancer: 1}, defaults)
                resources.insert(tx, LoadBalancer(id=name, project_id=project))
            made.append(name)
        except Forbidden:
            continue
    return made


def stored(database: Database, project: str = "p") -> set[str]:
    with database.read() as tx:
        return {row.id for row in resources.find(tx, LoadBalancer, project_id=project)}


@pytest.mark.parametrize("limit", [0, 1, 5, 40], ids=lambda limit: f"limit {limit}")
def test_of_many_at_once_just_as_many_as_may_be_are_let_in(tmp_path: Path, migrated: Path, limit: int):
    """Each thread over its own connections, as processes have them; two projects do not count for each other."""
    path = tmp_path / "hydria.db"
    path.write_bytes(migrated.read_bytes())
    databases = [Database(f"sqlite:///{path}") for _ in range(8)]
    start = threading.Barrier(8)

    def race(number: int) -> list[str]:
        project = "pq"[number % 2]
        start.wait()
        names = [f"{number}-{n}" for n in range(5)]
        return admitted(databases[number], project, names, Quotas(default_load_balancer_quota=limit))

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(race, range(8)))
    for number, project in enumerate("pq"):
        own = {name for part in made[number::2] for name in part}
        assert stored(databases[0], project) == own
        assert len(own) == min(limit, 20)
    for database in databases:
        database.close()


def _in_a_process(arguments: tuple[str, int]) -> list[str]:
    url, number = arguments
    database = Database(url)
    try:
        return admitted(database, "p", [f"{number}-{n}" for n in range(10)])
    finally:
        database.close()


def test_processes_count_together(tmp_path: Path, migrated: Path):
    path = tmp_path / "hydria.db"
    path.write_bytes(migrated.read_bytes())
    url = f"sqlite:///{path}"
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("fork")) as pool:
        made = [name for part in pool.map(_in_a_process, [(url, number) for number in range(3)]) for name in part]
    database = Database(url)
    assert stored(database) == set(made)
    assert len(made) == 3
    database.close()


def test_what_was_rolled_back_counts_for_nothing(database: Database):
    def fail(tx: Transaction) -> None:
        quotas.reserve(tx, "p", {LoadBalancer: 3}, THREE)
        resources.insert_all(tx, [LoadBalancer(id=name, project_id="p") for name in "abc"])
        raise LookupError

    for _ in range(3):
        with pytest.raises(LookupError), database.write() as tx:
            fail(tx)
    assert admitted(database, "p", list("abcd")) == list("abc")


def test_a_process_that_dies_after_its_reservation_leaves_none(tmp_path: Path, clock: Clock):
    """What would have been counted was never committed; a new process sees the rows alone."""
    url = tmp_path / "hydria.db"
    dying = make_database(url, clock)
    with dying.read() as tx:  # as its connection would be left: without an end of the transaction
        tx.connection.exec_driver_sql("ROLLBACK")
        tx.connection.exec_driver_sql("BEGIN IMMEDIATE")
        quotas.reserve(tx, "p", {LoadBalancer: 3}, THREE)
    dying.close()
    after = make_database(url, clock)
    assert admitted(after, "p", list("abcd")) == list("abc")
    after.close()


def test_a_row_counts_until_it_is_gone(database: Database):
    assert admitted(database, "p", list("abc")) == list("abc")
    with database.write() as tx:
        resources.update(tx, LoadBalancer, "a", provisioning_status=ProvisioningStatus.PENDING_DELETE)
    assert admitted(database, "p", ["d"]) == []
    with database.write() as tx:
        resources.delete(tx, LoadBalancer, "a")
    assert admitted(database, "p", ["d"]) == ["d"]


def test_what_is_beyond_a_lowered_limit_stays(database: Database):
    assert admitted(database, "p", list("abc")) == list("abc")
    with database.write() as tx:
        quotas.put(tx, "p", {"loadbalancer": 1})
    assert admitted(database, "p", ["d"]) == []
    assert stored(database) == set("abc")
    with database.write() as tx:
        quotas.reset(tx, "p")
    assert admitted(database, "p", ["d"], Quotas(default_load_balancer_quota=4)) == ["d"]


@pytest.mark.parametrize(
    ("growth", "own", "full"),
    [
        pytest.param({Pool: 1}, {"pool": 1}, None, id="up to the limit"),
        pytest.param({Pool: 2}, {"pool": 1}, "Pool", id="beyond it"),
        pytest.param({Pool: 0}, {"pool": 0}, None, id="nothing"),
        pytest.param({Pool: -1}, {"pool": 0}, None, id="less than before"),
        pytest.param({Pool: 10**9}, {}, None, id="not limited"),
        pytest.param({Pool: 1, Member: 1}, {"member": 0}, "Member", id="one of two"),
        pytest.param({Member: 1, Pool: 1}, {"member": 0, "pool": 0}, "Pool", id="both: the one higher up"),
        pytest.param({L7Policy: 1}, {"l7policy": 0}, "L7 Policy", id="as Octavia calls it"),
        pytest.param({LoadBalancer: 1}, {"loadbalancer": None}, None, id="null: the default"),
        pytest.param({LoadBalancer: 4}, {"loadbalancer": None}, "Load Balancer", id="null: beyond the default"),
        pytest.param({LoadBalancer: 4}, {"loadbalancer": -1}, None, id="its own: any number"),
    ],
)
def test_reserving(
    database: Database, growth: Mapping[type[Provisioned], int], own: Mapping[str, int | None], full: str | None
):
    with database.write() as tx:
        quotas.put(tx, "p", own)
        if full is None:
            quotas.reserve(tx, "p", growth, THREE)
            return
        with pytest.raises(Forbidden, match=f"^Quota has been met for resources: {full}$"):
            quotas.reserve(tx, "p", growth, THREE)


def test_one_statement_counts_whatever_is_limited(database: Database):
    seven = Quotas(**dict.fromkeys(Quotas.__struct_fields__, 5))
    with database.write() as tx:
        statements: list[str] = []
        real = tx.connection.execute

        def execute(statement: object, *more: object) -> object:
            statements.append(str(statement))
            return real(statement, *more)  # type: ignore[call-overload]

        tx.connection.execute = execute  # type: ignore[method-assign, assignment]
        quotas.reserve(tx, "p", dict.fromkeys(LIMITED, 1), seven)
        counting = [text for text in statements if "count(" in text]
        assert len(counting) == 1
        statements.clear()
        quotas.reserve(tx, "p", dict.fromkeys(LIMITED, 1), ANY)
        assert len(statements) == 1, "who is not limited is not counted, and waits for nobody"


def test_putting_and_resetting(database: Database):
    steps: list[tuple[Mapping[str, int | None], Quota | None]] = [
        ({"pool": None}, None),
        ({"pool": 3}, Quota(project_id="p", pool=3)),
        ({}, Quota(project_id="p", pool=3)),
        ({"member": 0}, Quota(project_id="p", pool=3, member=0)),
        ({"pool": None, "member": None}, None),
    ]
    for changes, expected in steps:
        with database.write() as tx:
            assert quotas.put(tx, "p", changes) == (expected or Quota(project_id="p"))
            assert resources.get(tx, Quota, "p") == expected
    with database.write() as tx:
        quotas.put(tx, "p", {"pool": 1})
        quotas.reset(tx, "p")
        quotas.reset(tx, "p")
        assert resources.get(tx, Quota, "p") is None


@pytest.mark.parametrize("dialect", [postgresql.dialect(), mysql.dialect()], ids=["postgresql", "mysql"])
def test_elsewhere_the_row_is_locked(dialect: postgresql.dialect | mysql.dialect):
    assert str(quotas._LOCK.compile(dialect=dialect)).endswith("FOR UPDATE")
