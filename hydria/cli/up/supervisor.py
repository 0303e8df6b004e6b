"""Keeps children running until a signal says stop. Owns the signals; knows neither services nor state directory."""

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from hydria.base import log
from hydria.base.errors import HydriaError
from hydria.cli.up.child import Child

logger = log.Logger(__name__)

KILL_AFTER = 4.0
"""Seconds between SIGTERM and SIGKILL; everything has stopped within five."""


def supervise(children: Sequence[Child], prepare: Callable[[], None]) -> None:
    """Returns after SIGTERM or SIGINT, with no child left. `prepare` runs beside the children, once, in a thread.

    Raises what `prepare` raised. Signals go through a pipe: a handler must not touch a lock that its thread may hold.
    """
    with _signals() as wake, contextlib.ExitStack() as stack:
        stack.callback(_stop, children)
        failure: list[HydriaError] = []
        threading.Thread(target=_prepare, args=(prepare, failure, wake.write), name="prepare", daemon=True).start()
        while not wake.stopping and not failure:
            waits = [wait for child in children if (wait := child.tend()) is not None]
            wake.wait(min(waits, default=None))
        if wake.stopping:
            logger.info("stopping", signal=wake.stopping)
    if failure:
        raise failure[0]


def _prepare(prepare: Callable[[], None], failure: list[HydriaError], wake: Callable[[], None]) -> None:
    try:
        prepare()
    except HydriaError as error:
        failure.append(error)
    except Exception as error:  # a thread's outermost frame: its failure must reach the main thread
        logger.exception("preparation failed")
        failure.append(HydriaError(f"Preparing the services: {type(error).__name__}: {error}"))
    finally:
        wake()


def _stop(children: Sequence[Child]) -> None:
    for child in children:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + KILL_AFTER
    for child in children:
        if not child.wait(deadline - time.monotonic()):
            logger.warning("did not stop when asked: killed", service=child.name, after=KILL_AFTER)
            child.signal(signal.SIGKILL)
            child.wait(1.0)


class _Wake:
    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self.stopping = ""
        """Name of the signal that asked for it."""

    def write(self) -> None:
        with contextlib.suppress(OSError):  # full: it is awake anyway; closed: it is over
            os.write(self._write, b"\0")

    def wait(self, timeout: float | None) -> None:
        if select.select([self._read], [], [], timeout)[0]:
            for number in os.read(self._read, 256):
                if number in (signal.SIGTERM, signal.SIGINT):
                    self.stopping = signal.Signals(number).name


@contextlib.contextmanager
def _signals() -> Iterator[_Wake]:
    """The numbers of SIGTERM, SIGINT and SIGCHLD arrive in a pipe; what was before is put back."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    wake = _Wake(read, write)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, read)
        stack.callback(os.close, write)
        stack.callback(signal.set_wakeup_fd, signal.set_wakeup_fd(write, warn_on_full_buffer=False))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            stack.callback(signal.signal, number, signal.signal(number, lambda *_: None))
        yield wake
