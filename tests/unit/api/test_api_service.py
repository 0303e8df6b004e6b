"""The API as a process: it listens when it can answer, and ends soon after SIGTERM."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from hydria.base import process
from hydria.base.config import Api as ApiConfig
from hydria.base.config import Config, Database, Identity, dump

START = "import sys, pathlib; from hydria.api import service; from hydria.base.config import load; "
START += "service.run(load(pathlib.Path(sys.argv[1])))"


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@pytest.fixture(params=[1, 3], ids=["one process", "three"])
def api_process(tmp_path: Path, request: pytest.FixtureRequest):
    port = free_port()
    config = Config(
        database=Database(url=f"sqlite:///{tmp_path}/hydria.db"),
        api=ApiConfig(bind_port=port, processes=request.param),
        identity=Identity(auth_url="http://127.0.0.1:9/identity/v3"),
    )
    path = tmp_path / "hydria.toml"
    path.write_text(dump(config))
    running = process.start([sys.executable, "-W", "error", "-c", START, str(path)], stderr=process.PIPE)
    yield running, port
    with contextlib.suppress(ProcessLookupError):
        running.kill()
    running.wait()
    running.stderr.close()


def wait_until_open(port: int, running: Any):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        threading.Event().wait(0.02)
    pytest.fail(f"port {port} did not open; exit status {running.poll()}")


def test_serves_from_the_moment_its_port_is_open_until_it_is_told_to_stop(api_process: Any):
    running, port = api_process
    wait_until_open(port, running)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        assert client.get("/").json()["versions"][-1]["id"] == "v2.30"
        answer = client.get("/v2/lbaas/pools", headers={"X-Auth-Token": "x"})
        assert answer.status_code == 503  # no identity yet, as while the cloud still starts
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["faultcode"] == "Server"
        running.send_signal(signal.SIGTERM)  # with our connection still open
        assert running.wait(timeout=10) == 0


def children(pid: int):
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ended(pid: int):
    """A zombie has: it waits for nobody but the one who counts it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def listens(pid: int):
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}
    return not listening.isdisjoint(str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir())


def await_that(condition: Callable[[], bool]):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


@pytest.mark.parametrize("api_process", [3], indirect=True)
def test_all_processes_listen(api_process: Any):
    running, port = api_process
    wait_until_open(port, running)
    several = children(running.pid)
    assert len(several) == 3
    await_that(lambda: all(map(listens, several)))


@pytest.mark.parametrize("api_process", [3], indirect=True)
def test_one_that_dies_ends_all(api_process: Any):
    running, port = api_process
    wait_until_open(port, running)
    several = children(running.pid)
    os.kill(several[0], signal.SIGKILL)
    assert running.wait(timeout=10) == 1
    assert f"API process {several[0]} ended with status -9." in running.stderr.read().decode()
    assert all(map(ended, several))


@pytest.mark.parametrize("api_process", [3], indirect=True)
def test_none_outlives_the_first(api_process: Any):
    running, port = api_process
    wait_until_open(port, running)
    several = children(running.pid)
    running.kill()
    running.wait()
    await_that(lambda: all(map(ended, several)))


@pytest.mark.parametrize("api_process", [3], indirect=True)
def test_a_port_is_not_shared_with_another_hydria(api_process: Any, tmp_path: Path):
    running, port = api_process
    wait_until_open(port, running)
    second = process.run([sys.executable, "-c", START, str(tmp_path / "hydria.toml")], check=False)
    assert second.status == 1
    assert f"Listening on 127.0.0.1:{port}: Address already in use." in second.stderr
