"""One supervised process: its start, its log, its end and when it starts again. Knows no service."""

import collections
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

from hydria.base import log, process

logger = log.Logger(__name__)

FIRST_DELAY = 0.2
LONGEST_DELAY = 30.0
STEADY_SECONDS = 60.0
"""One that ran for that long and then died starts again without the delay that earlier deaths had earned."""

LOG_BYTES = 16 * 1024 * 1024
TAIL_LINES = 3


class Child:
    """Not thread-safe: its owner calls from one thread. That thread must outlive the process (PR_SET_PDEATHSIG)."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log_file: Path,
        clock: Callable[[], float],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.deaths = 0
        """In a row, without a steady time between."""
        self._argv = argv
        self._log_file = log_file
        self._clock = clock
        self._environment = environment
        self._process: process.Process | None = None
        self._started_at = 0.0
        self._due_at = 0.0
        self._tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    @property
    def last_words(self) -> str:
        return " | ".join(self._tail)

    def tend(self) -> float | None:
        """Notice its end; start it when due. Returns the seconds until it is due, None while it runs."""
        now = self._clock()
        if self._process is not None and self._process.poll() is not None:
            self._ended(now)
        if self._process is not None:
            return None
        if now < self._due_at:
            return self._due_at - now
        self._start(now)
        return None

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    def wait(self, timeout: float) -> bool:
        """Whether it has ended, and its last line is written."""
        if self._process is None:
            return True
        try:
            self._process.wait(max(timeout, 0))
        except process.Expired:
            return False
        if self._reader is not None:
            self._reader.join(1.0)
        return True

    def _start(self, now: float) -> None:
        self._tail.clear()
        self._process = process.start(
            self._argv, stdout=process.PIPE, stderr=process.STDOUT, environment=self._environment, new_session=True
        )
        self._started_at = now
        self._reader = threading.Thread(target=self._copy, args=(self._process,), name=f"log-{self.name}", daemon=True)
        self._reader.start()
        logger.info("started", service=self.name, pid=self._process.pid)

    def _ended(self, now: float) -> None:
        assert self._process is not None  # noqa: S101 - the caller's test, said again for mypy
        if self._reader is not None:
            self._reader.join(1.0)  # a grandchild may hold the pipe open; its lines are not the reason
        if now - self._started_at >= STEADY_SECONDS:
            self.deaths = 0
        delay = min(FIRST_DELAY * 2**self.deaths, LONGEST_DELAY)
        self.deaths += 1
        self._due_at = now + delay
        how = how_it_ended(self._process.returncode)
        logger.error("died", service=self.name, how=how, restart_in=delay, last_words=self.last_words or "none")
        self._process = None

    def _copy(self, running: process.Process) -> None:
        """Every line goes to its log file, and to our standard error with the service's name before it."""
        assert running.stdout is not None  # noqa: S101 - started with a pipe
        with running.stdout as lines, _Rotating(self._log_file) as file:
            for raw in lines:
                file.write(raw)
                line = raw.decode(errors="replace").rstrip("\n")
                if line.strip(" ^~"):  # not what a traceback underlines with
                    self._tail.append(line)
                with contextlib.suppress(OSError):  # the terminal may be gone; the file is not
                    sys.stderr.write(f"{self.name:<10} | {line}\n")


def how_it_ended(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


class _Rotating:
    """A log file of bounded length: when it is full it becomes `.1`, whose place the one before loses."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def write(self, line: bytes) -> None:
        if self._size + len(line) > LOG_BYTES:
            os.close(self._descriptor)
            self._path.rename(self._path.with_suffix(self._path.suffix + ".1"))
            self._open()
        os.write(self._descriptor, line)
        self._size += len(line)
