"""The end-to-end scene whose amphorae are virtual machines, and what of them can be seen from outside."""

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from e2e.scene import BACKENDS, Scene, command_line, insist, pids, type_guide
from hydria.base import process
from hydria.cli.demo import guide
from hydria.cli.demo.client import Client
from hydria.cli.demo.stage import Stage
from hydria.cloud.hypervisor import qmp
from hydria.drivers.amphora_client import HttpsAmphoraClient
from hydria.drivers.certificates import ensure_ca
from hydria.model.spec import Observed
from lab.amphora_image import Built

Json = dict[str, Any]

# Nothing may count as lost or late only because the CPU is emulated.
os.environ.update(
    HYDRIA_CONTROLLER__BOOT_TIMEOUT="300",
    HYDRIA_CONTROLLER__HEARTBEAT_TIMEOUT="60",
    HYDRIA_CONTROLLER__LEASE_SECONDS="30",
)

HOSTS = (guide.HOST,)
VFS = 4


@dataclass(frozen=True)
class VmScene(Scene):
    def upload(self, image: Built, *options: str) -> str:
        """As an operator types it; the new image's id."""
        environment = {"OS_CLIENT_CONFIG_FILE": str(self.stage.state.clouds), "OS_CLOUD": "service"}
        argv = [sys.executable, "-m", "hydria.cli.main", "image", "upload", "--json", str(image.disk), *options]
        return str(json.loads(process.run(argv, timeout=300, environment=environment).stdout)["id"])

    def machines(self) -> dict[int, str]:
        """Process id → command line of every QEMU of this stage."""
        lines = {pid: command_line(pid) for pid in pids()}
        return {
            pid: line
            for pid, line in lines.items()
            if "qemu-system" in line.partition(" ")[0] and str(self.stage.state.root) in line
        }

    def taps(self) -> list[str]:
        """Of normal ports and of VFs, wherever the fabric has them."""
        found = []
        for inside in ((), ("-n", self.stage.fabric)):
            for kind in ("tun", "macvtap"):
                links = process.run(["ip", *inside, "-j", "link", "show", "type", kind]).stdout
                found += [link["ifname"] for link in msgspec.json.decode(links or "[]") if link]
        return found

    def files(self) -> list[str]:
        """What servers have left on disk."""
        return sorted(path.name for path in (self.stage.state.root / "cloud" / "servers").glob("*"))

    def left_over(self) -> Json:
        return {**super().left_over(), "machines": self.machines(), "taps": self.taps(), "files": self.files()}

    def amphora_of(self, balancer: Json) -> Json:
        found = self.admin.call("GET", f"/v2/octavia/amphorae?loadbalancer_id={balancer['id']}")["amphorae"]
        (amphora,) = (one for one in found if one["status"] == "ALLOCATED")
        return dict(amphora)

    @contextlib.contextmanager
    def agents_client(self) -> Iterator[HttpsAmphoraClient]:
        """As the controller calls agents."""
        client = HttpsAmphoraClient(ensure_ca(Path(self.stage.config.certificates.directory)).client_context())
        try:
            yield client
        finally:
            client.close()

    def observed(self, balancer: Json) -> Observed:
        """What the agent in the machine says of it."""
        amphora = self.amphora_of(balancer)
        with self.agents_client() as client:
            return insist(lambda: client.observed(amphora["id"], amphora["lb_network_ip"]))

    def nics(self, balancer: Json) -> dict[str, str]:
        """Interface in the machine → `binding:vnic_type` of the port that has its MAC."""
        ports = self.admin.call("GET", "/v2.0/ports", service="network")["ports"]
        kinds = {port["mac_address"]: port["binding:vnic_type"] for port in ports}
        return {one.name: kinds[one.mac_address] for one in self.observed(balancer).interfaces}


@contextlib.contextmanager
def opened(name: str, image: Built, *, steps: Sequence[guide.Step] = guide.OPERATOR) -> Iterator[VmScene]:
    """A Hydria with the hypervisor `qemu`, the image uploaded, the operator's commands typed."""
    with Stage(f"{name}-{os.getpid()}", host_names=HOSTS, vfs=VFS, hypervisor="qemu") as stage:
        client = stage.add_host("client", "public")
        for backend, address in BACKENDS.items():
            stage.add_host(backend, "members", [address, f"2001:db8:0:c0::{address.rpartition('.')[2]}"]).serve()
        said = type_guide(stage, steps)
        users = {cloud: Client(stage.state.clouds, cloud) for cloud in ("admin", "service", "demo")}
        flavor = users["admin"].named("flavors", guide.FLAVOR)["id"]
        scene = VmScene(stage=stage, client=client, flavor_id=flavor, said=said, **users)
        scene.upload(image)
        yield scene


def reset(scene: VmScene) -> None:
    """As the button of the only machine does it: its system begins anew, its hardware stays as it is."""
    (server_id,) = scene.files()
    with qmp.connected(scene.stage.state.root / "cloud" / "servers" / server_id / "qmp", server_id) as monitor:
        monitor.execute("system_reset")
