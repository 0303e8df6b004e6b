"""NUMA nodes of this machine and their CPUs, and keeping a process on one of them. Knows no server."""

import os
from collections.abc import Mapping
from pathlib import Path

from hydria.base import log

logger = log.Logger(__name__)

ROOT = Path("/sys/devices/system/node")


def cpus_of_nodes(root: Path = ROOT) -> Mapping[int, frozenset[int]]:
    """Node → its online CPUs. Nodes without CPUs (memory on an expander) are left out; no kernel support: none."""
    found = {int(path.name.removeprefix("node")): _cpus(path) for path in sorted(root.glob("node[0-9]*"))}
    return {node: cpus for node, cpus in sorted(found.items()) if cpus}


def _cpus(node: Path) -> frozenset[int]:
    try:
        return parse_cpus((node / "cpulist").read_text())
    except OSError:  # it was taken out just now
        return frozenset()


def parse_cpus(text: str) -> frozenset[int]:
    """The kernel's list format.

    >>> sorted(parse_cpus("0-2,8"))
    [0, 1, 2, 8]
    """
    ranges = (part.partition("-") for part in text.strip().split(",") if part)
    return frozenset(cpu for first, _, last in ranges for cpu in range(int(first), int(last or first) + 1))


def pin(pid: int, cpus: frozenset[int]) -> None:
    """All threads of a process, where it is possible. Threads and children that it starts from now on inherit it.

    Memory needs nothing of its own: the kernel takes that of the node that the process runs on.
    """
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cpus)
    except OSError as error:
        # A cpuset that leaves none of these CPUs to us, or the process is gone: others will notice that.
        logger.warning("process is not kept near its NIC", pid=pid, cpus=sorted(cpus), reason=error)
