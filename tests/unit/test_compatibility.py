"""docs/compatibility.md lists every call, and for each difference a test that exists."""

import ast
import re
import sys
from pathlib import Path

import pytest

from hydria.api import app
from hydria.base import process

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "compatibility.md").read_text()
DIFFERENCES = re.findall(r"(?m)^\| (D-\d+) \|.*\| `([^`]+)::([^`]+)` \|$", PAGE)


def test_its_tables_are_what_the_code_says():
    generated = process.run([sys.executable, str(ROOT / "scripts" / "compatibility.py"), "--print"]).stdout
    assert generated == PAGE, "run: make docs"


def test_every_route_is_there_and_nothing_else():
    rows = set(re.findall(r"(?m)^\| (GET|POST|PUT|DELETE) \| `([^`]+)` \|", PAGE))
    routes = {(route.method, re.sub(r":\w+}", "}", route.path)) for route in app.routes()}
    assert routes <= rows
    assert rows - routes == {("GET", "/"), ("GET", "/healthcheck")}


def test_differences_are_numbered_and_each_names_its_test():
    rows = re.findall(r"(?m)^\| (D-\d+) \|", PAGE)
    assert rows == [f"D-{number}" for number in range(1, len(rows) + 1)]
    assert [name for name, _, _ in DIFFERENCES] == rows


@pytest.mark.parametrize(("difference", "path", "test"), DIFFERENCES)
def test_the_tests_of_differences_exist(difference: str, path: str, test: str):
    tree = ast.parse((ROOT / path).read_text())
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, difference
