import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from hydria.cli.up import child as child_module
from hydria.cli.up.child import FIRST_DELAY, LONGEST_DELAY, STEADY_SECONDS, Child, how_it_ended


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(tmp_path: Path, clock: Clock, program: str) -> Child:
    return Child("thing", (sys.executable, "-c", program), log_file=tmp_path / "thing.log", clock=clock)


def await_end(child: Child) -> None:
    assert child.wait(10.0)


def test_what_it_says_goes_to_its_log_and_to_our_standard_error(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
):
    child = make(tmp_path, clock, "print('one'); print('two')")
    assert child.tend() is None
    await_end(child)
    assert (tmp_path / "thing.log").read_text() == "one\ntwo\n"
    assert (tmp_path / "thing.log").stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr().err == "thing      | one\nthing      | two\n"


def test_one_that_dies_starts_again_ever_later_and_the_reason_is_logged(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
):
    child = make(tmp_path, clock, "print('no database'); raise SystemExit(3)")
    delays = []
    for _ in range(10):
        assert child.tend() is None
        await_end(child)
        delay = child.tend()
        assert delay is not None
        delays.append(delay)
        clock.now += delay
    assert delays[:3] == pytest.approx([FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY])
    assert delays[-1] == LONGEST_DELAY
    assert child.deaths == 10
    assert 'how="status 3"' in caplog.text
    assert 'last_words="no database"' in caplog.text


def test_one_that_ran_for_long_starts_again_at_once(tmp_path: Path, clock: Clock):
    child = make(tmp_path, clock, "raise SystemExit(1)")
    for _ in range(5):
        child.tend()
        await_end(child)
        clock.now += child.tend() or 0
    child.tend()
    await_end(child)
    clock.now += STEADY_SECONDS
    assert child.tend() == pytest.approx(FIRST_DELAY)
    assert child.deaths == 1


def test_one_that_ignores_sigterm_is_told_apart(tmp_path: Path, clock: Clock):
    ready = tmp_path / "ready"
    deaf = "import signal, pathlib; signal.signal(15, signal.SIG_IGN);"
    child = make(tmp_path, clock, f"{deaf} pathlib.Path({str(ready)!r}).touch(); signal.pause()")
    child.tend()
    deadline = time.monotonic() + 10
    while not ready.exists() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    child.signal(signal.SIGTERM)
    assert not child.wait(0.1)
    child.signal(signal.SIGKILL)
    await_end(child)
    child.signal(signal.SIGKILL)  # nobody there any more


@pytest.mark.parametrize(
    ("status", "text"),
    [pytest.param(3, "status 3", id="status"), pytest.param(-9, "signal SIGKILL", id="signal")],
)
def test_how_it_ended(status: int, text: str):
    assert how_it_ended(status) == text


def test_a_log_never_grows_beyond_its_bound(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(child_module, "LOG_BYTES", 100)
    child = make(tmp_path, clock, "for number in range(100): print(f'line {number:04}')")
    child.tend()
    await_end(child)
    full, current = (tmp_path / "thing.log.1").read_text(), (tmp_path / "thing.log").read_text()
    assert max(len(full), len(current)) <= 100
    assert current.endswith("line 0099\n")
