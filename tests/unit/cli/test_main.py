import os
import sys

import pytest

from hydria.base import process
from hydria.cli.main import COMMANDS

HYDRIA = (sys.executable, "-m", "hydria.cli.main")


def test_help_names_every_command():
    text = process.run([*HYDRIA, "--help"]).stdout
    assert all(name in text for name in COMMANDS)


def test_help_imports_no_command():
    """Each would cost its libraries' time, some of them a second."""
    imported = "[row[0] for row in COMMANDS.values() if row[0] in sys.modules]"
    code = f"import sys; from hydria.cli.main import COMMANDS; print({imported})"
    assert process.run([sys.executable, "-c", code]).stdout.strip() == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_can_be_imported_and_explains_itself(name: str):
    done = process.run([*HYDRIA, name, "--help"], check=False)
    assert done.status == 0, done.stderr
    assert "Usage" in done.stdout


def test_version_is_the_packages():
    assert process.run([*HYDRIA, "version"]).stdout.strip().count(".") == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        pytest.param(("api", "--config", "/nonexistent.toml"), "Reading configuration /nonexistent.toml", id="no file"),
        pytest.param(("up", "--state-dir", "/proc/hydria"), "State directory /proc/hydria", id="no state directory"),
    ],
)
def test_a_foreseen_error_is_one_line_and_status_1(arguments: tuple[str, ...], text: str):
    done = process.run([*HYDRIA, *arguments], check=False)
    assert done.status == 1
    assert done.stderr.count("\n") == 1
    assert text in done.stderr


def test_a_service_whose_supervisor_is_gone_does_not_start():
    done = process.run([*HYDRIA, "api"], check=False, environment={"HYDRIA_SUPERVISOR": str(os.getppid())})
    assert done.status == 1
