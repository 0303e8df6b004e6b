"""Ports that nobody listens on."""

import contextlib
import socket
from collections.abc import Iterator

from hydria.base.errors import Conflict

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


def choose(address: str, preferred: int, kind: socket.SocketKind) -> int:
    """`preferred` where it is free, else one that the kernel picks. Raises Conflict for an address not ours."""
    with contextlib.suppress(Conflict), _bound(address, preferred, kind):
        return preferred
    with _bound(address, 0, kind) as probe:
        return int(probe.getsockname()[1])


def check_free(address: str, port: int, kind: socket.SocketKind) -> None:
    """Raises Conflict: better said once here than by a service that dies of it again and again."""
    with _bound(address, port, kind):
        pass


@contextlib.contextmanager
def _bound(address: str, port: int, kind: socket.SocketKind) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind) as probe:
        if kind is TCP:  # as the services do: connections of the last run in TIME_WAIT are no hindrance
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise Conflict(f"Listening on {address or 'any address'} port {port}: {error.strerror}.") from error
        yield probe
