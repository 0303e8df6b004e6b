"""Guests for VFs: processes with a network namespace of their own, and what can be seen inside."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from hardware import until

from hydria.base import process


@contextmanager
def guest() -> Iterator[int]:
    """A process with a network namespace and named namespaces that end with it, as a server has; gives its pid."""
    script = "set -e; mount -t tmpfs tmpfs /run; ip netns add inner; ip link set lo up; echo ready; exec sleep 600"
    child = process.start(["unshare", "--net", "--mount", "sh", "-c", script], stdout=process.PIPE)
    with ExitStack() as stack:
        stack.callback(child.wait)
        stack.callback(child.kill)
        assert child.stdout is not None
        stack.callback(child.stdout.close)
        assert child.stdout.readline() == b"ready\n"
        yield child.pid


def within(pid: int, line: str, *, check: bool = True) -> process.Completed:
    """Run a program in the namespaces of a guest."""
    argv = ["nsenter", f"--net=/proc/{pid}/ns/net", f"--mount=/proc/{pid}/ns/mnt", *line.split()]
    return process.run(argv, check=check, timeout=60)


def nics(pid: int, inner: str | None = None) -> list[dict[str, Any]]:
    """What `ip` shows of a guest's NICs, without `lo`."""
    links = json.loads(within(pid, f"ip {f'-n {inner}' if inner else ''} -d -j addr show").stdout)
    return [link for link in links if link and link["ifname"] != "lo"]


def configure(pid: int, address: str) -> None:
    """As the agent does with the one NIC that the guest has."""
    (nic,) = nics(pid)
    within(pid, f"ip addr add {address} dev {nic['ifname']}")
    within(pid, f"ip link set {nic['ifname']} up")
    until("the VF has a link", lambda: nics(pid)[0].get("operstate") == "UP")


def reaches(pid: int, address: str) -> bool:
    return within(pid, f"ping -c 1 -W 2 {address}", check=False).status == 0


def in_child(work: Callable[[], object]) -> int:
    """Run `work` in a process of its own and give how that ended: an exit status, or a signal below zero."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - a child must not come back into the test
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)


def dying_before(calls: int, target: object, names: tuple[str, ...]) -> Callable[[], None]:
    """Make this process kill itself before call number `calls` of any of these methods of a class."""
    left = iter(range(calls))

    def stepping(method: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **kwargs: object) -> object:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*args, **kwargs)

        return step

    def arm() -> None:
        for name in names:
            setattr(target, name, stepping(getattr(target, name)))

    return arm
