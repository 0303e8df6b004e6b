"""The QEMU Machine Protocol: a connection per operation, with limits on time. Knows no servers and no NICs.

QEMU serves one connection at a time, so two operations on one machine follow each other.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from qemu.qmp import ConnectError, ExecuteError, QMPClient, QMPError

from hydria.base.errors import Retryable, Terminal

TIMEOUT = 10.0
"""Seconds for one answer. QEMU answers in milliseconds, unless this machine is short of CPU or disk."""

Event = Mapping[str, Any]
_T = TypeVar("_T")


class Refused(Terminal):
    """QEMU answered with an error; the text quotes it."""

    def __init__(self, message: str, error_class: str) -> None:
        super().__init__(message)
        self.error_class = error_class

    @property
    def not_found(self) -> bool:
        return self.error_class == "DeviceNotFound"


class Unreachable(Retryable):
    """QEMU does not answer in time: this machine is too busy, or QEMU is stuck."""


class Gone(Unreachable):
    """There is no QEMU at the socket any more."""


class Monitor:
    """An open connection. Only the thread that opened it may use it."""

    def __init__(self, client: QMPClient, runner: asyncio.Runner, of: str) -> None:
        self._client = client
        self._runner = runner
        self._of = of

    def execute(self, command: str, **arguments: object) -> Any:
        """Gives what QEMU returns. Raises Refused, Unreachable.

        A `_` at the end of an argument's name keeps it apart from Python's words, inside it stands for QEMU's `-`.
        """
        named = {name.rstrip("_").replace("_", "-"): value for name, value in arguments.items()}
        try:
            return self._within(TIMEOUT, self._client.execute(command, named))
        except ExecuteError as error:
            raise Refused(f"{self._of}: QEMU refuses {command}: {error}", error.error_class) from error
        except (QMPError, EOFError, OSError) as error:
            raise _silence(error, f"{self._of}: QEMU does not answer {command}") from error

    def send(self, descriptor: int) -> None:
        """For the `getfd` that follows. The caller keeps its own."""
        try:
            self._client.send_fd_scm(descriptor)
        except OSError as error:
            raise _silence(error, f"{self._of}: QEMU takes no file descriptor") from error

    def await_event(self, wanted: Callable[[Event], bool], seconds: float) -> Event | None:
        """The next event of this connection that is wanted; None when there was none in time, or QEMU ended."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(QMPError, EOFError, OSError):  # TimeoutError is one of the last
            while (left := deadline - time.monotonic()) > 0:
                event = self._within(left, self._client.events.get())
                if wanted(event):
                    return event
        return None

    def _within(self, seconds: float, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return self._runner.run(asyncio.wait_for(coroutine, seconds))


@contextlib.contextmanager
def connected(path: Path, of: str) -> Iterator[Monitor]:
    """`of`: what the errors speak of, such as "Server 9a1f...". Raises Unreachable."""
    client = QMPClient()
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        monitor = Monitor(client, runner, of)
        try:
            connection = stack.enter_context(_connection(path))
            monitor._within(TIMEOUT, client.connect(connection))  # noqa: SLF001 - made here
        except (ConnectError, OSError) as error:
            raise _silence(error, f"{of}: QEMU's monitor cannot be reached") from error
        try:
            yield monitor
        finally:
            with contextlib.suppress(QMPError, EOFError, OSError):  # QEMU may have ended meanwhile, or been told to
                monitor._within(TIMEOUT, client.disconnect())  # noqa: SLF001


def _connection(path: Path) -> socket.socket:
    with at(path) as name:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(name)
        except OSError:
            connection.close()
            raise
    return connection


def listening(path: Path) -> socket.socket:
    """The socket that QEMU is started with: whoever connects before QEMU is up just waits."""
    path.unlink(missing_ok=True)
    with at(path) as name:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(name)
    listener.listen()
    return listener


@contextlib.contextmanager
def at(path: Path) -> Iterator[str]:
    """A short name of a socket: the kernel takes no more than 107 bytes, and state directories can lie deep."""
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def _silence(error: Exception, what: str) -> Unreachable:
    """QEMU itself never ends a connection: where that happens, it is QEMU that has ended."""
    if isinstance(error, TimeoutError) or isinstance(error.__cause__, TimeoutError):
        return Unreachable(f"{what} within {TIMEOUT:g} s")
    return Gone(f"{what}: {str(error) or type(error).__name__}")
