"""octavia-tempest-plugin's API tests against a `hydria up` of their own. `make tempest`, docs/tempest.md."""

import argparse
import csv
import io
import re
import shutil
import signal
import string
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from hydria.base import private_file, process
from hydria.base.errors import HydriaError
from hydria.cli.demo.stage import Stage
from hydria.cli.up.state import StateDirectory

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "tempest"
BIN = BUILD / "venv" / "bin"
LAST = BUILD / "last"
"""What the last run leaves: tempest's output and log, Hydria's logs."""
SUITE = r"^octavia_tempest_plugin\.tests\.api\."
START_SECONDS = 60.0
STOP_SECONDS = 20.0
SHOWN = 50
"""Lines of a failing run that are printed."""


class TempestFailed(HydriaError):
    """It did not run, or not as expected."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/tempest/run.py", description=__doc__)
    parser.add_argument("regex", nargs="?", default="", help="only tests whose id matches [all]")
    parser.add_argument("--workers", type=int, metavar="N", help="tests at the same time [four, as workers.yaml says]")
    parser.add_argument(
        "--interval", type=float, default=0.1, metavar="SECONDS", help="between looks at a status [0.1]"
    )
    parser.add_argument("--real", action="store_true", help="on real load balancers, and those tests only (as root)")
    parser.add_argument("--debug", action="store_true", help="every request and answer into tempest.log")
    arguments = parser.parse_args()
    try:
        return run(arguments)
    except HydriaError as error:
        print(f"tempest: {error}", file=sys.stderr)
        return 1


def run(arguments: argparse.Namespace) -> int:
    if not (BIN / "tempest").exists():
        raise TempestFailed("It is not installed: run scripts/setup --tempest")
    shutil.rmtree(LAST, ignore_errors=True)
    (LAST / "lock").mkdir(parents=True)
    wanted = chosen("expected-real.txt" if arguments.real else "expected-passed.txt", arguments.regex)
    (LAST / "wanted.txt").write_text("".join(f"{test}\n" for test in sorted(wanted)))
    with real() if arguments.real else pretended() as state:
        private_file.write(LAST / "tempest.conf", configuration(state, arguments).encode())
        began = time.monotonic()
        # With real load balancers only what amphorae serve; else all there is, whatever has to pass.
        which = ["--load-list", "wanted.txt"] if arguments.real else ["--regex", f"{SUITE}.*({arguments.regex})"]
        tempest(["run", "--config-file", "tempest.conf", *which, *workers(arguments.workers)])
        seconds = time.monotonic() - began
    return judge(outcomes(), wanted, seconds)


def chosen(expected: str, regex: str) -> set[str]:
    return {test for test in (HERE / expected).read_text().split() if re.search(regex, test)}


@contextmanager
def pretended() -> Iterator[StateDirectory]:
    """`hydria up --noop`, ready; its logs are kept, all else is removed."""
    # Unix sockets live below it, whose paths may have no more than 107 bytes.
    root = Path(tempfile.mkdtemp(prefix="hydria-tempest-"))
    state = StateDirectory(root / "state")
    with (LAST / "hydria.log").open("wb") as output:
        argv = [sys.executable, "-m", "hydria.cli.main", "up", "--noop", f"--state-dir={state.root}"]
        up = process.start(argv, stdout=output.fileno(), stderr=output.fileno(), new_session=True)
    try:
        await_ready(up, state)
        yield state
    finally:
        stop(up)
        keep_logs(state)
        shutil.rmtree(root)


@contextmanager
def real() -> Iterator[StateDirectory]:
    """The same with real load balancers, on a software fabric of its own."""
    with Stage("tempest", host_names=["tempest-host"]) as stage:
        try:
            yield stage.state
        finally:
            keep_logs(stage.state)


def keep_logs(state: StateDirectory) -> None:
    shutil.copytree(state.logs, LAST / "log", dirs_exist_ok=True)


def await_ready(up: process.Process, state: StateDirectory) -> None:
    deadline = time.monotonic() + START_SECONDS
    pause = threading.Event()
    while not state.ready.exists():
        if up.poll() is not None or time.monotonic() > deadline:
            raise TempestFailed(f"hydria up --noop does not start; it said: {tail(LAST / 'hydria.log', 15)}")
        pause.wait(0.05)


def stop(up: process.Process) -> None:
    if up.poll() is None:
        up.send_signal(signal.SIGTERM)
    try:
        up.wait(STOP_SECONDS)
    except process.Expired:
        up.kill()
        up.wait()


def configuration(state: StateDirectory, arguments: argparse.Namespace) -> str:
    cloud = msgspec.json.decode(state.clouds.read_bytes())["clouds"]["admin"]
    login = cloud["auth"]
    template = string.Template((HERE / "tempest.conf.in").read_text())
    return template.substitute(
        directory=LAST,
        debug=arguments.debug,
        real=arguments.real,
        noop=not arguments.real,
        interval=arguments.interval,
        auth_url=login["auth_url"],
        username=login["username"],
        password=login["password"],
        project_name=login["project_name"],
        domain_name=login["project_domain_name"],
        region=cloud["region_name"],
    )


def workers(number: int | None) -> list[str]:
    if number is None:
        return ["--worker-file", str(HERE / "workers.yaml")]
    return ["--concurrency", str(number)] if number > 1 else ["--serial"]


def tempest(arguments: list[str]) -> None:
    """Its status says less than its results, which are judged."""
    quiet = {"PYTHONWARNINGS": "ignore", "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}
    with (LAST / "output.txt").open("wb") as output:
        process.start(
            [str(BIN / "tempest"), *arguments],
            stdout=output.fileno(),
            stderr=output.fileno(),
            environment=quiet,
            cwd=str(LAST),
        ).wait()


def outcomes() -> dict[str, str]:
    """Test id → success, skip, fail and what else subunit knows."""
    with (LAST / "results.subunit").open("wb") as stream:
        process.start([str(BIN / "stestr"), "last", "--subunit"], stdout=stream.fileno(), cwd=str(LAST)).wait()
    # Its status is 1 when a test failed.
    table = process.run([str(BIN / "subunit2csv"), str(LAST / "results.subunit")], timeout=60.0, check=False).stdout
    return {row["test"]: row["status"] for row in csv.DictReader(io.StringIO(table))}


def judge(found: dict[str, str], expected: set[str], seconds: float) -> int:
    """Whether all that has to pass passed, and nothing failed."""
    passed = {test for test, status in found.items() if status == "success"}
    failed = {test for test, status in found.items() if status not in ("success", "skip")}
    for test in sorted(failed | (expected - passed)):
        print(f"tempest: {found.get(test, 'did not run')}: {test}")
    skipped = sum(status == "skip" for status in found.values())
    print(
        f"tempest: {len(passed)} passed, {skipped} skipped, {len(failed)} failed in {seconds:.0f} s; "
        f"{len(expected & passed)} of the {len(expected)} that have to pass; log: {LAST}",
        flush=True,
    )
    if failed or expected - passed or not found:
        print(tail(LAST / "output.txt", SHOWN))
        return 1
    return 0


def tail(path: Path, lines: int) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit(main())
