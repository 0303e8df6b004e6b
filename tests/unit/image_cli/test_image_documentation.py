"""docs/image.md names every option, variable and default as they stand in the code."""

import re
import sys
from pathlib import Path

import pytest

from hydria.base import process
from hydria.cli.image import asked
from hydria.image import checks, facts
from hydria.image.filesystem import Entry
from hydria.image.options import Options
from hydria.image.prerequisites import CACHE, FILES, PROGRAMS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "image.md").read_text()
ROWS = [
    re.findall(r"`([^`]+)`", line) for line in PAGE.split("## Look into it")[0].splitlines() if line.startswith("| `-")
]
LONG = {
    "output": "--output", "format": "--type", "size": "--size", "architecture": "--architecture", "base": "--base",
    "release": "--release", "nftables": "--nftables", "sshd": "--sshd", "root_password": "--root-password-file",
    "pinning": "--pinning", "elements": "--element", "elements_path": "--elements-path",
    "work_directory": "--work-directory", "cache_directory": "--cache-directory", "log_file": "--log-file",
    "trace": "--trace", "wheel": "--wheel",
}  # fmt: skip
"""Field of Options → its option."""


def row(option: str) -> list[str]:
    """The cells of the options table's line with that option."""
    (line,) = (line for line in PAGE.splitlines() if line.startswith("|") and f"| `{option}`" in line)
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_every_field_has_an_option():
    assert set(LONG) == set(Options.__struct_fields__)
    hydria = [sys.executable, "-m", "hydria.cli.main"]
    text = process.run([*hydria, "image", "build", "--help"], environment={"COLUMNS": "200"}).stdout
    assert [option for option in LONG.values() if option not in text] == []


@pytest.mark.parametrize("field", LONG)
def test_option_variable_and_default(field: str):
    script, option, variable, default, _ = row(LONG[field])
    assert re.fullmatch(r"(`-\w`)?", script)
    assert f"`{LONG[field]}`" in option
    assert (asked.VARIABLES[field] in variable) if field in asked.VARIABLES else not variable.strip()
    value = CACHE if field == "cache_directory" else getattr(Options(), field)
    assert default.strip("`") == ("" if value in (None, ()) else str(value))


def test_every_option_of_the_script():
    usage = process.run(["bash", str(ROOT / "diskimage-create" / "diskimage-create.sh"), "-h"]).stdout
    documented = {option for cells in ROWS for option in cells if re.fullmatch(r"-\w", option)}
    assert documented == set(re.findall(r"^  (-\w)", usage, re.MULTILINE))


def test_every_check():
    class Nothing:
        label = ""

        def __init__(self) -> None:
            self.entries: dict[str, Entry] = {}

        def read(self, _paths: object) -> dict[str, bytes]:
            return {}

        def targets(self, _paths: object) -> dict[str, str]:
            return {}

    table = PAGE.split("| check |")[1].split("\n\n")[0]
    for check in checks.check(Nothing(), facts.Facts(version="1"), has_label=True):
        assert check.name in table, check.name
    for driver in checks.DRIVERS:
        assert driver in table


def test_setup_installs_every_program_of_the_build():
    lists = [ROOT / "scripts" / f"{name}-packages.txt" for name in ("system", "image")]
    installed = {package for path in lists for package in path.read_text().split()}
    needed = {*PROGRAMS.values(), *FILES.values()} - {"apt", "dpkg"}  # what installs them
    assert needed <= installed
