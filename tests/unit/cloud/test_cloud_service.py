import contextlib
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
from running_cloud import make_config

from hydria.base import config, process

PROGRAM = """
import sys
from pathlib import Path
from hydria.base import config, log
from hydria.cloud import service

log.setup()
service.run(config.load(Path(sys.argv[1])))
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_starts_answers_and_stops_on_sigterm(tmp_path: Path):
    settings = make_config(tmp_path / "state", free_port())
    (tmp_path / "hydria.toml").write_text(config.dump(settings))
    program = process.start([sys.executable, "-c", PROGRAM, str(tmp_path / "hydria.toml")])
    try:
        deadline, answer = time.monotonic() + 30, None
        while answer is None:
            assert program.poll() is None
            assert time.monotonic() < deadline
            with contextlib.suppress(httpx.TransportError):
                answer = httpx.get(f"http://127.0.0.1:{settings.cloud.bind_port}/identity/v3")
        assert answer.status_code == 200
        program.send_signal(signal.SIGTERM)
        assert program.wait(timeout=30) == 0
    finally:
        program.kill()
        program.wait()
    assert (tmp_path / "state" / "cloud.db").exists()
