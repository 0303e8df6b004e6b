"""One thread that notices the end of any guest at once, by pidfd: no polling, no thread per server."""

import os
import select
import threading
from collections.abc import Callable

from hydria.base import log
from hydria.cloud.hypervisor.guest import Guest, open_pidfd

logger = log.Logger(__name__)


class Watcher:
    """Calls `ended(server_id, guest)` in its own thread, once for each watched guest that ends."""

    def __init__(self, ended: Callable[[str, Guest], None]) -> None:
        self._ended = ended
        self._lock = threading.Lock()
        self._watched: dict[int, tuple[str, Guest]] = {}
        self._poll = select.epoll()
        self._wake = os.eventfd(0)
        self._poll.register(self._wake, select.EPOLLIN)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="guest-watcher", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def watch(self, server_id: str, guest: Guest) -> None:
        """A guest that has ended already is told of at once, in the caller's thread."""
        descriptor = open_pidfd(guest)
        if descriptor is None:
            self._tell(server_id, guest)
            return
        with self._lock:
            self._watched[descriptor] = (server_id, guest)
            self._poll.register(descriptor, select.EPOLLIN)

    def close(self) -> None:
        self._closing = True
        os.eventfd_write(self._wake, 1)
        if self._thread.ident is not None:
            self._thread.join()
        self._poll.close()
        for descriptor in (self._wake, *self._watched):
            os.close(descriptor)
        self._watched.clear()

    def _run(self) -> None:
        while True:
            for descriptor, _ in self._poll.poll():
                if self._closing:
                    return
                self._forget(descriptor)

    def _forget(self, descriptor: int) -> None:
        with self._lock:
            server_id, guest = self._watched.pop(descriptor)
            self._poll.unregister(descriptor)
            os.close(descriptor)
        self._tell(server_id, guest)

    def _tell(self, server_id: str, guest: Guest) -> None:
        try:
            self._ended(server_id, guest)
        except Exception:
            logger.exception("end of a guest could not be recorded", server_id=server_id, pid=guest.pid)
