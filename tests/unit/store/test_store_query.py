import datetime as dt
import itertools

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import mysql, postgresql
from store_world import Filled

from hydria.base.errors import Invalid
from hydria.model.listener import Listener
from hydria.model.load_balancer import AdditionalVip, LoadBalancer
from hydria.model.pool import HealthMonitor, Pool
from hydria.store import resources
from hydria.store.database import Database
from hydria.store.query import Query, related, select
from hydria.store.tables import table
from hydria.store.tags import has_tag

ROWS = [
    LoadBalancer(id="a", name="x", project_id="p", tags=["red", "blue"], vip_address="203.0.113.1"),
    LoadBalancer(id="b", name="y", project_id="p", tags=["red"], admin_state_up=False),
    LoadBalancer(id="c", name="x", project_id="q", tags=[], vip_address="203.0.113.2"),
    LoadBalancer(
        id="d",
        name="z",
        project_id="p",
        tags=["gr'een"],
        additional_vips=[AdditionalVip(subnet_id="s")],
        description="D",
    ),
]


@pytest.fixture
def rows(database: Database) -> Database:
    with database.write() as tx:
        resources.insert_all(tx, ROWS)
    return database


def ids(database: Database, query: Query) -> str:
    with database.read() as tx:
        return "".join(row.id for row in select(tx, LoadBalancer, query).rows)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param(Query(), "abcd", id="all"),
        pytest.param(Query(project_id="p"), "abd", id="project"),
        pytest.param(Query(filters={"tenant_id": ["q"]}), "c", id="tenant alias"),
        pytest.param(Query(filters={"name": ["x"]}), "ac", id="text"),
        pytest.param(Query(filters={"name": ["x", "z"]}), "acd", id="repeated is IN"),
        pytest.param(Query(filters={"name": ["x"], "project_id": ["q"]}), "c", id="several are AND"),
        pytest.param(Query(filters={"admin_state_up": ["False"]}), "b", id="boolean"),
        pytest.param(Query(filters={"provisioning_status": ["PENDING_CREATE"]}), "abcd", id="status"),
        pytest.param(Query(filters={"provisioning_status": ["NONSENSE"]}), "", id="unknown status"),
        pytest.param(Query(tags=["red", "blue"]), "a", id="tags: all"),
        pytest.param(Query(tags=["red,blue"]), "a", id="tags: by commas"),
        pytest.param(Query(tags_any=["blue", "gr'een"]), "ad", id="tags-any"),
        pytest.param(Query(not_tags=["red", "blue"]), "bcd", id="not-tags: not all"),
        pytest.param(Query(not_tags_any=["red", "blue"]), "cd", id="not-tags-any: none of"),
        pytest.param(Query(tags=["red"], not_tags_any=["blue"]), "b", id="tags combined"),
        pytest.param(Query(sort=[("name", "desc")]), "dbac", id="sort, then id"),
        pytest.param(Query(sort=[("vip_address", "asc")]), "acbd", id="sort, NULL last"),
        pytest.param(Query(sort=[("name", "asc"), ("id", "desc")]), "cabd", id="two keys"),
        pytest.param(Query(limit=2), "ab", id="limit"),
        pytest.param(Query(limit=2, marker="b"), "cd", id="marker"),
        pytest.param(Query(limit=1, marker="d", page_reverse=True), "c", id="page_reverse"),
        pytest.param(Query(limit=2, page_reverse=True), "cd", id="the last page"),
    ],
)
def test_lists(rows: Database, query: Query, expected: str):
    assert ids(rows, query) == expected


@pytest.mark.parametrize(
    "query",
    [
        pytest.param(Query(filters={"colour": ["x"]}), id="unknown filter"),
        pytest.param(Query(filters={"generation": ["1"]}), id="internal filter"),
        pytest.param(Query(filters={"additional_vips": ["x"]}), id="structured filter"),
        pytest.param(Query(filters={"created_at": ["yesterday"]}), id="no date"),
        pytest.param(Query(filters={"admin_state_up": ["maybe"]}), id="no boolean"),
        pytest.param(Query(sort=[("colour", "asc")]), id="unknown sort key"),
        pytest.param(Query(sort=[("name", "up")]), id="unknown direction"),  # type: ignore[list-item]
        pytest.param(Query(marker="nobody"), id="unknown marker"),
        pytest.param(Query(marker="c", project_id="p"), id="marker of another project"),
    ],
)
def test_bad_queries_are_refused(rows: Database, query: Query):
    with pytest.raises(Invalid), rows.read() as tx:
        select(tx, LoadBalancer, query)


KEYS = st.lists(
    st.tuples(
        st.sampled_from(["name", "vip_address", "created_at", "admin_state_up"]), st.sampled_from(["asc", "desc"])
    ),
    max_size=3,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sort=KEYS, limit=st.integers(1, 5), reverse=st.booleans())
def test_pages_put_together_are_the_list(rows: Database, sort: list[tuple[str, str]], limit: int, reverse: bool):
    whole = ids(rows, Query(sort=sort))  # type: ignore[arg-type]
    seen, marker = "", None
    with rows.read() as tx:
        for _ in itertools.count():
            page = select(tx, LoadBalancer, Query(sort=sort, limit=limit, marker=marker, page_reverse=reverse))  # type: ignore[arg-type]
            part = "".join(row.id for row in page.rows)
            seen = part + seen if reverse else seen + part
            if not (page.more_before if reverse else page.more_after):
                break
            marker = part[0] if reverse else part[-1]
    assert seen == whole


def test_rows_come_back_as_they_went_in(rows: Database):
    with rows.read() as tx:
        found = select(tx, LoadBalancer, Query(sort=[("id", "asc")])).rows
        assert found == resources.find(tx, LoadBalancer, id=[row.id for row in ROWS])
        assert found[3].additional_vips == [AdditionalVip(subnet_id="s")]
    made = {row.id: row.created_at for row in found}
    moment = dt.datetime(2023, 11, 14, 22, 13, 20)  # noqa: DTZ001 - stored without zone
    assert [made[row.id] for row in ROWS] == [moment + dt.timedelta(microseconds=n) for n in range(len(ROWS))]


def test_relations_take_the_same_statements_for_any_number(database: Database, filled: Filled):
    with database.read() as tx:
        assert related(tx, LoadBalancer, [filled.lb, "none"]) == {
            filled.lb: {"listeners": [filled.listener], "pools": [filled.pool]},
            "none": {"listeners": [], "pools": []},
        }
        assert related(tx, Listener, [filled.listener]) == {
            filled.listener: {"loadbalancers": [filled.lb], "l7policies": []}
        }
        assert related(tx, Pool, [filled.pool]) == {
            filled.pool: {
                "listeners": [filled.listener],
                "loadbalancers": [filled.lb],
                "members": list(filled.members),
                "healthmonitor_id": filled.monitor,
            }
        }
        assert related(tx, HealthMonitor, [filled.monitor]) == {filled.monitor: {"pools": [filled.pool]}}


def test_a_relation_can_be_filtered_for(database: Database, filled: Filled):
    with database.read() as tx:
        found = select(tx, Pool, Query(filters={"members": [filled.members[0]], "loadbalancer_id": [filled.lb]}))
        assert [pool.id for pool in found.rows] == [filled.pool]
        assert select(tx, Pool, Query(filters={"healthmonitor_id": ["none"]})).rows == ()


@pytest.mark.parametrize("dialect", [postgresql.dialect(), mysql.dialect()], ids=["postgresql", "mysql"])
def test_tags_have_a_spelling_elsewhere(dialect: sa.Dialect):
    statement = sa.select(table(LoadBalancer).c.id).where(has_tag(table(LoadBalancer).c.tags, "red"))
    assert "json" in str(statement.compile(dialect=dialect)).lower()


@pytest.mark.parametrize("text", ["x", str(2**63), str(-(2**64)), "9" * 400])
def test_a_number_that_no_column_can_hold_is_refused(rows: Database, text: str):
    with rows.read() as tx, pytest.raises(Invalid, match="protocol_port"):
        select(tx, Listener, Query(filters={"protocol_port": [text]}))
