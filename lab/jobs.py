"""Which tests run in which guest: those of one file, or of one folder, share a guest; guests run beside each other."""

import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from hydria.base import process
from hydria.base.errors import HydriaError
from lab.machine import IOMMU, PLAIN, Profile

MARKS = {PLAIN: "not iommu", IOMMU: "iommu"}
"""Which tests run on which hardware."""
FOLDER = PurePosixPath("tests/lab")
SLOWEST = ("balancers", "test_lab_replacement", "test_lab_vf_life", "test_lab_agent_holes")
"""These first: one that takes minutes and begins last keeps everybody waiting."""
NOTHING_COLLECTED = 5


class NotCollected(HydriaError):
    """A test file cannot even be imported; the text is pytest's."""


@dataclass(frozen=True)
class Job:
    """One boot."""

    name: str
    """Of its directory below the run's."""
    profile: Profile
    command: str


def plan(paths: Sequence[str], expression: str | None, *, first_failure: bool) -> list[Job]:
    """Hardware that no test wants is not booted."""
    jobs = []
    for profile, mark in MARKS.items():
        wanted = [*paths, "-m", mark, *(["-k", expression] if expression else [])]
        for group, tests in grouped(_collect(wanted)).items():
            jobs.append((_rank(group), Job(f"{profile.name}-{group.stem}", profile, _pytest(tests, first_failure))))
    return [job for _, job in sorted(jobs, key=lambda pair: pair[0])]


def grouped(tests: Iterable[str]) -> dict[PurePosixPath, list[str]]:
    """Test ids by the file they are in, or by the folder below tests/lab, whose tests share what takes long to start.

    >>> tests = ["tests/lab/test_a.py::test_1", "tests/lab/b/test_c.py::test_2", "tests/lab/b/test_d.py::test_3"]
    >>> grouped(tests)[FOLDER / "b"]
    ['tests/lab/b/test_c.py::test_2', 'tests/lab/b/test_d.py::test_3']
    """
    groups: dict[PurePosixPath, list[str]] = {}
    for test in tests:
        below = PurePosixPath(test.partition("::")[0]).relative_to(FOLDER)
        groups.setdefault(FOLDER / below.parts[0], []).append(test)
    return groups


def _collect(wanted: Sequence[str]) -> Iterator[str]:
    """Asked here, where it takes seconds; so what cannot even be imported is said before anything boots."""
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *wanted]
    done = process.run(argv, timeout=120, check=False, environment={"HYDRIA_LAB": "1"})
    if done.status not in {0, NOTHING_COLLECTED}:
        raise NotCollected(f"Collecting the tests:\n{done.stdout}{done.stderr}")
    return (line for line in done.stdout.splitlines() if line.startswith(f"{FOLDER}/") and "::" in line)


def _rank(group: PurePosixPath) -> int:
    return SLOWEST.index(group.stem) if group.stem in SLOWEST else len(SLOWEST)


def _pytest(tests: Sequence[str], first_failure: bool) -> str:
    return shlex.join(
        [
            *("env", "HYDRIA_NO_SKIP=1", "python", "-m", "pytest", "-v", "-p", "no:cacheprovider", "--durations=10"),
            *("--junitxml=/lab/junit.xml", "-o", "junit_family=xunit2", "--timeout=600"),
            *(["-x"] if first_failure else []),
            *tests,
        ]
    )
