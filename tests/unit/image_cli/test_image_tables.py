"""What `hydria image` shows."""

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console
from small_image import write_image

from hydria.base import process
from hydria.cli.image import progress, tables
from hydria.image.filesystem import Entry, Kind

HYDRIA = (sys.executable, "-m", "hydria.cli.main", "image")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        pytest.param(None, "-", id="unknown"),
        pytest.param(0, "0 B", id="none"),
        pytest.param(1023, "1023 B", id="bytes"),
        pytest.param(112501760, "107.3 MiB", id="MiB"),
        pytest.param(5 * 1024**4, "5120 GiB", id="no larger unit"),
    ],
)
def test_sizes(count: int | None, text: str):
    assert tables.size(count) == text


def test_files_as_ls_shows_them():
    files = (
        Entry(path="/bin", kind=Kind.LINK, mode=0o777, uid=0, gid=0),
        Entry(path="/etc/shadow", kind=Kind.FILE, mode=0o640, uid=0, gid=42, size=560),
        Entry(path="/tmp", kind=Kind.DIRECTORY, mode=0o1777, uid=0, gid=0),  # noqa: S108 - of an image
    )
    assert list(tables.file_lines(files)) == [
        "lrwxrwxrwx     0     0          0 /bin",
        "-rw-r-----     0    42        560 /etc/shadow",
        "drwxrwxrwt     0     0          0 /tmp",
    ]


def test_a_log_gets_a_line_per_step():
    text = io.StringIO()
    with progress.steps(Console(file=text)) as report:
        for step, done in (("a [step]", 0.0), ("a [step]", 0.3), ("another", 0.5)):
            report(step, done)
    assert text.getvalue() == "  0% a [step]\n 50% another\n"


def test_a_terminal_gets_a_bar():
    text = io.StringIO()
    with progress.steps(Console(file=text, force_terminal=True, width=80)) as report:
        report("a step", 0.0)
        report("another", 1.0)
    assert "another" in text.getvalue()
    assert "100%" in text.getvalue()


def test_inspect_as_a_person_and_as_a_program_reads_it(tmp_path: Path):
    image = write_image(tmp_path, {"/root/.bash_history": "ls\n"}, format_="raw")
    seen = process.run([*HYDRIA, "inspect", str(image), "--files"], check=False)
    assert seen.status == 1
    assert "/root/.bash_history" in seen.stdout
    assert "-rw-r--r--" in seen.stdout
    told = process.run([*HYDRIA, "inspect", str(image), "--json"], check=False)
    document = json.loads(told.stdout)
    assert (told.status, document["passed"], "files" in document) == (1, False, False)
    assert [check["name"] for check in document["checks"] if check["wrong"]] == ["shell histories"]
    sound = process.run([*HYDRIA, "inspect", str(write_image(tmp_path / "sound")), "--json", "--files"])
    assert (sound.status, json.loads(sound.stdout)["passed"]) == (0, True)
