"""A hint from one process to another on the same machine: there is work. The truth is in the queue, which is polled."""

import contextlib
import select
import socket
from pathlib import Path
from types import TracebackType
from typing import Self


class WakeSender:
    """`path` None: there is nobody to wake."""

    def __init__(self, path: str | Path | None) -> None:
        self._path = None if path is None else str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def send(self) -> None:
        """Neither blocks nor raises: nobody listens, or its buffer is full, and then it knows already."""
        if self._path is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(b"\0", self._path)

    def close(self) -> None:
        self._socket.close()


class WakeReceiver:
    """Only one per path: a second one takes it over."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(str(self._path))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def wait(self, timeout: float) -> bool:
        """Whether somebody called since the last time; waits up to `timeout` seconds for it."""
        called = False
        while self._poll.poll(0 if called else timeout * 1000):
            called = True
            with contextlib.suppress(BlockingIOError):  # another thread that waits here was first
                self._socket.recv(1)
        return called

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
