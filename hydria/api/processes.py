"""One port answered by several processes, each with its share of the connections. Knows nothing of what they answer."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable

from hydria.base import process
from hydria.base.errors import HydriaError
from hydria.base.log import Logger

logger = Logger(__name__)


class ApiDied(HydriaError):
    """One of the processes ended that should not have. Whoever started us starts all of them again."""


def serve(host: str, port: int, count: int, answer: Callable[[socket.socket], None]) -> None:
    """`answer` in `count` processes, each on a socket that is bound and does not listen yet, until SIGTERM.

    Raises ApiDied, or HydriaError where the port is somebody else's.
    """
    with contextlib.ExitStack() as stack:
        try:
            # Without sharing first: sockets that share a port would share it with another Hydria's as well.
            _bound(host, port, share=False).close()
            shared = [stack.enter_context(_bound(host, port, share=True)) for _ in range(count)]
        except OSError as error:
            raise HydriaError(f"Listening on {host}:{port}: {error.strerror}.") from error
        _watch({_child(one, answer) for one in shared})


def _bound(host: str, port: int, *, share: bool) -> socket.socket:
    """One per process: the kernel spreads connections over them, where one for all leaves most to a single process."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(share))
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made


def _child(bound: socket.socket, answer: Callable[[socket.socket], None]) -> int:
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        process.die_with(parent)
        answer(bound)
        status = 0
    except HydriaError as error:
        logger.error("cannot serve", reason=error)  # noqa: TRY400 - its sentence says all
    except Exception:  # the outermost call of a process
        logger.exception("cannot serve")
    finally:
        os._exit(status)  # what the parent has open is the parent's to close


def _watch(children: set[int]) -> None:
    alive = set(children)
    told = False

    def end(*_: object) -> None:
        nonlocal told
        told = True
        for child in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    died = None
    while alive:
        child, status = os.wait()
        alive.discard(child)
        if not told:
            died = ApiDied(f"API process {child} ended with status {os.waitstatus_to_exitcode(status)}.")
            end()
    if died is not None:
        raise died
