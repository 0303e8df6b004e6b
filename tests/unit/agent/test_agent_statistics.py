import pytest

from hydria.agent.haproxy import HaproxyFailed
from hydria.agent.statistics import Totals, count, health, member_status, parse
from hydria.model.heartbeat import ListenerStats, PoolHealth

HEADER = "# pxname,svname,scur,slim,stot,bin,bout,ereq,status,weight,"


def rows(*lines: str) -> list[dict[str, str]]:
    return parse("\n".join([HEADER, *(line + "," for line in lines)]) + "\n\n")


def listener(total: int, *, current: int = 0, limit: int = 100) -> str:
    return f"listener-1,FRONTEND,{current},{limit},{total},{10 * total},{20 * total},1,OPEN,"


def test_totals_survive_a_reload_and_a_restart() -> None:
    totals = Totals()
    count(totals, {1: rows(listener(5, current=2))}, {1})
    count(totals, {1: rows(listener(7, current=1)), 2: rows(listener(1, current=1))}, {1, 2})
    both = health(totals, rows(listener(1))).listeners["listener-1"].stats
    assert both == ListenerStats(
        bytes_in=80, bytes_out=160, active_connections=2, total_connections=8, request_errors=2
    )
    # The first is about to end and does not answer any more.
    count(totals, {2: rows(listener(4))}, {1, 2})
    count(totals, {2: rows(listener(4))}, {2})
    count(totals, {3: rows(listener(0))}, {3})
    after = health(totals, rows(listener(0))).listeners["listener-1"].stats
    assert (after.total_connections, after.active_connections, after.bytes_out) == (11, 0, 220)


@pytest.mark.parametrize("answer", ["", "Can't find the target PID matching the prefix '@!7'\n"])
def test_answer_without_statistics(answer: str) -> None:
    with pytest.raises(HaproxyFailed):
        parse(answer)


def test_full_listener() -> None:
    assert health(Totals(), rows(listener(1, current=100))).listeners["listener-1"].status == "FULL"
    assert health(Totals(), rows(listener(1, current=99))).listeners["listener-1"].status == "OPEN"


def test_pool_of_two_backends_is_one() -> None:
    found = health(
        Totals(),
        rows(
            "pool-1:http:1:1,member-1,0,,0,0,0,,UP,1",
            "pool-1:http:1:1,member-2,0,,0,0,0,,DOWN,1",
            "pool-1:http:1:1,BACKEND,0,,0,0,0,,UP,1",
            "pool-1:tcp:1:1,member-1,0,,0,0,0,,UP,1",
            "pool-1:tcp:1:1,member-2,0,,0,0,0,,DOWN,1",
            "pool-1:tcp:1:1,BACKEND,0,,0,0,0,,UP,1",
            "pool-2:tcp:1:1,BACKEND,0,,0,0,0,,DOWN,0",
        ),
    )
    assert found.pools == {
        "pool-1": PoolHealth(status="UP", members={"member-1": "UP", "member-2": "DOWN"}),
        "pool-2": PoolHealth(status="DOWN", members={}),
    }


@pytest.mark.parametrize(
    ("status", "weight", "expected"),
    [
        ("UP", "1", "UP"),
        ("UP 1/3", "1", "UP"),
        ("DOWN", "1", "DOWN"),
        ("DOWN 1/2", "1", "DOWN"),
        ("DRAIN", "0", "DRAIN"),
        ("NOLB", "1", "DRAIN"),
        ("MAINT", "1", "MAINT"),
        ("MAINT (via a/b)", "1", "MAINT"),
        ("no check", "1", "no check"),
        ("no check", "0", "DRAIN"),
    ],
)
def test_member_status(status: str, weight: str, expected: str) -> None:
    assert member_status({"status": status, "weight": weight}) == expected
