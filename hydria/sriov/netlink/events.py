"""That links have changed: multicast group RTMGRP_LINK. What has changed is for the listener to look at."""

import errno
import select
import socket
from pathlib import Path
from types import TracebackType
from typing import Self

from hydria.sriov import namespaces

_RTMGRP_LINK = 1
_BUFFER = 1 << 16


class LinkEvents:
    """Hears of every change of a link of one namespace, from the moment it is entered."""

    def __init__(self, namespace: Path = namespaces.OWN) -> None:
        self._namespace = namespace

    def __enter__(self) -> Self:
        self._socket = namespaces.inside(self._namespace, _listening)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def wait(self, seconds: float) -> bool:
        """Whether something changed; returns as soon as it did, with all that came until then forgotten."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return False
        self._drain()
        return True

    def _drain(self) -> None:
        while True:
            try:
                self._socket.recv(_BUFFER)
            except BlockingIOError:
                return
            except OSError as error:
                # More came than the buffer holds: that too is a change, and the lost ones tell nothing else.
                if error.errno != errno.ENOBUFS:
                    raise


def _listening() -> socket.socket:
    kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    made = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
    made.bind((0, _RTMGRP_LINK))
    return made
