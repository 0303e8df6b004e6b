"""`hydria fabric` as people type it."""

import os
import signal
import sys
from collections.abc import Iterator

import pytest
from machine import ip, look, new_name

from hydria.base import process
from hydria.fabric import management, teardown
from hydria.sriov import namespaces

pytestmark = pytest.mark.root


def hydria(*words: str, check: bool = True) -> process.Completed:
    return process.run([sys.executable, "-m", "hydria.cli.fabric", *words], check=check)


@pytest.fixture
def name(machine: None) -> Iterator[str]:  # noqa: ARG001 - it is built on it
    name = new_name()
    try:
        hydria("up", "--name", name, "--vfs", "2", "--network", "public")
        yield name
    finally:
        teardown.down(name)


def test_up_and_down(name: str) -> None:
    again = hydria("up", "--name", name, "--vfs", "2", "--network", "public").stdout
    assert again == f"Fabric {name} is up, management prefix 198.18.0.0/20.\n"
    row = next(line for line in hydria("list").stdout.splitlines() if name in line)
    assert "hy-mgmt0" in row
    assert "198.18.0.0/20" in row
    shown = hydria("show", "--fabric", name).stdout
    assert "pf-public" in shown
    removed = hydria("down", "--fabric", name).stdout.splitlines()
    assert f"removed namespace {name}" in removed
    assert "removed interface hy-mgmt0" in removed
    assert hydria("down", "--fabric", name).stdout == "There was nothing to remove.\n"
    assert "hy-mgmt" not in look()["addr"]


def test_host_runs_a_command_and_stays(name: str) -> None:
    client, server = new_name(), new_name()
    assert (
        "203.0.113.10/24"
        in hydria("add-host", server, "--network", "public", "--address", "203.0.113.10", "--fabric", name).stdout
    )
    argv = ("add-host", client, "--network", "public", "--fabric", name, "--")
    assert "1 received" in hydria(*argv, "ping", "-c", "1", "203.0.113.10").stdout
    assert hydria(*argv, "sh", "-c", "exit 7", check=False).status == 7
    assert hydria(*argv, "sh", "-c", "kill -KILL $$", check=False).status == 128 + signal.SIGKILL
    assert "203.0.113.254" in ip(f"-n {client} addr")
    hydria("remove-host", client, "--fabric", name)
    assert not namespaces.named(client).exists()
    gone = hydria("remove-host", client, "--fabric", name, check=False)
    assert (gone.status, gone.stderr) == (1, f"hydria fabric: Host {client} not found.\n")


def test_host_of_one_command_goes_with_it(name: str) -> None:
    client = new_name()
    argv = ("add-host", client, "--network", "public", "--fabric", name, "--rm", "--", "sh", "-c")
    assert hydria(*argv, "exit 3", check=False).status == 3
    assert not namespaces.named(client).exists()
    # A signal to us reaches the command, and the host goes all the same.
    child = process.start(
        [sys.executable, "-m", "hydria.cli.fabric", *argv, "echo ready; exec sleep 600"], stdout=process.PIPE
    )
    assert child.stdout is not None
    with child.stdout:
        assert child.stdout.readline() == b"ready\n"
        os.kill(child.pid, signal.SIGTERM)
        assert child.wait(20) == 128 + signal.SIGTERM
    assert not namespaces.named(client).exists()


def test_down_finds_what_is_left_without_the_namespace(name: str) -> None:
    hydria("add-host", client := new_name(), "--network", "public", "--fabric", name)
    ip(f"netns delete {name}")
    assert name in teardown.remains()
    assert f"removed host {client}" in hydria("down", "--fabric", name).stdout
    assert not namespaces.named(client).exists()
    assert management.fabrics() == set()


@pytest.mark.usefixtures("machine")
def test_unknown_fabric() -> None:
    name = new_name()
    answer = hydria("show", "--fabric", name, check=False)
    assert (answer.status, answer.stderr) == (1, f"hydria fabric: Fabric {name} not found.\n")
