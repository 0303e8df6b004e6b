"""It must show 5: a build that cannot be is refused with a clear message, and nothing half-built is left."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hydria.base import process
from lab.layer import ROOT

SCRIPT = ROOT / "diskimage-create" / "diskimage-create.sh"
SMALL = "64m"
CLOSED = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Case:
    options: Sequence[str]
    says: str
    environment: Mapping[str, str] = field(default_factory=dict)
    before: Sequence[str] = ()
    """Program that starts the script."""


CASES = [
    pytest.param(Case(["-Q"], "-Q: there is no such option"), id="unknown option"),
    pytest.param(Case(["amphora.qcow2"], "there are options only"), id="argument"),
    pytest.param(Case(["-t", "vmdk"], "vmdk"), id="unknown type"),
    pytest.param(Case(["-s", "0"], "size"), id="size"),
    pytest.param(Case(["-i", "no-such-base"], "no-such-base"), id="base image missing"),
    pytest.param(Case(["-d", "no-such-release"], "no-such-release"), id="release missing"),
    pytest.param(Case(["-w", "/nowhere"], "/nowhere"), id="work directory missing"),
    pytest.param(Case([], "True or False", {"DIB_OCTAVIA_AMP_USE_NFTABLES": "perhaps"}), id="variable"),
    pytest.param(Case(["-w", "HERE/small"], "MiB are needed"), id="no space to work"),
    pytest.param(Case(["-o", "HERE/small/amphora"], "MiB are needed"), id="no space for the image"),
    pytest.param(Case([], "did not answer", before=["unshare", "--net"]), id="no network"),
    pytest.param(
        Case([], "did not answer", {"http_proxy": CLOSED, "https_proxy": CLOSED, "no_proxy": ""}),
        id="proxy that is not there",
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_left_of_a_build_that_cannot_be(case: Case, tmp_path: Path) -> None:
    for name in ("image", "work", "cache", "small"):
        (tmp_path / name).mkdir()
    with small_filesystem(tmp_path / "small"):
        usual = {"-o": "HERE/image/amphora", "-w": "HERE/work", "-c": "HERE/cache"}
        options = [*case.options, *(word for pair in usual.items() if pair[0] not in case.options for word in pair)]
        argv = [word.replace("HERE", str(tmp_path)) for word in (*case.before, str(SCRIPT), *options)]
        before = world(tmp_path)
        done = process.run(argv, timeout=600, check=False, environment=case.environment)
        assert done.status != 0
        assert case.says in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
        assert world(tmp_path) == before


@contextlib.contextmanager
def small_filesystem(directory: Path) -> Iterator[None]:
    process.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(directory)])
    try:
        yield
    finally:
        process.run(["umount", str(directory)])


def world(directory: Path) -> dict[str, list[str]]:
    """All that a build may have touched, but for the cache, which keeps what was fetched for the next one."""
    files = [str(path) for path in directory.rglob("*") if directory / "cache" not in path.parents]
    return {
        "files": sorted(files),
        "checkout": sorted(path.name for path in (*ROOT.iterdir(), *SCRIPT.parent.iterdir())),
        "mounts": [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(directory) in line],
    }
