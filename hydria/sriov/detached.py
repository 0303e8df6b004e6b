"""File systems that are mounted nowhere: a descriptor is the only way in, and with it they end.

Nobody else sees what is in them, no crash leaves a mount behind, and no place of the machine has to be fit for them
(/run is mounted `nodev`).
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator

from hydria.base.errors import Retryable

_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
"""Linux 5.2, the same on every architecture; the C library has wrappers only since glibc 2.36."""
_FSOPEN_CLOEXEC, _FSMOUNT_CLOEXEC = 1, 1
_FSCONFIG_CMD_CREATE = 6

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def mounted(kind: str) -> Iterator[int]:
    """Descriptor of the top directory of a new file system of this kind, such as tmpfs.

    A sysfs shows the links of the network namespace that the calling thread is in.
    """
    with contextlib.ExitStack() as stack:
        context = _call(kind, _FSOPEN, kind.encode(), _FSOPEN_CLOEXEC)
        stack.callback(os.close, context)
        _call(kind, _FSCONFIG, context, _FSCONFIG_CMD_CREATE, None, None, 0)
        top = _call(kind, _FSMOUNT, context, _FSMOUNT_CLOEXEC, 0)
        stack.callback(os.close, top)
        yield top


def _call(kind: str, number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        raise Retryable(f"Mounting a {kind}: {os.strerror(ctypes.get_errno())}")
    return result
