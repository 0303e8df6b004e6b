"""A server is a QEMU process: a virtual machine booted from an image. It outlives this process.

Knows nothing of ports and VFs but what is plugged in by QMP; nothing of images but the files that it is given.
"""

import contextlib
import fcntl
import functools
import os
import select
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from hydria.base import cloud_config, log, process
from hydria.base.errors import Terminal
from hydria.cloud.hypervisor import (
    cgroup,
    children,
    config_drive,
    console,
    guest,
    numa,
    qemu_arguments,
    qemu_files,
    qemu_nics,
    qemu_program,
    qmp,
)
from hydria.cloud.hypervisor.guest import BootImage, Guest, Machine
from hydria.cloud.hypervisor.qemu_files import Files
from hydria.sriov.nics import PciDevice, Tap

logger = log.Logger(__name__)

POWERDOWN_TIMEOUT = 10.0
"""Seconds that a guest has to shut itself down before its power is cut."""


class BootFailed(Terminal):
    """QEMU did not start; the text quotes it."""


class Qemu:
    kind = "QEMU"
    boots_images = True

    def __init__(self, directory: Path, numa_root: Path = numa.ROOT) -> None:
        """Raises NoQemu."""
        self._directory = directory
        self._numa_root = numa_root
        major, minor, micro = qemu_program.version()
        self.version = (major * 1000 + minor) * 1000 + micro
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    @functools.cached_property
    def accelerator(self) -> qemu_program.Accelerator:
        return qemu_program.accelerator()

    def prepare(self, server_id: str, user_data: bytes, image: BootImage | None = None) -> None:
        cloud_config.files(user_data)
        if image is None:
            raise Terminal(f"Preparing server {server_id}: a virtual machine needs an image to boot from")
        qemu_files.keep(self._files(server_id), user_data, image)

    @contextlib.contextmanager
    def booting(self, machine: Machine) -> Iterator[Guest]:
        files = self._files(machine.id)
        self._end_forgotten(machine.id)
        qemu_files.ensure_disk(files, machine.disk)
        config_drive.write(files.config_drive, machine, files.user_data.read_bytes())
        child = self._start(machine, files)
        try:
            self._await_monitor(machine, files)
            cgroup.limit(machine, child, qemu_arguments.OVERHEAD_MIB)
            yield child
            with self._monitor(machine.id) as monitor:
                monitor.execute("cont")
        except BaseException:
            self.kill(child)
            raise

    def _start(self, machine: Machine, files: Files) -> Guest:
        boot = files.read_boot()
        with contextlib.ExitStack() as stack:
            with console.opened(files.console):
                pass
            said = stack.enter_context(files.log.open("wb"))
            listener = stack.enter_context(qmp.listening(files.qmp))
            lock = os.open(files.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
            started = process.start(
                qemu_arguments.arguments(files, machine, boot, self.accelerator, qmp_fd=listener.fileno()),
                stdout=said.fileno(),
                stderr=said.fileno(),
                pass_fds=(listener.fileno(), lock),
                new_session=True,
            )
        child = Guest(started.pid, guest.started_at(started.pid) or 0)
        children.adopt(child, started)
        return child

    def _await_monitor(self, machine: Machine, files: Files) -> None:
        """Then QEMU has opened all that its command line names."""
        try:
            with self._monitor(machine.id) as monitor:
                monitor.execute("query-status")
        except qmp.Gone as error:
            words = files.log.read_text(errors="replace").strip()[-2000:] or "QEMU ended without a word"
            raise BootFailed(f"Starting server {machine.id}: {words}") from error

    def nodes(self) -> Mapping[int, frozenset[int]]:
        return numa.cpus_of_nodes(self._numa_root)

    def pin(self, guest_: Guest, node: int) -> None:
        if cpus := self.nodes().get(node):
            numa.pin(guest_.pid, cpus)

    def shut_down(self, guest_: Guest, server_id: str) -> None:
        """As the power button does. Returns when the guest has ended, or was not willing to in time."""
        with guest.pidfd(guest_) as descriptor:
            if descriptor is None:
                return
            try:
                with self._monitor(server_id) as monitor:
                    monitor.execute("system_powerdown")
            except (qmp.Unreachable, qmp.Refused) as error:
                logger.warning("guest cannot be asked to shut down", server_id=server_id, reason=error.message)
                return
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if not poll.poll(POWERDOWN_TIMEOUT * 1000):
                logger.warning("guest does not shut down", server_id=server_id, seconds=POWERDOWN_TIMEOUT)

    def kill(self, guest_: Guest) -> None:
        guest.kill(guest_)
        children.reap(guest_)

    def remove(self, server_id: str) -> None:
        self._end_forgotten(server_id)
        cgroup.remove(server_id)
        shutil.rmtree(self._files(server_id).root, ignore_errors=True)

    def _end_forgotten(self, server_id: str) -> None:
        """Of a program that was killed between the start of a QEMU and the telling of it."""
        for forgotten in qemu_files.users(self._files(server_id).lock):
            logger.warning("forgotten QEMU ended", server_id=server_id, pid=forgotten.pid)
            self.kill(forgotten)

    def servers(self) -> frozenset[str]:
        return frozenset(path.name for path in self._directory.iterdir())

    def console(self, server_id: str, lines: int | None = None) -> str:
        return console.read(self._files(server_id).console, lines)

    # -- NICs

    def attach(self, guest_: Guest, server_id: str, nic_id: str, mac: str, device: Tap | PciDevice) -> None:
        """Plug a NIC in; one of that id that the machine has already is left. Raises Retryable, Terminal."""
        if not guest.alive(guest_):
            raise qmp.Gone(f"Plugging NIC {nic_id} into server {server_id}: it does not run")
        with self._monitor(server_id) as monitor:
            qemu_nics.attach(monitor, nic_id, mac, device)

    def has(self, server_id: str, nic_id: str) -> bool:
        """False too when the machine does not run."""
        with contextlib.suppress(qmp.Gone), self._monitor(server_id) as monitor:
            return qemu_nics.has(monitor, nic_id)
        return False

    def detach(self, server_id: str, nic_id: str) -> None:
        """Returns when the machine has it no more, or is gone. May run twice. Raises Retryable while it keeps it."""
        with contextlib.suppress(qmp.Gone), self._monitor(server_id) as monitor:
            qemu_nics.detach(monitor, nic_id)

    def _monitor(self, server_id: str) -> contextlib.AbstractContextManager[qmp.Monitor]:
        return qmp.connected(self._files(server_id).qmp, f"Server {server_id}")

    def _files(self, server_id: str) -> Files:
        return Files(self._directory / server_id)
