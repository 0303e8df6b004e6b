import os

import pytest

from hydria.base import process


def test_what_it_prints_comes_back():
    done = process.run(["sh", "-c", "cat; echo oops >&2"], stdin="hello")
    assert (done.status, done.stdout, done.stderr) == (0, "hello", "oops\n")


def test_the_environment_is_added_to_ours():
    done = process.run(["sh", "-c", "echo $FIRST $HOME"], environment={"FIRST": "1"})
    assert done.stdout.split() == ["1", os.environ["HOME"]]


@pytest.mark.parametrize(
    ("argv", "timeout", "status", "says"),
    [
        pytest.param(["sh", "-c", "echo why >&2; exit 3"], 5.0, 3, "ended with status 3: why", id="status"),
        pytest.param(["/nonexistent/program"], 5.0, 127, "No such file", id="no such program"),
        pytest.param(["tail", "-f", "/dev/null"], 0.05, None, "did not end in time", id="time-out"),
    ],
)
def test_failure_says_why(argv: list[str], timeout: float, status: int | None, says: str):
    with pytest.raises(process.ProcessFailed, match=says) as error:
        process.run(argv, timeout=timeout)
    assert error.value.status == status


def test_without_check_the_status_is_returned():
    assert process.run(["sh", "-c", "exit 4"], check=False).status == 4


def test_a_started_program_can_be_its_own_session():
    child = process.start(["sh", "-c", "read line"], stdin=process.PIPE, new_session=True)
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    child.communicate(b"\n")
