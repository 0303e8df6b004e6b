"""`hydria image list` beside running amphorae: which image they boot from, and how many do."""

import json
import sys
from pathlib import Path

from e2e.scene import Scene
from hydria.base import process


def listed(scene: Scene, cloud: str) -> process.Completed:
    program = str(Path(sys.executable).with_name("hydria"))
    environment = {"OS_CLIENT_CONFIG_FILE": str(scene.stage.state.clouds), "OS_CLOUD": cloud}
    return process.run([program, "image", "list", "--json"], environment=environment)


def test_amphorae_are_counted_by_their_image(scene: Scene) -> None:
    (before,) = json.loads(listed(scene, "admin").stdout)
    with scene.balancer("counted"):
        (image,) = json.loads(listed(scene, "admin").stdout)
        assert (image["name"], image["current"]) == ("amphora-namespace", True)
        assert image["amphorae"] == before["amphorae"] + 1
        # Only operators see amphorae.
        (its,) = json.loads(listed(scene, "demo").stdout)
        assert its["amphorae"] is None
