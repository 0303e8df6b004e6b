"""Amphorae are brought onto a newer image, which boots by the boot loader on its disk. Last: it stays the newest."""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from e2e.scene import member
from hydria.base import process
from image.vm_scene import VmScene
from lab.amphora_image import Built

CLUSTER = 65536


def test_rolling_upgrade(scene: VmScene, built: Built, tmp_path: Path) -> None:
    members = [member("192.0.2.10", scene.subnet("members-subnet"), sriov=True)]
    with scene.balancer("upgraded", members, flavor_id=scene.flavor_id) as balancer:
        old = scene.amphora_of(balancer)
        newer = scene.upload(another(built, tmp_path))
        assert newer != old["image_id"]
        assert [one["id"] for one in amphora(scene, "list", "--outdated", "--json")] == [old["id"]]
        amphora(scene, "failover", "--outdated", "--at-a-time", "1", "--yes")
        scene.demo.await_active(balancer["id"], seconds=60)
        assert amphora(scene, "list", "--outdated", "--json") == []
        assert scene.amphora_of(balancer)["image_id"] == newer
        scene.await_answer(balancer["vip_address"], seconds=30)
        assert scene.answers(balancer["vip_address"], 3) == {"backend-a": 3}
    scene.await_nothing_left()


def another(built: Built, directory: Path) -> Built:
    """The same machine in another file, without the kernel beside it."""
    copy = Built(directory)
    shutil.copyfile(built.disk, copy.disk)
    os.truncate(copy.disk, copy.disk.stat().st_size + CLUSTER)
    return copy


def amphora(scene: VmScene, *arguments: str) -> Any:
    """What `hydria amphora` prints, as JSON where it prints any."""
    argv = [sys.executable, "-m", "hydria.cli.main", "amphora", *arguments]
    environment = {"OS_CLIENT_CONFIG_FILE": str(scene.stage.state.clouds), "OS_CLOUD": "admin"}
    done = process.run(argv, environment=environment, timeout=600)
    return json.loads(done.stdout) if "--json" in arguments else done.stdout
