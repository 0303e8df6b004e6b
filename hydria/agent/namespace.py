"""The network namespace of the load balancer inside the amphora: made, entered, its sysctls. Knows no links.

The agent itself never leaves the amphora's own one. Work inside is done by a thread that enters and ends there (0.1 ms,
where `ip netns exec` costs 3 ms); what such a thread starts, HAProxy or nft, is born inside.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hydria.base.errors import Retryable
from hydria.model.spec import NAMESPACE

T = TypeVar("T")

DIRECTORY = Path("/run/netns")
_CLONE_NEWNET = 0x40000000
_MS_BIND = 0x1000
_THREAD = "/proc/thread-self/ns/net"

SYSCTLS = {
    # A new namespace inherits IPv4's from the host, which may be a router.
    "ipv4/conf/all/forwarding": 0,
    "ipv4/conf/default/forwarding": 0,
    "ipv6/conf/all/forwarding": 0,
    # Strict reverse path filtering would refuse clients whose way back is only in the VIP's own table.
    "ipv4/conf/all/rp_filter": 0,
    "ipv4/conf/default/rp_filter": 0,
    # One answers ARP only for addresses of the NIC that was asked: the VIP is not on the members' network.
    "ipv4/conf/all/arp_ignore": 1,
    "ipv4/conf/all/arp_announce": 2,
    "ipv4/conf/all/accept_redirects": 0,
    "ipv4/conf/default/accept_redirects": 0,
    "ipv6/conf/all/accept_redirects": 0,
    "ipv6/conf/default/accept_redirects": 0,
    # Addresses and routes are the spec's, and so not found to be duplicates by whoever says so.
    "ipv6/conf/all/accept_ra": 0,
    "ipv6/conf/default/accept_ra": 0,
    "ipv6/conf/default/accept_dad": 0,
    "ipv6/conf/all/disable_ipv6": 0,
    "ipv6/conf/default/disable_ipv6": 0,
    # HAProxy can bind a VIP whose NIC is not there yet: the rest of the load balancer serves meanwhile.
    "ipv4/ip_nonlocal_bind": 1,
    "ipv6/ip_nonlocal_bind": 1,
    # Ports for connections to members.
    "ipv4/ip_local_port_range": "1024 65535",
}

_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceFailed(Retryable):
    """The kernel refused; the text says what."""


def _check(result: int, attempt: str) -> None:
    if result != 0:
        raise NamespaceFailed(f"{attempt}: {os.strerror(ctypes.get_errno())}")


class Namespace:
    """A named network namespace, as `ip netns` knows it."""

    def __init__(self, name: str = NAMESPACE, directory: Path = DIRECTORY) -> None:
        self.path = directory / name

    def ensure(self) -> list[str]:
        """Make it if it is not there. Gives the sysctls that could not be set, for the log."""
        if not self._is_there():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch()
            _in_thread(self._make)
        return self.inside(_set_sysctls)

    def _is_there(self) -> bool:
        """A file that nothing is mounted on is left from before a restart of the amphora."""
        return self.path.exists() and self.path.stat().st_dev != self.path.parent.stat().st_dev

    def _make(self) -> None:
        _check(_libc.unshare(_CLONE_NEWNET), f"Making network namespace {self.path.name}")
        mounted = _libc.mount(_THREAD.encode(), os.fsencode(self.path), b"none", ctypes.c_ulong(_MS_BIND), None)
        _check(mounted, f"Mounting network namespace {self.path}")

    def open(self) -> int:
        return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)

    def inside(self, work: Callable[[], T]) -> T:
        """Run `work` within the namespace and give its result or its exception."""

        def enter_and_work() -> T:
            try:
                descriptor = self.open()
            except OSError as error:
                raise NamespaceFailed(f"Opening network namespace {self.path}: {error.strerror}") from error
            try:
                _check(_libc.setns(descriptor, _CLONE_NEWNET), f"Entering network namespace {self.path.name}")
            finally:
                os.close(descriptor)
            return work()

        return _in_thread(enter_and_work)


def _in_thread(work: Callable[[], T]) -> T:
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the thread that asked
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _set_sysctls() -> list[str]:
    """/proc/sys/net shows the namespace of the thread that opens it."""
    failed = []
    for key, value in SYSCTLS.items():
        try:
            Path("/proc/sys/net", key).write_text(str(value))
        except OSError as error:
            failed.append(f"{key}: {error.strerror}")
    return failed
