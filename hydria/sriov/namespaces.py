"""Network namespaces: named ones, those of processes, and how to work inside one. Knows nothing of netlink.

A namespace is a Path that opens to it. Work inside another namespace is done by a thread that enters it and ends
there: it costs 0.1 ms where a forked child costs 5 ms and more, and nothing has to be restored when the work fails.
"""

import contextlib
import ctypes
import fcntl
import os
import re
import select
import signal
import socket
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TypeVar

from hydria.base import process
from hydria.base.errors import Retryable, Terminal, invalid_field

T = TypeVar("T")

OWN = Path("/proc/self/ns/net")
"""That of this process: /proc/self is its main thread, which never enters another."""

DIRECTORY = Path("/run/netns")
CLONE_NEWNET = 0x40000000

_libc = ctypes.CDLL(None, use_errno=True)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class NoNamespace(Retryable):
    """The namespace is not there: not made yet, or its process ended."""


def named(name: str) -> Path:
    """What `ip netns` calls `name`; it need not exist."""
    if not _NAME.fullmatch(name):
        raise invalid_field("name", name, "A namespace has 1 to 63 letters, digits, '-', '_' or '.'.")
    return DIRECTORY / name


def of_process(pid: int) -> Path:
    return Path(f"/proc/{pid}/ns/net")


def inode(namespace: Path) -> int:
    """The identity of a namespace, as `lsns` shows it; the kernel uses it again after the namespace is gone."""
    with opened(namespace) as fd:
        return os.fstat(fd).st_ino


def guest_inode(pid: int) -> int:
    """That of a process that is to get a NIC. Raises Terminal where it has no network of its own but ours."""
    found = inode(of_process(pid))
    if found == inode(OWN):
        raise Terminal(f"Process {pid} is in the machine's own network namespace: it gets no NIC")
    return found


@contextlib.contextmanager
def opened(namespace: Path) -> Iterator[int]:
    try:
        fd = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NoNamespace(f"Opening network namespace {namespace}: {error.strerror}") from error
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def locked(namespace: Path) -> Iterator[None]:
    """One process at a time. The lock is on the namespace itself: no file is left behind, a crash frees it."""
    with opened(namespace) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield


def inside(namespace: Path, work: Callable[[], T]) -> T:
    """Run `work` in a thread within `namespace` and give its result or its exception."""
    with opened(namespace) as fd:

        def enter_and_work() -> T:
            if _libc.setns(fd, CLONE_NEWNET) != 0:
                raise NoNamespace(f"Entering network namespace {namespace}: {os.strerror(ctypes.get_errno())}")
            return work()

        return _in_thread(enter_and_work)


def create(name: str, prepare: Callable[[Path], None]) -> None:
    """Make a namespace, let `prepare` fill it, then give it its name.

    The name comes last so that a crash in between leaves nothing: a namespace without a name ends with its thread.
    """
    named(name)

    def unshare_and_prepare() -> None:
        if _libc.unshare(CLONE_NEWNET) != 0:
            raise Retryable(f"Making network namespace {name}: {os.strerror(ctypes.get_errno())}")
        thread = threading.get_native_id()
        prepare(of_process(thread))
        process.run(["ip", "netns", "attach", name, str(thread)])

    _in_thread(unshare_and_prepare)


def delete(name: str) -> None:
    """Take the name away; the namespace ends with the last process in it. May run twice."""
    if named(name).exists():
        process.run(["ip", "netns", "delete", name])


def set_sysctl(namespace: Path, key: str, value: int) -> None:
    """`key` below /proc/sys/net, such as ipv6/conf/all/disable_ipv6; one that the kernel does not have is passed over.

    /proc/sys/net shows the namespace of the thread that opens it.
    """
    file = Path("/proc/sys/net") / key

    def write() -> None:
        with contextlib.suppress(FileNotFoundError):
            file.write_text(str(value))

    inside(namespace, write)


def link_indices(namespace: Path) -> dict[str, int]:
    """Name → ifindex of all links, asked by the C library: a hundred times faster than reading all about each."""
    return {name: index for index, name in inside(namespace, socket.if_nameindex)}


def link_names(namespace: Path) -> frozenset[str]:
    return frozenset(link_indices(namespace))


def all_named() -> dict[str, Path]:
    return {path.name: path for path in sorted(DIRECTORY.iterdir())} if DIRECTORY.is_dir() else {}


def everywhere() -> dict[int, Path]:
    """Every namespace that a process is in or that is mounted in some process's view of files, by inode.

    The second kind matters: a guest may keep a VF in a named namespace of its own in which nothing runs.
    """
    found: dict[int, Path] = {}
    views: set[Path] = set()
    for pid in _pids():
        # A process may end at any line: what it was alone in ends with it.
        with contextlib.suppress(OSError):
            found.setdefault(of_process(pid).stat().st_ino, of_process(pid))
            if (view := Path(f"/proc/{pid}/ns/mnt").readlink()) not in views:
                for number, path in _mounted(pid):
                    found.setdefault(number, path)
                views.add(view)
    return found


def search(look: Callable[[Path], T | None]) -> T | None:
    """The first answer that `look` gives, asked about every namespace."""
    for _ in range(3):
        missed = False
        for namespace in everywhere().values():
            try:
                if (found := look(namespace)) is not None:
                    return found
            except NoNamespace:
                missed = True
        # The process we would have come in by ended; the namespace may still be that of another.
        if not missed:
            break
    return None


def _mounted(pid: int) -> Iterator[tuple[int, Path]]:
    """Mounts of namespaces: proc(5), "36 35 0:4 net:[4026532281] /run/netns/x rw shared:1 - nsfs nsfs rw"."""
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        fields = line.split()
        if match := re.fullmatch(r"net:\[(\d+)\]", fields[3]):
            yield int(match[1]), Path(f"/proc/{pid}/root{fields[4]}")


def kill_processes(inodes: Collection[int], *, timeout: float = 5.0) -> list[int]:
    """SIGKILL every process within these namespaces, wait until they are gone, and say which they were."""
    killed: list[int] = []
    # Again until there are none: one may have forked while we looked.
    while pids := [pid for pid in _pids() if _is_within(pid, inodes)]:
        killed += kill(pids, timeout=timeout)
    return killed


def kill(pids: Collection[int], *, timeout: float = 5.0) -> list[int]:
    """SIGKILL them, wait until they are gone, and say which they were. One that has ended is passed over."""
    for pid in pids:
        _kill_and_wait(pid, timeout=timeout)
    return list(pids)


def holders_of_file(path: Path) -> list[int]:
    """Processes that have `path` open."""
    return holders(lambda fd: fd.readlink() == path)


def holders(is_wanted: Callable[[Path], bool]) -> list[int]:
    """Processes that have a file open which `is_wanted`: it is asked about every /proc/PID/fd/N, and may fail."""
    return [pid for pid in _pids() if any(_is(fd, is_wanted) for fd in _descriptors(pid))]


def _descriptors(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return []


def _is(fd: Path, is_wanted: Callable[[Path], bool]) -> bool:
    try:
        return is_wanted(fd)
    except OSError:  # it was closed, or its process ended
        return False


def words(namespace: Path) -> str:
    """How to say to people which one it is.

    >>> words(Path("/proc/17/ns/net")), words(Path("/run/netns/blue"))
    ('the network namespace of process 17', 'network namespace blue')
    """
    parts = namespace.parts
    return f"the network namespace of process {parts[2]}" if parts[-1] == "net" else f"network namespace {parts[-1]}"


def _is_within(pid: int, inodes: Collection[int]) -> bool:
    try:
        return of_process(pid).stat().st_ino in inodes
    except OSError:
        return False


def _kill_and_wait(pid: int, *, timeout: float) -> None:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        # Readable as soon as it has ended, even while its parent has not asked for its status yet.
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(timeout * 1000):
            raise Retryable(f"Killing process {pid}: still there after {timeout} s")
    except ProcessLookupError:
        return
    finally:
        os.close(fd)


def _pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _in_thread(work: Callable[[], T]) -> T:
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="namespace")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
