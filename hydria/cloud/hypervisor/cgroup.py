"""Memory, CPU and process limits of a guest by cgroup v2, where this host's kernel and our place in it allow it."""

import contextlib
import functools
from pathlib import Path

from hydria.base import log
from hydria.base.errors import Terminal
from hydria.cloud.hypervisor.guest import Guest, Machine

logger = log.Logger(__name__)

ROOT = Path("/sys/fs/cgroup")
CONTROLLERS = ("cpu", "memory", "pids")
CPU_PERIOD_US = 100_000
PIDS_MAX = 4096


@functools.cache
def parent() -> Path | None:
    """The group that holds all guests; None, said once, where limits can't be had."""
    ours = ROOT / "hydria"
    try:
        available = (ROOT / "cgroup.controllers").read_text().split()
        if missing := set(CONTROLLERS) - set(available):
            raise OSError(f"controllers {', '.join(sorted(missing))} are not there")
        ours.mkdir(exist_ok=True)
        for group in (ROOT, ours):
            (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in CONTROLLERS))
    except OSError as error:
        logger.warning("servers run without limits: no cgroup v2 here", reason=error)
        return None
    return ours


def limit(machine: Machine, guest: Guest, overhead: int = 0) -> None:
    """Put the guest, which has only its first process yet, under its flavor's limits. May run twice.

    `overhead`: MiB of memory that whatever runs the guest may have beside what the flavor gives it.
    """
    group = parent()
    if group is None:
        return
    own = group / machine.id
    values = {
        "memory.max": (machine.ram + overhead) * 1024 * 1024,
        "cpu.max": f"{machine.vcpus * CPU_PERIOD_US} {CPU_PERIOD_US}",
        "pids.max": PIDS_MAX,
        # Last: from here on the limits hold.
        "cgroup.procs": guest.pid,
    }
    try:
        own.mkdir(exist_ok=True)
        for name, value in values.items():
            (own / name).write_text(str(value))
    except OSError as error:
        raise Terminal(f"Limiting server {machine.id} by cgroup {own}: {error}") from error


def remove(server_id: str) -> None:
    """May run twice."""
    group = parent()
    if group is not None:
        with contextlib.suppress(FileNotFoundError):
            (group / server_id).rmdir()
