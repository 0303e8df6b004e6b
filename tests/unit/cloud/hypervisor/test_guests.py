"""Guests' processes: known again, killed, watched; and their limits."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hydria.base import process
from hydria.base.errors import Terminal
from hydria.cloud.hypervisor import cgroup, guest
from hydria.cloud.hypervisor.guest import Guest, Machine
from hydria.cloud.hypervisor.watcher import Watcher

MACHINE = Machine("s1", "amphora-1", 2, 64)


@pytest.fixture
def child() -> Iterator[tuple[Guest, process.Process]]:
    started = process.start(["sleep", "infinity"])
    yield Guest(started.pid, guest.started_at(started.pid) or 0), started
    started.kill()
    started.wait()


def test_alive_until_killed(child: tuple[Guest, process.Process]):
    one, _ = child
    assert guest.alive(one)
    guest.kill(one)
    assert not guest.alive(one), "its zombie does not count"
    guest.kill(one)


def test_another_process_of_the_same_number_is_left_alone(child: tuple[Guest, process.Process]):
    one, started = child
    other = Guest(one.pid, one.started - 1)
    assert not guest.alive(other)
    guest.kill(other)
    assert started.poll() is None


def test_watcher_tells_once_of_each_end(child: tuple[Guest, process.Process]):
    told, event = [], threading.Event()

    def ended(server_id: str, one: Guest) -> None:
        told.append((server_id, one))
        event.set()
        raise RuntimeError("one server's trouble")

    watcher = Watcher(ended)
    watcher.start()
    with contextlib.closing(watcher):
        one, started = child
        watcher.watch("s1", one)
        assert not event.wait(0.05)
        started.kill()
        assert event.wait(1.0)
        event.clear()
        watcher.watch("s2", one)
        assert event.wait(1.0)
    assert told == [("s1", one), ("s2", one)]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Looks like the top of a cgroup v2 hierarchy."""
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    cgroup.parent.cache_clear()
    yield tmp_path
    cgroup.parent.cache_clear()


def test_limits_are_the_flavors(root: Path):
    for _ in range(2):
        cgroup.limit(MACHINE, Guest(77, 1))
    own = root / "hydria" / "s1"
    assert {path.name: path.read_text() for path in own.iterdir()} == {
        "memory.max": "67108864",
        "cpu.max": "200000 100000",
        "pids.max": "4096",
        "cgroup.procs": "77",
    }
    assert (root / "hydria" / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"


def test_refused_limits_are_said(root: Path):
    assert cgroup.parent() == root / "hydria"
    (root / "hydria" / "s1").write_text("in the way")
    with pytest.raises(Terminal, match="Limiting server s1"):
        cgroup.limit(MACHINE, Guest(77, 1))


def test_without_controllers_there_are_no_limits(root: Path):
    (root / "cgroup.controllers").write_text("cpuset")
    cgroup.limit(MACHINE, Guest(77, 1))
    cgroup.remove("s1")
    assert not (root / "hydria").exists()
