import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from hydria.base.errors import HydriaError
from hydria.cli.up.child import Child
from hydria.cli.up.supervisor import supervise

OBEDIENT = "import time; print('up', flush=True); time.sleep(60)"


def make(tmp_path: Path, name: str, program: str) -> Child:
    return Child(name, (sys.executable, "-c", program), log_file=tmp_path / f"{name}.log", clock=time.monotonic)


def await_log(path: Path, text: str, *, times: int = 1) -> None:
    deadline = time.monotonic() + 10
    while not (path.exists() and path.read_text().count(text) >= times):
        assert time.monotonic() < deadline, f"{path} does not say {text!r}"
        threading.Event().wait(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_stops_every_child(tmp_path: Path, number: signal.Signals):
    children = [make(tmp_path, name, OBEDIENT) for name in ("a", "b")]
    pids: list[int] = []

    def prepare() -> None:
        for child in children:
            await_log(tmp_path / f"{child.name}.log", "up")
            assert child.pid is not None
            pids.append(child.pid)
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    supervise(children, prepare)
    assert len(pids) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    assert signal.getsignal(number) is before


def test_a_killed_child_is_started_again(tmp_path: Path):
    child = make(tmp_path, "a", OBEDIENT)

    def prepare() -> None:
        await_log(tmp_path / "a.log", "up")
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        await_log(tmp_path / "a.log", "up", times=2)
        os.kill(os.getpid(), signal.SIGTERM)

    supervise([child], prepare)
    assert child.deaths == 1


def test_a_failed_preparation_stops_every_child_and_is_told(tmp_path: Path):
    child = make(tmp_path, "a", OBEDIENT)

    def prepare() -> None:
        await_log(tmp_path / "a.log", "up")
        raise HydriaError("the cloud says no")

    with pytest.raises(HydriaError, match="the cloud says no"):
        supervise([child], prepare)
    assert child.wait(0)
