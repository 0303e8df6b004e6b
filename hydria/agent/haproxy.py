"""HAProxy's processes: check a configuration, swap it, start, reload, stop, adopt. Knows nothing of what it says.

It runs as a daemon (`-W -D`) in the namespace: it outlives the agent, whose next start finds it by its pid file.
"""

import contextlib
import os
import re
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from hydria.agent.namespace import Namespace
from hydria.base import process
from hydria.base.errors import Retryable
from hydria.render.haproxy.config import mark_of

PROGRAM = "haproxy"
_SOCKET_TIMEOUT = 5.0
_STOP_TIMEOUT = 5.0
_RELOAD_TIMEOUT = 30.0
"""The master executes itself anew: milliseconds, yet seconds where the CPU is emulated and busy."""
_RETRY_SECONDS = 0.002
_PATIENCE = 20
"""What has taken t seconds is asked after every t / 20: asking must not take the CPU from who is waited for."""
_MASTER = re.compile(r"^\d+\s+master\s+(\d+)\s+\[failed:\s*(\d+)\]", re.MULTILINE)


class HaproxyFailed(Retryable):
    """It did not do as it was told; the text quotes it."""


class Haproxy:
    def __init__(self, namespace: Namespace, run_dir: Path) -> None:
        self._namespace = namespace
        self.config = run_dir / "haproxy.cfg"
        self.stats_socket = run_dir / "haproxy.sock"
        self.state_file = run_dir / "haproxy.state"
        self.master_socket = run_dir / "haproxy-master.sock"
        self._pid_file = run_dir / "haproxy.pid"
        self._last_pid: int | None = None

    def pid(self) -> int | None:
        """Of the master that runs with our configuration, whoever started it."""
        with contextlib.suppress(OSError, ValueError):
            self._last_pid = int(self._pid_file.read_text())
        # At a reload the file is away for a moment.
        if self._last_pid is None or not self._is_ours(self._last_pid):
            return None
        return self._last_pid

    def _is_ours(self, pid: int) -> bool:
        try:
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        # While a process executes itself anew, as at a reload, its command line is empty for a moment.
        ours = str(self.config).encode() in words or words == [b""]
        return name == PROGRAM and ours and rest.split()[0] not in ("Z", "X")

    def ensure(self, text: str) -> str | None:
        """Let it run with this configuration: "started", "reloaded", or None if it does so already.

        Raises ProcessFailed or HaproxyFailed; what ran before then runs on, with its own configuration.
        """
        running = self.pid() is not None
        if running and mark_of(text) in self.ask("show info").split():
            return None
        candidate = self.config.with_suffix(".new")
        _write_private(candidate, text)
        if running:
            process.run([PROGRAM, "-c", "-q", "-f", str(candidate)])
            self._reload(candidate)
            return "reloaded"
        candidate.replace(self.config)
        # A state file of another life would bring back members as they were then.
        self.state_file.write_text("")
        self._start()
        return "started"

    def stop(self) -> bool:
        """At once: what it served is not in the spec any more. Whether there was one to stop."""
        pid = self.pid()
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                try:
                    os.kill(pid, signal.SIGTERM)
                    if not select.select([descriptor], [], [], _STOP_TIMEOUT)[0]:
                        os.kill(pid, signal.SIGKILL)
                        select.select([descriptor], [], [], _STOP_TIMEOUT)
                finally:
                    os.close(descriptor)
        for path in (self._pid_file, self.config, self.master_socket, self.stats_socket):
            path.unlink(missing_ok=True)
        return pid is not None

    def _start(self) -> None:
        """`-D` returns when the listeners accept connections, or with the reason why they cannot."""
        self.master_socket.unlink(missing_ok=True)
        argv = [PROGRAM, "-W", "-D", "-S", f"{self.master_socket},mode,600", "-p", str(self._pid_file)]
        try:
            self._namespace.inside(lambda: process.run([*argv, "-f", str(self.config)]))
        except process.ProcessFailed:
            self.config.unlink(missing_ok=True)
            raise

    def _reload(self, candidate: Path) -> None:
        """New workers take over the listening sockets; the old ones serve their connections to the end."""
        _write_private(self.state_file, _states(self.ask("show servers state")))
        previous = self.config.read_text()
        reloads, failed = self._reloads()
        candidate.replace(self.config)
        _conversation(self.master_socket, "reload")
        if self._reloads(more_than=reloads)[1] > failed:
            _write_private(self.config, previous)
            raise HaproxyFailed("Reloading HAProxy: its master kept the old worker")

    def workers(self) -> Iterator[int]:
        """Process ids, old workers that still end connections included."""
        return _workers(_conversation(self.master_socket, "show proc"))

    def await_old_workers(self, seconds: float) -> bool:
        """Whether all that a reload replaced have ended their connections and themselves by then."""
        deadline = time.monotonic() + seconds
        if self.pid() is None:
            return True
        _current, _, old = _conversation(self.master_socket, "show proc").partition("# old workers")
        for pid in _workers(old):
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                try:
                    if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
                        return False
                finally:
                    os.close(descriptor)
        return True

    def _reloads(self, more_than: int = -1) -> tuple[int, int]:
        """How often the master was reloaded, and how often in vain; waits until the first is `more_than` so many.

        It executes itself anew, and for a moment nobody listens at its socket: asking again is the only way to know.
        """
        started = time.monotonic()
        while True:
            try:
                answer = _conversation(self.master_socket, "show proc")
                if (match := _MASTER.search(answer)) and int(match[1]) > more_than:
                    return int(match[1]), int(match[2])
            except HaproxyFailed:
                if self.pid() is None:
                    raise
            took = time.monotonic() - started
            if took > _RELOAD_TIMEOUT:
                raise HaproxyFailed(f"Reloading HAProxy: its master did not do so within {_RELOAD_TIMEOUT:.0f} s")
            threading.Event().wait(max(_RETRY_SECONDS, took / _PATIENCE))

    def ask(self, command: str, worker: int | None = None) -> str:
        """What the current worker, or that one, answers on its runtime API. Raises HaproxyFailed."""
        if worker is None:
            return _conversation(self.stats_socket, command)
        return _conversation(self.master_socket, f"@!{worker} {command}")


def _workers(processes: str) -> Iterator[int]:
    """Of the master's "show proc", or a part of it."""
    for line in processes.splitlines():
        if match := re.match(r"(\d+)\s+worker\s", line):
            yield int(match[1])


def _states(answer: str) -> str:
    """Without servers in maintenance: HAProxy would keep them there, though the new configuration enables them."""
    lines = answer.splitlines(keepends=True)
    return "".join(line for line in lines if len(words := line.split()) < 7 or words[6] == "0" or line[0] == "#")


def _conversation(path: Path, command: str) -> str:
    answer = bytearray()
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_SOCKET_TIMEOUT)
            connection.connect(str(path))
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                answer += data
    except ConnectionResetError:
        # It went away instead of answering: what it said until then is the answer.
        pass
    except OSError as error:
        raise HaproxyFailed(f"Asking HAProxy at {path} for {command!r}: {error}") from error
    return answer.decode(errors="replace")


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def version() -> str | None:
    try:
        text = process.run([PROGRAM, "-v"]).stdout
    except process.ProcessFailed:
        return None
    match = re.search(r"version (\S+)", text)
    return match[1] if match else None
