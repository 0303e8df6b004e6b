"""docs/holes.md names every hole, and tests that exist."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROWS = {
    cells[0].strip(): cells
    for cells in (
        line.strip("|\n").split("|") for line in (ROOT / "docs/holes.md").read_text().splitlines() if "::" in line
    )
    if len(cells) > 3
}
HISTORY = [
    "75c1bdd10",
    "c88922315",
    "411e7c6db",
    "70f15c54d",
    "a4317a80d",
    "8b8d969d0",
    "54c059d94",
    "8b8078aa674ff60a",
    "e1da3f92a4907b8c",
]
"""Commits of upstream, or release notes, about SR-IOV ports."""


@functools.cache
def defined_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    # A test of another directory runs in the lab under a name of its own: `test_h7_... = test_firewall.test_...`.
    assigned = (target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets)
    names = {target.id for target in assigned if isinstance(target, ast.Name)}
    return frozenset(names | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)})


HOLES = [*(f"H-{number}" for number in range(1, 23)), *HISTORY]


def named_in(cell: str) -> list[tuple[str, str]]:
    return re.findall(r"`(tests/\S+\.py)::(\w+)`", cell)


@pytest.mark.parametrize("hole", HOLES)
def test_every_hole_has_a_test(hole: str):
    named = named_in(ROWS[hole][-2])
    assert named
    for path, name in named:
        assert name in defined_in(path), f"{path} has no {name}"


@pytest.mark.parametrize("hole", HOLES)
def test_every_hole_has_a_test_of_its_name_on_real_vfs(hole: str):
    named = named_in(ROWS[hole][-1])
    assert named
    for path, name in named:
        assert path.startswith("tests/lab/")
        assert hole.replace("-", "").lower() in name.split("_")
        assert name in defined_in(path), f"{path} has no {name}"


def test_nothing_else_is_in_the_table():
    assert len(ROWS) == len(HOLES)
