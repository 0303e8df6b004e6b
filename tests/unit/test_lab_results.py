"""The end of a lab run tells what failed, for who sees nothing but the end."""

from pathlib import Path

import pytest

from lab.results import LINES, failures

LONG = "\n".join(f"line {number}" for number in range(LINES + 5))
JUNIT = f"""<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite>
<testcase classname="lab.test_a" name="test_good" />
<testcase classname="lab.test_a" name="test_bad[x]"><failure message="no">{LONG}
</failure></testcase>
<testcase classname="lab.test_b" name="test_worse"><error message="failed on setup">no NIC</error></testcase>
</testsuite></testsuites>
"""


def test_failed_tests_are_told_with_the_end_of_what_they_said(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_text(JUNIT)
    (tmp_path / "out.log").write_text("not needed")
    bad, worse = failures(tmp_path)
    assert bad.splitlines()[0] == "lab.test_a::test_bad[x]"
    assert bad.splitlines()[1:] == [f"    line {number}" for number in range(5, LINES + 5)]
    assert worse == "lab.test_b::test_worse\n    no NIC"


@pytest.mark.parametrize(
    ("output", "told"),
    [
        pytest.param(None, [], id="nothing was printed"),
        pytest.param("booting\nkilled\n", ["    booting\n    killed"], id="it died"),
    ],
)
def test_without_results_the_output_ends_it(tmp_path: Path, output: str | None, told: list[str]) -> None:
    if output is not None:
        (tmp_path / "out.log").write_text(output)
    assert failures(tmp_path) == told
