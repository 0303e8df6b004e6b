"""`python -m lab`: run tests/lab as root in a throw-away host with real SR-IOV NICs. `make lab`, docs/lab.md."""

import argparse
import concurrent.futures
import contextlib
import datetime as dt
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hydria.base import process
from hydria.base.errors import HydriaError
from lab import kernel, layer, python, userland
from lab.machine import IOMMU, PLAIN, QEMU, Image, Machine, Profile, major_version

RUNS = layer.BUILD / "runs"
KEPT_RUNS = 5
MARKS = {PLAIN: "not iommu", IOMMU: "iommu"}
"""Which tests run on which hardware."""
PROGRAMS = ("mmdebstrap", "mkfs.erofs", "dpkg-deb", "depmod", "cpio", QEMU)
IGB_SINCE = 8
NOTHING_COLLECTED = 5


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
    parser.add_argument("--timeout", type=float, default=1800.0, metavar="SECONDS", help="for a whole run [1800]")
    arguments = parser.parse_args()
    try:
        _check_machine()
        return _run(arguments)
    except HydriaError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


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
    jobs = list(_jobs(arguments))
    if not jobs:
        raise LabFailed(f"No test matches: {' '.join(arguments.paths)} {arguments.k or ''}")
    image = _image(run)
    print(f"lab: guest is built, {time.monotonic() - began:.0f} s; log: {run}", flush=True)
    statuses = []
    for profile, command in jobs:
        machine = Machine(image, profile, run / profile.name, arguments.smp, arguments.keep or bool(arguments.shell))
        print(f"lab: booting ({profile.name})", flush=True)
        booted = time.monotonic()
        statuses.append(machine.run(command, timeout=arguments.timeout, watch=_show))
        print(
            f"lab: {profile.name} ended with status {statuses[-1]} after {time.monotonic() - booted:.0f} s", flush=True
        )
    print(f"lab: log: {run}", flush=True)
    return max(statuses)


def _jobs(arguments: argparse.Namespace) -> Iterator[tuple[Profile, str]]:
    """What to run on which hardware; where no test wants it, it is not booted."""
    if arguments.shell or arguments.command:
        yield next((one for one in MARKS if one.name == arguments.shell), PLAIN), arguments.command or ""
        return
    for profile, mark in MARKS.items():
        wanted = [*arguments.paths, "-m", mark, *(["-k", arguments.k] if arguments.k else [])]
        if _has_tests(wanted):
            yield profile, shlex.join([*_pytest(wanted), *(["-x"] if arguments.x else [])])


def _has_tests(wanted: Sequence[str]) -> bool:
    """Asked here, where it takes a second; so what cannot even be imported is said before anything boots."""
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *wanted]
    done = process.run(argv, timeout=120, check=False, environment={"HYDRIA_LAB": "1"})
    if done.status not in {0, NOTHING_COLLECTED}:
        raise LabFailed(f"Collecting the tests:\n{done.stdout}{done.stderr}")
    return done.status == 0


def _pytest(wanted: Sequence[str]) -> list[str]:
    return [
        *("env", "HYDRIA_NO_SKIP=1", "python", "-m", "pytest", "-v", "-p", "no:cacheprovider", "--durations=10"),
        *("--junitxml=/lab/junit.xml", "-o", "junit_family=xunit2", "--timeout=600", *wanted),
    ]


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


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())
    sys.exit(130)
