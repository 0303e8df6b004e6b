"""Runs other programs, and ends with the one that runs us: the only module that may import subprocess.

Arguments are always a list, never a shell line; what a program prints is captured, so that an error can quote it.
"""

import ctypes
import os
import signal
import subprocess  # noqa: TID251 - this is the module the ban points to
import sys
from collections.abc import Mapping, Sequence

from msgspec import Struct

from hydria.base.errors import HydriaError

Process = subprocess.Popen[bytes]
DEVNULL = subprocess.DEVNULL
PIPE = subprocess.PIPE
STDOUT = subprocess.STDOUT
Expired = subprocess.TimeoutExpired

_PR_SET_PDEATHSIG = 1


class ProcessFailed(HydriaError):
    """A program ended with another status than 0, could not be started or did not end in time."""

    def __init__(self, argv: Sequence[str], status: int | None, output: str) -> None:
        how = "did not end in time" if status is None else f"ended with status {status}"
        super().__init__(f"{' '.join(argv[:6])} {how}: {output.strip()[-2000:]}")
        self.argv, self.status, self.output = tuple(argv), status, output


class Completed(Struct, frozen=True):
    status: int
    stdout: str
    stderr: str


def run(
    argv: Sequence[str],
    *,
    stdin: str = "",
    timeout: float = 30.0,
    check: bool = True,
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run to the end. Raises ProcessFailed with the program's own words unless `check` is false.

    `environment` is added to ours. Secrets go through `stdin`, never through `argv`.
    """
    env = {**os.environ, **environment} if environment else None
    try:
        done = subprocess.run(argv, input=stdin.encode(), capture_output=True, timeout=timeout, check=False, env=env)
    except subprocess.TimeoutExpired as error:
        raise ProcessFailed(argv, None, (error.stderr or error.stdout or b"").decode(errors="replace")) from error
    except OSError as error:
        raise ProcessFailed(argv, 127, str(error)) from error
    result = Completed(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
    if check and result.status != 0:
        raise ProcessFailed(argv, result.status, result.stderr or result.stdout)
    return result


def die_with(parent: int) -> None:
    """End when `parent`, which started this process, is gone, however it ended."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the call above could matter
        sys.exit(1)


def start(
    argv: Sequence[str],
    *,
    stdin: int = DEVNULL,
    stdout: int = DEVNULL,
    stderr: int = DEVNULL,
    environment: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    new_session: bool = False,
    cwd: str | None = None,
) -> Process:
    """Start and return at once. `new_session` lets the program outlive us and our terminal's Ctrl-C."""
    env = {**os.environ, **environment} if environment else None
    try:
        return subprocess.Popen(
            argv,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=env,
            pass_fds=tuple(pass_fds),
            start_new_session=new_session,
            cwd=cwd,
        )
    except OSError as error:
        raise ProcessFailed(argv, 127, str(error)) from error
