"""`python -m lab`: run tests/lab as root in a throw-away host with real SR-IOV NICs. `make lab`, docs/lab.md."""

import argparse
import concurrent.futures
import contextlib
import datetime as dt
import functools
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hydria.base import process
from hydria.base.errors import HydriaError
from lab import kernel, layer, python, userland
from lab.jobs import MARKS, Job, plan
from lab.machine import MEMORY_MIB, PLAIN, QEMU, GuestDied, Image, Machine, major_version
from lab.results import failures

RUNS = layer.BUILD / "runs"
KEPT_RUNS = 5
MOST_FAILURES = 5
"""Told again at the end, of each guest: where the first reason is one, more of the same hide it."""
PROGRAMS = ("mmdebstrap", "mkfs.erofs", "dpkg-deb", "depmod", "cpio", QEMU)
IGB_SINCE = 8


class LabFailed(HydriaError):
    """It cannot run here."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument("paths", nargs="*", default=["tests/lab"], help="tests, relative to the project [tests/lab]")
    parser.add_argument("-k", metavar="EXPR", help="only tests that match, as pytest's -k")
    parser.add_argument("-x", action="store_true", help="end at the first failure, as pytest's -x")
    parser.add_argument("--keep", action="store_true", help="give a shell in the guest after the tests")
    parser.add_argument("--shell", choices=[profile.name for profile in MARKS], help="a shell only, on that hardware")
    parser.add_argument("--command", help="run this shell line in the guest instead of tests")
    parser.add_argument("--smp", type=int, default=1, metavar="N", help="CPUs of the guest [1]")
    parser.add_argument("--guests", type=int, default=_room(), metavar="N", help="at the same time [as many as fit]")
    parser.add_argument("--timeout", type=float, default=1800.0, metavar="SECONDS", help="for each guest [1800]")
    arguments = parser.parse_args()
    try:
        _check_machine()
        return _run(arguments)
    except HydriaError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _room() -> int:
    """One guest for each CPU, as far as there is memory for them."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = next(int(line.split()[1]) // 1024 for line in lines if line.startswith("MemAvailable:"))
    return max(1, min(os.cpu_count() or 1, available // MEMORY_MIB))


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise LabFailed("Making the guest's file system takes root.")
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise LabFailed(f"Not installed: {', '.join(missing)}. On Debian: scripts/setup --lab")
    version = process.run([QEMU, "--version"]).stdout
    if major_version(version) < IGB_SINCE:
        raise LabFailed(f"QEMU has igb, the NIC with SR-IOV, since {IGB_SINCE}.0; here is: {version.splitlines()[0]}")


def _run(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    run = _new_run()
    jobs = _jobs(arguments)
    if not jobs:
        raise LabFailed(f"No test matches: {' '.join(arguments.paths)} {arguments.k or ''}")
    image = _image(run)
    print(f"lab: guest is built, {time.monotonic() - began:.0f} s; log: {run}", flush=True)
    alone = len(jobs) == 1 or arguments.keep

    def boot(job: Job) -> int:
        shell = arguments.keep or bool(arguments.shell)
        machine = Machine(image, job.profile, run / job.name, arguments.smp, shell)
        booted = time.monotonic()
        say = functools.partial(_show, "" if alone else f"{job.name.removeprefix('plain-test_lab_')}: ")
        say("booting\n")
        status = _status(machine, job.command, arguments.timeout, say)
        say(f"ended with status {status} after {time.monotonic() - booted:.0f} s\n")
        return status

    with concurrent.futures.ThreadPoolExecutor(1 if alone else arguments.guests) as pool:
        statuses = list(pool.map(boot, jobs))
    failed = [job.name for job, status in zip(jobs, statuses, strict=True) if status]
    for name in failed:
        print("\n".join([f"--- {name}", *failures(run / name)[:MOST_FAILURES]]))
    print(f"lab: {time.monotonic() - began:.0f} s; {', '.join(failed) or 'nothing'} failed; log: {run}", flush=True)
    return max(statuses)


def _status(machine: Machine, command: str, timeout: float, say: Callable[[str], None]) -> int:
    """A guest that died does not take the others with it."""
    try:
        return machine.run(command, timeout=timeout, watch=say)
    except GuestDied as error:
        say(f"{error}\n")
        return 1


def _jobs(arguments: argparse.Namespace) -> list[Job]:
    if arguments.shell or arguments.command:
        profile = next((one for one in MARKS if one.name == arguments.shell), PLAIN)
        return [Job(profile.name, profile, arguments.command or "")]
    return plan(arguments.paths, arguments.k, first_failure=arguments.x)


def _image(run: Path) -> Image:
    """All parts at once: fetching waits for the network, the rest for a CPU."""
    project = run / "project.erofs"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        packages = pool.submit(python.build)
        packed = pool.submit(python.pack_project, project)
        debian = userland.build()
        built = kernel.build(debian / "kernel.deb", debian / "busybox")
        packed.result()
        layers = (project, packages.result() / "python.erofs", built / "modules.erofs", debian / "userland.erofs")
    return Image(built / "vmlinux", built / "initramfs", layers)


def _new_run() -> Path:
    RUNS.mkdir(parents=True, exist_ok=True)
    for old in sorted(path for path in RUNS.iterdir() if not path.is_symlink())[: 1 - KEPT_RUNS]:
        shutil.rmtree(old)
    run = RUNS / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    run.mkdir()
    latest = RUNS / f".latest-{os.getpid()}"
    latest.symlink_to(run.name)
    latest.rename(RUNS / "latest")
    return run


def _show(prefix: str, text: str) -> None:
    """Whole lines, each with the guest's name where there are several."""
    lines = (f"{prefix}{line}" for line in text.splitlines(keepends=True))
    sys.stdout.write("".join(lines))
    sys.stdout.flush()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
