import os
from pathlib import Path

import pytest

from hydria.base.errors import HydriaError
from hydria.cloud.hypervisor import numa


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        pytest.param("0\n", {0}, id="one"),
        pytest.param("0-3\n", {0, 1, 2, 3}, id="range"),
        pytest.param("0-1,8,10-11\n", {0, 1, 8, 10, 11}, id="several"),
        pytest.param("\n", set(), id="none"),
    ],
)
def test_cpus_as_the_kernel_lists_them(text: str, cpus: set[int]):
    assert numa.parse_cpus(text) == cpus


def test_nodes_without_cpus_are_left_out(tmp_path: Path):
    for node, cpus in (("node0", "0-1"), ("node1", ""), ("node10", "2-3")):
        (tmp_path / node).mkdir()
        (tmp_path / node / "cpulist").write_text(f"{cpus}\n")
    (tmp_path / "node2").mkdir()
    (tmp_path / "possible").write_text("0-10\n")
    assert numa.cpus_of_nodes(tmp_path) == {0: {0, 1}, 10: {2, 3}}


def test_kernel_without_numa(tmp_path: Path):
    assert numa.cpus_of_nodes(tmp_path / "nowhere") == {}


def test_what_cannot_be_pinned_stays_where_it_was():
    before = os.sched_getaffinity(0)
    try:
        numa.pin(0, frozenset({1023}))
    except HydriaError:
        pytest.fail("a preference must not refuse")
    assert os.sched_getaffinity(0) == before
