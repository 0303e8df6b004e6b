"""What is put on a path, and what it gives: pings, HTTP by ab, a TCP stream. Knows nothing of VFs and ports."""

import contextlib
import csv
import re
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from places import BenchFailed

from hydria.cli.demo.stage import PATIENCE, TestHost
from hydria.sriov import namespaces

SMALL, LARGE = "/small", "/large"
LARGE_BYTES = 2**20
CONNECTIONS = 10
LARGE_CONNECTIONS = 4
"""So that the wire is not idle while one of them asks for the next object."""
_CHUNK = 2**18

# HAProxy, since it must be here anyway and answers faster than the load balancer in front of it asks.
_BACKEND = """
global
    maxconn 2000
    tune.bufsize {bufsize}
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 10s
frontend answers
    bind {address}:80
    http-request return status 200 content-type application/octet-stream file {large} if {{ path {large_path} }}
    http-request return status 200 content-type text/plain string ok
"""


def serve(host: TestHost, directory: Path) -> None:
    """Answers two bytes, or a large object. It ends with the host."""
    (address, *_) = host.addresses
    large, settings = directory / "large", directory / "backend.cfg"
    large.write_bytes(bytes(LARGE_BYTES))
    settings.write_text(
        _BACKEND.format(bufsize=2 * LARGE_BYTES, address=address.split("/")[0], large=large, large_path=LARGE)
    )
    host.start(["haproxy", "-db", "-f", str(settings)])


def ping(client: TestHost, address: str, *, seconds: float, every: float) -> list[float]:
    """Round trips in ms, sorted. Raises BenchFailed where one in ten is lost."""
    count = max(10, round(seconds / every))
    argv = ["ping", "-n", "-c", str(count), "-i", str(every), "-W", "2", address]
    said = client.run(argv, check=False, timeout=60 + 2 * seconds).stdout
    times = sorted(float(text) for text in re.findall(r" time=([0-9.]+) ms", said))
    if len(times) < 0.9 * count:
        raise BenchFailed(f"{' '.join(argv)}: {len(times)} of {count} were answered.")
    return times


def percentile(values: Sequence[float], percent: int) -> float:
    """Of sorted values.

    >>> percentile([1.0, 2.0, 3.0], 50), percentile([1.0, 2.0, 3.0], 99)
    (2.0, 3.0)
    """
    return values[min(len(values) - 1, len(values) * percent // 100)]


def latencies(client: TestHost, url: str, *, seconds: float) -> tuple[float, float]:
    """Median and 99th percentile of a request in ms, one after the other on one connection."""
    with tempfile.NamedTemporaryFile("r", suffix=".csv") as file:
        _ab(client, url, seconds, "-k", "-c", "1", "-e", file.name)
        rows = {row[0]: row[1] for row in csv.reader(file)}
    return float(rows["50"]), float(rows["99"])


def request_rate(client: TestHost, url: str, *, seconds: float, keep_alive: bool) -> float:
    """Requests per second, several at once."""
    said = _ab(client, url, seconds, *(["-k"] if keep_alive else []), "-c", str(CONNECTIONS))
    return _number(said, r"Requests per second: +([0-9.]+)")


def object_rate(client: TestHost, url: str, *, seconds: float) -> float:
    """MB per second of large objects."""
    said = _ab(client, url, seconds, "-k", "-c", str(LARGE_CONNECTIONS))
    return _number(said, r"Transfer rate: +([0-9.]+)") * 1024 / 1e6


def _ab(client: TestHost, url: str, seconds: float, *options: str) -> str:
    """-n after -t, which sets it to 50000."""
    argv = ["ab", "-q", "-t", f"{max(1, round(seconds))}", "-n", "2000000", *options, url]
    said = client.run(argv, timeout=60 + 3 * seconds).stdout
    bad = [line for line in said.splitlines() if re.match(r"(Failed requests|Non-2xx responses): +[1-9]", line)]
    if bad or not _number(said, r"Complete requests: +(\d+)"):
        raise BenchFailed(f"{' '.join(argv)}: {'; '.join(bad) or 'no request was answered'}")
    return said


def _number(said: str, pattern: str) -> float:
    if (found := re.search(pattern, said)) is None:
        raise BenchFailed(f"ab did not say '{pattern}': {said[-500:]}")
    return float(found[1])


def stream(source: Path, sink: Path, address: str, *, seconds: float, sink_listens: bool) -> float:
    """MB per second of one TCP connection from namespace to namespace; `address` is that of whoever listens."""
    listens, connects = (sink, source) if sink_listens else (source, sink)
    patience = 20.0 * PATIENCE
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(namespaces.inside(listens, lambda: socket.create_server((address, 0))))
        where = listener.getsockname()[:2]
        caller = stack.enter_context(namespaces.inside(connects, lambda: socket.create_connection(where, patience)))
        listener.settimeout(patience)
        called = stack.enter_context(listener.accept()[0])
        sender, receiver = (caller, called) if sink_listens else (called, caller)
        sender.settimeout(patience)
        receiver.settimeout(patience)
        sending = threading.Thread(target=_send, args=(sender, seconds), name="stream", daemon=True)
        began = time.monotonic()
        sending.start()
        received = _receive(receiver)
        elapsed = time.monotonic() - began
        sending.join()
    return received / elapsed / 1e6


def _send(to: socket.socket, seconds: float) -> None:
    chunk = bytes(_CHUNK)
    end = time.monotonic() + seconds
    with contextlib.suppress(OSError):  # whoever receives says what it got
        while time.monotonic() < end:
            to.sendall(chunk)
        to.shutdown(socket.SHUT_WR)


def _receive(source: socket.socket) -> int:
    buffer = bytearray(_CHUNK)
    total = 0
    while got := source.recv_into(buffer):
        total += got
    return total
