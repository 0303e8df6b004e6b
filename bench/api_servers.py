"""The two servers that are compared, each started with an empty database and stopped again, and what they use.

Hydria is this source tree's `hydria up --noop`. The peer is Octavia with its no-op drivers, run by a program outside of
this tree that OCTAVIA_PEER names: see docs/benchmarks.md.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import httpx
import msgspec

from hydria.base import process
from hydria.base.errors import HydriaError
from hydria.cli.demo.stage import await_condition
from hydria.cli.up.state import StateDirectory

PROCESSES = 2
"""Of the API, for both. The peer has as many of its worker."""
START_SECONDS = 90.0
PEER_SECONDS = 300.0
PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


class BenchFailed(HydriaError):
    """A server did not start, or did not answer as it should."""


class Target(NamedTuple):
    """A server that runs."""

    name: str
    identity: str
    password: str
    """Of user admin, project admin."""
    roots: Callable[[], Sequence[int]]
    """Processes whose trees are the server."""


@contextlib.contextmanager
def hydria() -> Iterator[Target]:
    # Not in /tmp, which may be memory: the peer's database is on a disk as well.
    root = Path(tempfile.mkdtemp(prefix="hydria-bench-", dir="/var/tmp"))
    state = StateDirectory(root / "state")
    argv = [sys.executable, "-m", "hydria.cli.main", "up", "--noop", f"--state-dir={state.root}"]
    environment = {"HYDRIA_API__PROCESSES": str(PROCESSES)}
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        up = process.start(argv, environment=environment)
        stack.callback(up.wait)
        stack.callback(up.send_signal, signal.SIGTERM)

        def stands() -> bool:
            if up.poll() is not None:
                said = (state.logs / "up.log").read_text() if (state.logs / "up.log").exists() else ""
                raise BenchFailed(f"hydria up --noop ended with status {up.returncode}: {said[-2000:]}")
            return state.ready.exists()

        await_condition("hydria up --noop is ready", stands, START_SECONDS)
        cloud = msgspec.json.decode(state.clouds.read_bytes())["clouds"]["admin"]["auth"]
        yield Target("Hydria", cloud["auth_url"], cloud["password"], lambda: [up.pid])


@contextlib.contextmanager
def peer(program: str) -> Iterator[Target]:
    """Raises HydriaError."""
    ask_peer(program, "stop", "octavia")
    try:
        for arguments in (("start", "infra"), ("reset-db",), ("start",)):
            ask_peer(program, *arguments)
        said = dict(re.findall(r"(OS_\w+)=(\S+)", ask_peer(program, "env")))
        yield Target(
            "Octavia",
            shlex.split(said["OS_AUTH_URL"])[0],
            shlex.split(said["OS_PASSWORD"])[0],
            lambda: [int(file.read_text()) for file in (_peer_directory() / "run").glob("*.pid")],
        )
    finally:
        ask_peer(program, "stop")


def ask_peer(program: str, *arguments: str) -> str:
    """What it prints. Raises HydriaError."""
    environment = {"PEER_DIR": str(_peer_directory()), "PEER_PROCESSES": str(PROCESSES)}
    return process.run([program, *arguments], timeout=PEER_SECONDS, environment=environment).stdout


def _peer_directory() -> Path:
    return Path(os.environ.get("PEER_DIR") or Path.home() / ".cache" / "octavia-peer")


def endpoint(target: Target) -> tuple[str, str, str]:
    """URL of the load balancer service, token and project id. Raises BenchFailed."""
    domain = {"name": "Default"}
    user = {"name": "admin", "password": target.password, "domain": domain}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": domain}},
        }
    }
    answer = httpx.post(f"{target.identity}/auth/tokens", json=body, timeout=30, trust_env=False)
    if answer.status_code != 201:
        raise BenchFailed(f"{target.name}: a token was refused: {answer.status_code} {answer.text[:300]}")
    token = answer.json()["token"]
    for service in token["catalog"]:
        if service["type"] == "load-balancer":
            urls = [one["url"] for one in service["endpoints"] if one["interface"] == "public"]
            return urls[0].rstrip("/"), answer.headers["x-subject-token"], token["project"]["id"]
    raise BenchFailed(f"{target.name}: no load balancer service is in the catalogue.")


# What the machine and the processes of a server do.


class Cpu(NamedTuple):
    """Seconds since some time before."""

    busy: float
    ours: float
    server: float

    def since(self, before: "Cpu") -> "Cpu":
        return Cpu(*(now - then for now, then in zip(self, before, strict=True)))

    @property
    def other_share(self) -> float:
        """Of what was used, what neither the server nor the bench did."""
        return max(0.0, self.busy - self.ours - self.server) / self.busy if self.busy > 0 else 0.0


def cpu(target: Target) -> Cpu:
    fields = [int(field) for field in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    idle = fields[3] + fields[4]
    used: dict[int, float] = {}
    for pid in _tree(target.roots()):
        with contextlib.suppress(OSError):
            stat = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            used[pid] = sum(map(int, stat[11:15])) / _TICKS  # its own and that of children that have ended
    own = os.times()
    return Cpu((sum(fields) - idle) / _TICKS, own.user + own.system, sum(used.values()))


def memory_mib(target: Target) -> float:
    """PSS: a page that n processes share counts once."""
    total = 0
    for pid in _tree(target.roots()):
        with contextlib.suppress(OSError):
            rollup = (PROC / str(pid) / "smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])  # type: ignore[index]
    return total / 1024


def _tree(roots: Sequence[int]) -> set[int]:
    children: Mapping[int, list[int]] = _children()
    found: set[int] = set()
    left = list(roots)
    while left:
        pid = left.pop()
        if pid not in found:
            found.add(pid)
            left += children.get(pid, [])
    return found


def _children() -> Mapping[int, list[int]]:
    found: defaultdict[int, list[int]] = defaultdict(list)
    for stat in PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended since the listing
            found[int(stat.read_text().rpartition(")")[2].split()[1])].append(int(stat.parent.name))
    return found
