"""What compute asks of a hypervisor, and how a guest's process is known again. Knows no kind of guest."""

import contextlib
import os
import select
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from hydria.base.errors import Retryable

KILL_TIMEOUT_MS = 10_000


@dataclass(frozen=True)
class Guest:
    """The first process of a running server. The start time tells it from a later process of the same number."""

    pid: int
    started: int


@dataclass(frozen=True)
class BootImage:
    """What a virtual machine boots from; a container needs none."""

    disk: Path
    format: Literal["qcow2", "raw"]
    kernel: Path | None = None
    """With it and its ramdisk the machine starts without boot loader, as Nova does for `kernel_id`, `ramdisk_id`."""
    ramdisk: Path | None = None
    command_line: str = ""
    """Of the kernel (`os_command_line`)."""


@dataclass(frozen=True)
class NicFacts:
    """What a config drive's network_data.json says of a NIC."""

    id: str
    """The port's."""
    mac: str
    mtu: int
    addresses: tuple[str, ...] = ()
    """With prefix lengths; the first NIC of a server only."""


@dataclass(frozen=True)
class Machine:
    """What a hypervisor has to know of a server."""

    id: str
    name: str
    """What the guest's host name is to be."""
    vcpus: int
    ram: int
    """MiB."""
    disk: int = 0
    """GiB; 0: as large as the image."""
    nics: tuple[NicFacts, ...] = ()
    """In the order of the create request."""
    zone: str = ""
    project_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class Hypervisor(Protocol):
    kind: str
    """As Nova names it: hypervisor_type."""
    version: int
    """As Nova shows it: 10.0.2 is 10000002."""
    boots_images: bool
    """A server needs an image; without, one that is named only has to exist."""

    def prepare(self, server_id: str, user_data: bytes, image: BootImage | None = None) -> None:
        """Keep what the boots need; the image may be deleted afterwards. May run twice.

        Raises BadUserData, and FileNotFoundError when the image's data is gone already.
        """

    def booting(self, machine: Machine) -> AbstractContextManager[Guest]:
        """Inside the block the guest can be given NICs and no program runs yet; the block's end starts it.

        An exception in the block ends the guest. So does the death of this process: at once, or else no program ever
        runs in the guest, and it ends by the next `booting` or `remove` of that server.
        """

    def nodes(self) -> Mapping[int, frozenset[int]]:
        """NUMA nodes of this machine that guests can run on → their CPUs."""

    def pin(self, guest: Guest, node: int) -> None:
        """Let the guest run on the CPUs of that node only; where that can't be had it runs anywhere.

        For the block of `booting`: what runs already stays where it is.
        """

    def shut_down(self, guest: Guest, server_id: str) -> None:
        """Let the guest end by itself, as a power button does. Returns when it has, or would not in time."""

    def kill(self, guest: Guest) -> None:
        """Returns when no process of the guest is left. May run twice."""

    def remove(self, server_id: str) -> None:
        """Delete all that `prepare` and `booting` left on disk, and end what still runs of it. May run twice."""

    def servers(self) -> frozenset[str]:
        """Ids of which anything is left on disk."""

    def console(self, server_id: str, lines: int | None = None) -> str: ...


def started_at(pid: int) -> int | None:
    """Start time of a living process in clock ticks since boot; None: there is none, or only its zombie."""
    try:
        # The name, in parentheses, may itself hold spaces and parentheses: fields count from the last one.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def alive(guest: Guest) -> bool:
    return started_at(guest.pid) == guest.started


@contextlib.contextmanager
def pidfd(guest: Guest) -> Iterator[int | None]:
    """A descriptor of the guest's process, None when it has ended; it can't come to mean another process."""
    descriptor = open_pidfd(guest)
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def open_pidfd(guest: Guest) -> int | None:
    try:
        descriptor = os.pidfd_open(guest.pid)
    except ProcessLookupError:
        return None
    if alive(guest):
        return descriptor
    os.close(descriptor)
    return None


def kill(guest: Guest) -> None:
    """SIGKILL. Of a pid namespace's first process: the kernel ends all others before it itself is gone."""
    with pidfd(guest) as descriptor:
        if descriptor is None:
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        if not poll.poll(KILL_TIMEOUT_MS):
            raise Retryable(f"Killing guest process {guest.pid}: it still runs after {KILL_TIMEOUT_MS // 1000} s")
