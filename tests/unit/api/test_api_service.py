"""The API as a process: it listens when it can answer, and ends soon after SIGTERM."""

import contextlib
import signal
import socket
import sys
import threading
import time
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


@pytest.fixture
def api_process(tmp_path: Path):
    port = free_port()
    config = Config(
        database=Database(url=f"sqlite:///{tmp_path}/hydria.db"),
        api=ApiConfig(bind_port=port),
        identity=Identity(auth_url="http://127.0.0.1:9/identity/v3"),
    )
    path = tmp_path / "hydria.toml"
    path.write_text(dump(config))
    running = process.start([sys.executable, "-W", "error", "-c", START, str(path)])
    yield running, port
    with contextlib.suppress(ProcessLookupError):
        running.kill()
    running.wait()


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
