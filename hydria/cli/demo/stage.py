"""A whole Hydria of its own: `hydria up` in a temporary directory, test hosts, a private fabric or this machine's NICs.

Leaves nothing.
"""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from hydria.base import process
from hydria.base.config import Config, load
from hydria.base.errors import HydriaError
from hydria.cli.up.state import StateDirectory
from hydria.cloud.hypervisor import cgroup
from hydria.fabric import hosts, teardown
from hydria.sriov import namespaces

T = TypeVar("T")

PATIENCE = float(os.environ.get("HYDRIA_STAGE_PATIENCE", "1"))
"""How many times longer anything may take than on a real CPU: an emulated one is ten to twenty times slower."""
START_SECONDS = 60.0
STOP_SECONDS = 10.0

BACKEND = """
import http.server, socket, sys

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = (sys.argv[1] + "\\n").encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    request_queue_size = 1024

Server(("::", int(sys.argv[2])), Answer).serve_forever()
"""
"""A test backend that answers with its name, on IPv4 and IPv6."""


class StageFailed(HydriaError):
    """It did not start or did not stop; the text holds what `hydria up` said last."""


class Stage:
    """`with Stage(...) as stage`: inside the block everything answers; after it nothing is left."""

    def __init__(
        self,
        name: str,
        *,
        host_names: Sequence[str] = (),
        vfs: int = 8,
        pfs: Mapping[str, str] | None = None,
        bridges: Mapping[str, str] | None = None,
        hypervisor: str | None = None,
        noop: bool = False,
        prefix: Sequence[str] = (),
    ) -> None:
        """`pfs`, PF → physical network: this machine's own instead of software PFs, and `bridges`, the other way.

        `noop`: there is neither fabric nor host. `prefix`: a command that runs the one behind it.
        """
        # Unix sockets live below it, whose paths may have no more than 107 bytes.
        self.root = Path(tempfile.mkdtemp(prefix="hydria-"))
        self.state = StateDirectory(self.root / "state")
        self.fabric = name
        self._noop, self._prefix = noop, prefix
        self._options = ["--noop"]
        if not noop:
            self._options = [f"--fabric-name={name}", *(f"--host-name={host}" for host in host_names)]
            self._options += _fabric_options(vfs, pfs, bridges)
        if hypervisor is not None:
            self._options.append(f"--hypervisor={hypervisor}")
        self._up: process.Process | None = None
        self._programs: list[process.Process] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.callback(self._remove)
            self.start()
            stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    @property
    def config(self) -> Config:
        return load(self.state.config, {})

    @property
    def pid(self) -> int:
        if self._up is None:
            raise StageFailed("hydria up does not run.")
        return self._up.pid

    def start(self) -> None:
        """Returns when it says that it is ready. Raises StageFailed."""
        # One that was killed outright has left it behind.
        self.state.ready.unlink(missing_ok=True)
        argv = [*self._prefix, sys.executable, "-m", "hydria.cli.main", "up", f"--state-dir={self.state.root}"]
        with (self.root / "up.log").open("ab") as output:
            self._up = process.start(
                [*argv, *self._options],
                stdout=output.fileno(),
                stderr=output.fileno(),
                new_session=True,
            )
        try:
            await_condition("hydria up is ready", self._is_ready, START_SECONDS)
        except StageFailed as error:
            raise StageFailed(f"{error.message} It said: {self.said()}") from error

    def _is_ready(self) -> bool:
        if self._up is None or self._up.poll() is not None:
            raise StageFailed("hydria up has ended.")
        return self.state.ready.exists()

    def said(self, lines: int = 15) -> str:
        with contextlib.suppress(FileNotFoundError):
            return "\n".join((self.root / "up.log").read_text(errors="replace").splitlines()[-lines:])
        return "nothing"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Returns how long it took. Servers stay. Raises StageFailed."""
        if self._up is None:
            return 0.0
        began = time.monotonic()
        self._up.send_signal(number)
        try:
            self._up.wait(STOP_SECONDS * PATIENCE)
        except process.Expired as error:
            self._up.kill()
            self._up.wait()
            raise StageFailed(f"hydria up did not stop. It said: {self.said()}") from error
        finally:
            self._up = None
        return time.monotonic() - began

    def add_host(self, name: str, network: str, addresses: Sequence[str] = ()) -> "TestHost":
        made = hosts.add(self.fabric, f"{self.fabric}-{name}", network, addresses)
        return self.host(name, namespaces.named(made.name), made.addresses)

    def host(self, name: str, namespace: Path, addresses: Sequence[str]) -> "TestHost":
        """One that is there already, with a NIC that is not the fabric's. Its programs end with the stage."""
        return TestHost(name, namespace, tuple(addresses), self._programs)

    def openstack(self, cloud: str, arguments: Sequence[str], *, check: bool = True) -> process.Completed:
        """The official client, as a user types it."""
        program = Path(sys.executable).with_name("openstack")
        environment = {"OS_CLIENT_CONFIG_FILE": str(self.state.clouds), "OS_CLOUD": cloud}
        return process.run([str(program), *arguments], timeout=120 * PATIENCE, check=check, environment=environment)

    def _remove(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.root, ignore_errors=True)
            stack.callback(self._remove_groups)
            stack.callback(self._remove_fabric)
            self.stop()

    def _remove_fabric(self) -> None:
        """The programs on its hosts end with it; on others they are ended."""
        if not self._noop:
            teardown.down(self.fabric)
        while self._programs:
            program = self._programs.pop()
            program.kill()
            program.wait()

    def _remove_groups(self) -> None:
        """Of servers that were not deleted but killed, with the fabric."""
        for directory in (self.state.root / "cloud" / "servers").glob("*"):
            with contextlib.suppress(OSError):  # there is none where the host has no cgroup v2
                (cgroup.ROOT / "hydria" / directory.name).rmdir()


def _fabric_options(vfs: int, pfs: Mapping[str, str] | None, bridges: Mapping[str, str] | None) -> list[str]:
    if pfs is None:
        return ["--fabric=software", f"--vfs={vfs}"]
    options = ["--fabric=sriov", *(f"--pf={pf}={network}" for pf, network in pfs.items())]
    return options + [f"--bridge={network}={bridge}" for network, bridge in (bridges or {}).items()]


class TestHost(msgspec.Struct, frozen=True):
    """A client or a backend on one of the networks."""

    __test__ = False  # not a test case, whatever its name begins with

    name: str
    namespace: Path
    addresses: tuple[str, ...]
    programs: list[process.Process]
    """Of all hosts of the stage, which waits for their end."""

    def inside(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread that has this host's network."""
        return namespaces.inside(self.namespace, work)

    def run(self, argv: Sequence[str], *, check: bool = True, timeout: float = 30.0) -> process.Completed:
        return process.run([*self._entering(), *argv], check=check, timeout=timeout)

    def start(self, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> process.Process:
        """It ends with the host at the latest."""
        started = process.start([*self._entering(), *argv], environment=environment)
        self.programs.append(started)
        return started

    def _entering(self) -> list[str]:
        return ["nsenter", f"--net={self.namespace}"]

    def serve(self, port: int = 80) -> process.Process:
        """Answers HTTP with its name. Returns when it listens."""
        started = self.start([sys.executable, "-I", "-c", BACKEND, self.name, str(port)])
        listening = f":{port:04X} 00000000000000000000000000000000:0000 0A"
        table = Path("/proc/thread-self/net/tcp6")
        what = f"backend {self.name} listens on port {port}"
        await_condition(what, lambda: self.inside(lambda: listening in table.read_text()), 20.0)
        return started


def await_condition(what: str, condition: Callable[[], bool], seconds: float, every: float = 0.02) -> None:
    """Returns once it holds. Raises StageFailed."""
    deadline = time.monotonic() + seconds * PATIENCE
    pause = threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            raise StageFailed(f"After {seconds * PATIENCE:g} s still not so: {what}.")
        pause.wait(every * PATIENCE)
