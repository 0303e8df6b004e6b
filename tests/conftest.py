"""For all tests: where nothing may be skipped, a skipped test fails."""

import os
from collections.abc import Generator
from typing import Any

import hypothesis
import pytest

# A test that takes longer on a busy machine has not failed.
hypothesis.settings.register_profile("hydria", deadline=None)
hypothesis.settings.load_profile("hydria")

# They spoil real NICs, so they are for the lab's guest: `make lab`, which `make test` runs beside this.
collect_ignore = [] if "HYDRIA_LAB" in os.environ else ["lab"]

# What several files of tests/clients assert with: it says what was found, as a test does.
pytest.register_assert_rewrite("clients")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and "HYDRIA_NO_SKIP" in os.environ:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped in {call.when}: {report.longrepr}"
    return report
