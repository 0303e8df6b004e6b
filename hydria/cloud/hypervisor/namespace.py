"""A server is a bubblewrap container: Linux namespaces on the host's kernel. It outlives this process.

Knows nothing of ports and VFs: they are plugged into the guest's network namespace by pid.
"""

import compileall
import contextlib
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

import hydria
from hydria.base import cloud_config, log, process
from hydria.base.errors import Terminal
from hydria.cloud.hypervisor import cgroup, children, console, guest, numa, sandbox
from hydria.cloud.hypervisor.guest import BootImage, Guest, Machine

logger = log.Logger(__name__)

AGENT = (sys.executable, "-I", "-m", "hydria.agent")
BOOT_TIMEOUT = 10.0


class BootFailed(Terminal):
    """The container could not be made; the text is the console's end."""


class Namespace:
    kind = "namespace"
    version = 1
    boots_images = False

    def __init__(self, directory: Path, program: tuple[str, ...] = (), numa_root: Path = numa.ROOT) -> None:
        self._directory = directory
        self._numa_root = numa_root
        self._program = program or AGENT
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A guest sees the package read-only: what is not compiled now would be compiled at each boot.
        compileall.compile_dir(str(Path(hydria.__file__).parent), quiet=2)

    def prepare(self, server_id: str, user_data: bytes, image: BootImage | None = None) -> None:  # noqa: ARG002
        files = self._files(server_id)
        wanted = cloud_config.files(user_data)
        for directory in (files.root, files.configuration):
            directory.mkdir(exist_ok=True, mode=0o700)
        for name in ("lib", "log", "tmp", "cache"):
            (files.var / name).mkdir(parents=True, exist_ok=True)
        if not (files.var / "run").is_symlink():
            (files.var / "run").symlink_to("/run")
        for file in wanted:
            _write(files.configuration / file.path, file.content, file.mode)

    @contextlib.contextmanager
    def booting(self, machine: Machine) -> Iterator[Guest]:
        files = self._files(machine.id)
        files.hosts.write_text(f"127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {machine.name}\n")
        # Closing ours without a line makes the supervisor inside end: the undo of all that is done here.
        ours, theirs = socket.socketpair()
        with ours:
            started, child = self._start(machine, files, theirs)
            try:
                cgroup.limit(machine, child)
                yield child
                self._await_sandbox(machine, ours)
            except BaseException:
                guest.kill(child)
                started.wait()
                raise
            children.adopt(child, started)
            with contextlib.suppress(BrokenPipeError):  # it ended meanwhile: the watcher tells
                ours.sendall(b"\n")

    def _await_sandbox(self, machine: Machine, supervisor: socket.socket) -> None:
        """It has been set up meanwhile; mostly this does not wait."""
        supervisor.settimeout(BOOT_TIMEOUT)
        try:
            said = supervisor.recv(16)
        except OSError as error:
            raise BootFailed(f"Starting server {machine.id}: its sandbox says {error}") from error
        if not said:
            raise BootFailed(f"Starting server {machine.id}: {self._last_words(machine)}")

    def _last_words(self, machine: Machine) -> str:
        return self.console(machine.id, 5).strip() or "bwrap ended without a word"

    def _start(
        self, machine: Machine, files: sandbox.Files, standard_input: socket.socket
    ) -> tuple[process.Process, Guest]:
        info_read, info_write = os.pipe()
        with contextlib.ExitStack() as stack:
            output = stack.enter_context(console.opened(files.console))
            stack.enter_context(standard_input)
            report = stack.enter_context(os.fdopen(info_read, "rb"))
            try:
                started = process.start(
                    sandbox.arguments(files, machine.name, self._program, info_fd=info_write),
                    stdin=standard_input.fileno(),
                    stdout=output,
                    stderr=output,
                    pass_fds=(info_write,),
                    new_session=True,
                )
            finally:
                os.close(info_write)
            text = report.read()
        if not text:
            started.wait()
            raise BootFailed(f"Starting server {machine.id}: {self._last_words(machine)}")
        pid: int = msgspec.json.decode(text)["child-pid"]
        birth = guest.started_at(pid)
        if birth is None:
            started.wait()
            raise BootFailed(f"Starting server {machine.id}: {self._last_words(machine)}")
        return started, Guest(pid, birth)

    def nodes(self) -> Mapping[int, frozenset[int]]:
        return numa.cpus_of_nodes(self._numa_root)

    def pin(self, guest_: Guest, node: int) -> None:
        # Only its first process is there yet, and that has one thread: all others are its children.
        if cpus := self.nodes().get(node):
            numa.pin(guest_.pid, cpus)

    def shut_down(self, guest_: Guest, server_id: str) -> None:
        """What it has written is the host's already: there is nothing to wait for."""

    def kill(self, guest_: Guest) -> None:
        guest.kill(guest_)
        # Bubblewrap's outer process ends after the guest.
        children.reap(guest_)

    def remove(self, server_id: str) -> None:
        cgroup.remove(server_id)
        shutil.rmtree(self._files(server_id).root, ignore_errors=True)

    def servers(self) -> frozenset[str]:
        return frozenset(path.name for path in self._directory.iterdir())

    def console(self, server_id: str, lines: int | None = None) -> str:
        return console.read(self._files(server_id).console, lines)

    def _files(self, server_id: str) -> sandbox.Files:
        return sandbox.Files(self._directory / server_id)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Never readable by more than `mode` says, not even for a moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        file.write(content)
