"""A machine of the test's own: a network namespace that the test's thread is in, with a network of its own to spoil."""

import ctypes
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from hydria.base import config, process
from hydria.fabric import teardown
from hydria.fabric.software import SoftwareFabric
from hydria.sriov import namespaces

_libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def machine() -> Iterator[None]:
    """Has eth0 with an address inside one of the test prefixes and a default route, as real machines do."""
    with namespaces.opened(namespaces.OWN) as before:
        assert _libc.unshare(namespaces.CLONE_NEWNET) == 0
        try:
            for line in (
                "link set lo up",
                "link add eth0 type veth peer name wire",
                "addr add 192.0.2.2/24 dev eth0",
                # Link-local addresses would turn up when they like.
                "link set wire addrgenmode none",
                "link set eth0 addrgenmode none",
                "link set wire up",
                "link set eth0 up",
                "route add default via 192.0.2.1",
                "-6 addr add fd00::2/64 dev eth0 nodad",
            ):
                ip(line)
            # The kernel works out the state of a link some moments after its carrier.
            deadline = time.monotonic() + 10
            while ip("-br link show type veth").count(" UP ") < 2:
                assert time.monotonic() < deadline
                os.sched_yield()
            yield
        finally:
            assert _libc.setns(before, namespaces.CLONE_NEWNET) == 0


@pytest.fixture
def fabric(machine: None) -> Iterator[SoftwareFabric]:  # noqa: ARG001 - it is built on it
    made = new_fabric()
    try:
        made.ensure()
        yield made
    finally:
        teardown.down(made.name)


def new_fabric(**options: object) -> SoftwareFabric:
    return SoftwareFabric(config.Fabric(kind="software", name=new_name(), **{"vfs": 3, **options}))


def new_name() -> str:
    """Several test runs share the machine's named namespaces."""
    return f"t{uuid.uuid4().hex[:10]}"


@contextmanager
def guest() -> Iterator[int]:
    """A process with a network namespace and named namespaces that end with it, as a server has; gives its pid."""
    script = "set -e; mount -t tmpfs tmpfs /run; ip netns add inner; ip link set lo up; echo ready; exec sleep 600"
    argv = ["unshare", "--net", "--mount", "sh", "-c", script]
    child = process.start(argv, stdout=process.PIPE)
    with ExitStack() as stack:
        stack.callback(child.wait)
        stack.callback(child.kill)
        assert child.stdout is not None
        stack.callback(child.stdout.close)
        assert child.stdout.readline() == b"ready\n"
        yield child.pid


def ip(line: str, *, pid: int | None = None, check: bool = True) -> str:
    return run(f"ip {line}", pid=pid, check=check)


def run(line: str, *, pid: int | None = None, check: bool = True) -> str:
    where = [] if pid is None else ["nsenter", f"--net=/proc/{pid}/ns/net", f"--mount=/proc/{pid}/ns/mnt"]
    return process.run([*where, *line.split()], check=check).stdout


def reaches(pid: int, address: str) -> bool:
    argv = ["nsenter", f"--net=/proc/{pid}/ns/net", "ping", "-c", "1", "-W", "2", address]
    return process.run(argv, check=False).status == 0


def host_reaches(name: str, address: str) -> bool:
    argv = ["ip", "netns", "exec", name, "ping", "-c", "1", "-W", "2", address]
    return process.run(argv, check=False).status == 0


def look() -> dict[str, str]:
    """All that the machine's own network is made of, without counters and timers."""
    lines = ("addr", "route show table all", "-6 route show table all", "rule", "-6 rule")
    return {line: ip(line) for line in lines}
