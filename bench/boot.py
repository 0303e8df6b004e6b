"""From power-on to the first answer of the agent in the amphora image, and what takes the time.

Writes docs/benchmarks.md. Each run boots a new machine as the embedded cloud does: its own QEMU arguments, config drive
and management NIC. The answer is that of GET /v1/info with the controller's certificate.
"""

import argparse
import base64
import contextlib
import datetime as dt
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import page
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hydria.base import config
from hydria.base.errors import HydriaError, Retryable
from hydria.cloud.hypervisor.guest import BootImage, Machine, NicFacts
from hydria.cloud.hypervisor.qemu import Qemu
from hydria.drivers.amphora_client import HttpsAmphoraClient
from hydria.drivers.certificates import Authority, ensure_ca
from hydria.drivers.cloud import ServerRequest
from hydria.drivers.openstack_shapes import server_body
from hydria.fabric import management, teardown
from hydria.fabric.ports import MANAGEMENT
from hydria.fabric.software import SoftwareFabric
from hydria.model.spec import PORT, AgentConfig
from lab.amphora_image import Built, build


@dataclass(frozen=True)
class Way:
    """Of booting."""

    name: str
    loads_kernel: bool
    goal: float | None = None
    """Seconds, of an emulated CPU on a quiet machine."""
    appended: str = ""
    """To the kernel's command line."""


WAYS = (
    Way("kernel loaded by QEMU", loads_kernel=True, goal=8.0),
    Way("boot loader on the disk", loads_kernel=False, goal=16.0),
    # Telling costs time itself: so it is a way of its own.
    Way("kernel loaded by QEMU, telling all", loads_kernel=True, appended="loglevel=7 systemd.log_target=kmsg"),
)
MOMENTS = (
    ("the kernel begins", "Linux version "),
    ("the initramfs begins", "Run /init as init process"),
    ("the root is mounted", "mounted filesystem"),
    ("systemd begins", "systemd[1]: systemd "),
    ("the agent's process is started", "hydria-agent.service"),
    ("the config drive is read, the NIC set up", "hydria-config-drive: "),
)
"""What a line of the console tells: moment, and a text that is in it."""
Runs = Mapping[Way, list[dict[str, float]]]
"""Of each: seconds since power-on, by moment."""
FIRST_ANSWER = "the agent answers"
RAM_MIB = 1024
MAC = "fa:16:3e:b0:07:01"
PATIENCE = 180.0
POLL = 0.02


class BootFailed(HydriaError):
    """The agent did not answer; the text holds the console's end."""


@dataclass(frozen=True)
class Place:
    fabric: SoftwareFabric
    qemu: Qemu
    authority: Authority
    address: str
    """Of the machine, with its prefix length."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--image", type=Path, metavar="DIRECTORY", help="of one that is built already")
    parser.add_argument("--no-page", action="store_true", help="print only")
    arguments = parser.parse_args()
    console = Console()
    try:
        with console.status("Building the image ..."):
            image = Built(arguments.image) if arguments.image else build()
        with _place() as place:
            jobs = [way for _ in range(arguments.runs) for way in WAYS]
            runs: dict[Way, list[dict[str, float]]] = {way: [] for way in WAYS}
            for way in track(jobs, "booting", console=console, transient=True):
                runs[way].append(_boot(place, image, way))
    except HydriaError as error:
        sys.exit(f"bench: {error}")
    console.print(_table(place, runs))
    if not arguments.no_page:
        page.insert(_section(place, image, runs))


@contextlib.contextmanager
def _place() -> Iterator[Place]:
    """A fabric of its own with the management network, gone afterwards with the machines on it."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hydria-boot-")))
        prefix = management.pick_management_prefix()
        options = config.Fabric(kind="software", name=f"boot-{os.getpid()}", vfs=1, management_prefix=prefix)
        fabric = SoftwareFabric(options)
        stack.callback(teardown.down, fabric.name)
        fabric.ensure()
        network, _, length = prefix.partition("/")
        address = f"{network.rpartition('.')[0]}.2/{length}"
        yield Place(fabric, Qemu(directory / "servers"), ensure_ca(directory / "certificates"), address)


def _boot(place: Place, image: Built, way: Way) -> dict[str, float]:
    """Seconds since power-on, by moment."""
    machine = _machine(place)
    user_data = _user_data(place.authority, machine.id)
    place.qemu.prepare(machine.id, user_data, _boot_image(image, way))
    with contextlib.ExitStack() as stack:
        stack.callback(place.qemu.remove, machine.id)
        began = time.monotonic()
        with place.qemu.booting(machine) as guest:
            stack.callback(place.qemu.kill, guest)
            (nic,) = machine.nics
            tap = place.fabric.plug_tap(port_id=nic.id, mac=nic.mac, physical_network=MANAGEMENT)
            with contextlib.closing(tap):
                place.qemu.attach(guest, machine.id, nic.id, nic.mac, tap)
            management.introduce(place.fabric.name, nic.mac, nic.addresses)
        return _watch(place, machine.id, began)


def _watch(place: Place, server_id: str, began: float) -> dict[str, float]:
    """Until it answers. All moments are by this machine's clock: also that of a line is when it is on the console."""
    moments: dict[str, float] = {}
    client = HttpsAmphoraClient(place.authority.client_context())
    address, pause = place.address.partition("/")[0], threading.Event()
    try:
        while True:
            said = place.qemu.console(server_id)
            now = time.monotonic() - began
            for moment, text in MOMENTS:
                if text in said:
                    moments.setdefault(moment, now)
            if _answers(client, server_id, address):
                return {**moments, FIRST_ANSWER: time.monotonic() - began}
            if now > PATIENCE:
                raise BootFailed(f"The agent does not answer after {PATIENCE:g} s. The console says: {said[-2000:]}")
            pause.wait(POLL)
    finally:
        client.close()


def _answers(client: HttpsAmphoraClient, amphora_id: str, address: str) -> bool:
    try:
        # What is sent before the machine has its NIC is lost: a try must not cost more than the answer.
        socket.create_connection((address, PORT), POLL).close()
        client.info(amphora_id, address)
    except (OSError, Retryable):
        return False
    return True


def _machine(place: Place) -> Machine:
    nic = NicFacts(str(uuid.uuid4()), MAC, 1500, (place.address,))
    return Machine(str(uuid.uuid4()), "amphora", 1, RAM_MIB, nics=(nic,))


def _boot_image(image: Built, way: Way) -> BootImage:
    if not way.loads_kernel:
        return BootImage(image.disk, "qcow2")
    line = f"{image.facts.command_line} {way.appended}".rstrip()
    return BootImage(image.disk, "qcow2", image.kernel, image.ramdisk, line)


def _user_data(authority: Authority, amphora_id: str) -> bytes:
    """As the controller sends it."""
    agent = AgentConfig(amphora_id=amphora_id, heartbeat_key=authority.heartbeat_key)
    files = {
        "/etc/hydria/agent.json": msgspec.json.encode(agent).decode(),
        agent.certificate: authority.issue(amphora_id, 1).pem,
        agent.ca_certificate: authority.ca_pem,
    }
    request = ServerRequest(name="amphora", flavor="", image_id="", files=files)
    return base64.b64decode(server_body(request)["server"]["user_data"])


def _rows(runs: Runs) -> Iterator[list[str]]:
    for moment in (*(moment for moment, _ in MOMENTS), FIRST_ANSWER):
        yield [moment, *(_cell([run[moment] for run in found if moment in run]) for found in runs.values())]
    yield ["goal where there is no KVM", *(f"{way.goal:g}" if way.goal else "" for way in runs)]


def _cell(seconds: list[float]) -> str:
    if not seconds:
        return ""
    return f"{statistics.median(seconds):.1f} ({min(seconds):.1f}-{max(seconds):.1f})"


def _about(place: Place, runs: Runs) -> str:
    return f"{len(next(iter(runs.values())))} boots each way, in turn, {_accelerator(place)}: median (min-max)"


def _table(place: Place, runs: Runs) -> Table:
    table = Table("seconds since power-on", *(way.name for way in runs), title=_about(place, runs))
    for row in _rows(runs):
        table.add_row(*row)
    return table


def _section(place: Place, image: Built, runs: Runs) -> str:
    facts, megabytes = image.facts, image.disk.stat().st_size / 1e6
    lines = [
        f"\n## Boot of the amphora image, {dt.datetime.now(dt.UTC):%Y-%m-%d}\n",
        f"{page.machine()}; image of {megabytes:.0f} MB, built in {image.seconds:.0f} s; Linux {facts.kernel}; 1 vCPU,",
        f"{RAM_MIB} MiB. {_about(place, runs)}. A kernel that tells all on the serial console is the slower for it.\n",
        f"| seconds since power-on | {' | '.join(way.name for way in runs)} |",
        f"|---|{'---|' * len(runs)}",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in _rows(runs))]) + "\n"


def _accelerator(place: Place) -> str:
    return "KVM" if place.qemu.accelerator == "kvm" else "QEMU's TCG (no KVM)"


if __name__ == "__main__":
    main()
