"""Processes of guests that this program started: its children, which it has to reap. Knows no kind of guest."""

import threading

from hydria.base import process
from hydria.cloud.hypervisor.guest import Guest

_children: dict[Guest, process.Process] = {}
"""Of the program, whichever hypervisor object started them."""
_lock = threading.Lock()


def adopt(guest: Guest, started: process.Process) -> None:
    """`started` ends with the guest."""
    with _lock:
        _children[guest] = started


def reap(guest: Guest) -> None:
    """After its end, lest it stay a zombie; what an earlier run of this program started is init's. May run twice."""
    with _lock:
        started = _children.pop(guest, None)
    if started is not None:
        started.wait()
