"""`hydria up` itself: stopping and starting it leaves amphorae serving, and everything as it was."""

import contextlib
import os
import signal
import sys

import pytest

from e2e.scene import Scene, Traffic, children, member
from hydria.base import process
from hydria.cli.demo.stage import await_condition


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_amphorae_serve_while_hydria_up_stops_and_starts(scene: Scene, number: signal.Signals) -> None:
    members = [member("192.0.2.10", scene.subnet("members-subnet"), sriov=True)]
    with scene.balancer("restart", members, flavor_id=scene.flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        before = scene.stage.config, scene.stage.state.clouds.read_text(), scene.vfs_in_use(), scene.agents()
        services = children(scene.stage.pid)
        with Traffic(scene.client, balancer["vip_address"]) as traffic:
            assert scene.stage.stop(number) < 5
            assert not scene.stage.state.ready.exists() or number is signal.SIGKILL
            await_condition("no service is left", lambda: not any(map(alive, services)), 2.0)
            traffic.await_more(50)
            scene.stage.start()
            traffic.await_more(50)
        assert traffic.failures == []
        after = scene.stage.config, scene.stage.state.clouds.read_text(), scene.vfs_in_use(), scene.agents()
        assert after == before
        assert scene.demo.get(f"/loadbalancers/{balancer['id']}")["provisioning_status"] == "ACTIVE"
        assert scene.add_member(balancer, "192.0.2.11", sriov=True)["provisioning_status"] == "ACTIVE"
        assert set(scene.answers(balancer["vip_address"], 6)) == {"backend-a", "backend-b"}


def test_a_second_one_on_the_same_state_directory_refuses(scene: Scene) -> None:
    argv = [sys.executable, "-m", "hydria.cli.main", "up", f"--state-dir={scene.stage.state.root}"]
    done = process.run(argv, check=False)
    assert (done.status, done.stdout) == (1, "")
    assert f"process {scene.stage.pid}" in done.stderr
    assert scene.stage.state.ready.exists()


def test_nothing_secret_is_readable_by_others_or_in_a_command_line(scene: Scene) -> None:
    secrets = [*scene.stage.config.cloud.passwords.values()]
    for path in scene.stage.state.root.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        with contextlib.suppress(FileNotFoundError):
            data = path.read_bytes()
            if any(secret.encode() in data for secret in secrets):
                assert path.stat().st_mode & 0o077 == 0, path
                assert path.suffix != ".log", path
    for pid in children(scene.stage.pid):
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}") as file:  # noqa: PTH123 - a path of /proc
                text = file.read()
            assert not any(secret in text for secret in secrets)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
