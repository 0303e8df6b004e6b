"""Real virtual machines on a real software fabric, driven by the compute service."""

import base64
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_guest
from test_namespace_hypervisor import ADMIN, Place, until

from hydria.cloud.compute.resources import Server
from hydria.cloud.compute.servers import status
from hydria.cloud.hypervisor import guest
from hydria.fabric.software import SoftwareFabric

pytestmark = pytest.mark.root

PATIENCE = 60.0
"""Seconds; the guest boots in 3 on a quiet machine without KVM."""


class MachinePlace(Place):
    hypervisor = "qemu"

    def __init__(self, directory: Path, fabric: SoftwareFabric, tiny: Path) -> None:
        super().__init__(directory, fabric)
        self._tiny = tiny
        self.images.recover()
        self.upload()

    def upload(self, then: str = "") -> None:
        """What servers are made of from now on."""
        parts = {
            f"{name}_id": self._image(self._tiny / file, format_, format_)
            for name, file, format_ in (("kernel", "vmlinux", "aki"), ("ramdisk", "initramfs", "ari"))
        }
        line = tiny_guest.command_line(then)
        self.image = self._image(self._tiny / "disk.qcow2", "qcow2", "bare", os_command_line=line, **parts)

    def _image(self, path: Path, disk_format: str, container_format: str, **properties: str) -> str:
        form = {"name": path.name, "disk_format": disk_format, "container_format": container_format, **properties}
        image = self.images.create(ADMIN, form)
        with self.images.upload(ADMIN, image.id) as upload:
            upload.write(path.read_bytes())
        return image.id

    def said(self, server: Server, word: str) -> list[str]:
        lines = (line.removeprefix("guest: ") for line in self.console(server).splitlines())
        return [line.removeprefix(word).strip() for line in lines if line.startswith(word)]

    def macs(self, server: Server) -> set[str]:
        """Of its NICs, as the guest saw them last."""
        return set(re.findall(r"[0-9a-f:]{17}", (self.said(server, "nics") or [""])[-1]))

    def ready(self, server: Server, times: int = 1) -> None:
        until(lambda: len(self.said(server, "ready")) >= times, PATIENCE)


@pytest.fixture
def place(tiny: Path, tmp_path: Path, fabric: SoftwareFabric) -> Iterator[MachinePlace]:
    made = MachinePlace(tmp_path, fabric, tiny)
    try:
        yield made
    finally:
        for server in made.compute.servers.all(ADMIN, {}):
            made.compute.servers.delete(ADMIN, server.id)
        until(lambda: not made.compute.servers.all(ADMIN, {}))
        made.close()


def is_clean(place: MachinePlace) -> bool:
    at_home = all(vf.at_home for pf in place.fabric.nics().scan() for vf in pf.vfs)
    return at_home and place.fabric.ports() == frozenset()


def test_life_of_a_server(place: MachinePlace) -> None:
    """One boot and the next, since each takes seconds: what happens to it in between is told by the console."""
    vip, normal = place.port("public"), place.port("members", "normal")
    server = place.boot(vip)
    (management,) = (port for port in place.network.ports_of_device(server.id) if port.id != vip.id)
    until(lambda: place.macs(server) == {management.mac_address, vip.mac_address}, PATIENCE)
    network = json.loads(base64.b64decode(place.said(server, "network_data.json")[0]))
    assert [link["ethernet_mac_address"] for link in network["links"]] == [management.mac_address, vip.mac_address]
    assert [one["ip_address"] for one in network["networks"]] == [management.fixed_ips[0].ip_address]
    assert b'"secret\\"' in base64.b64decode(place.said(server, "user_data")[0])

    # Hot-plug, then another run of the program, which unplugs; the image is not needed any more.
    place.attach(server, normal)
    until(lambda: normal.mac_address in place.macs(server), PATIENCE)
    place.images.delete(ADMIN, place.image or "")
    place.restart()
    assert (place.server(server.id).guest, status(place.server(server.id))) == (server.guest, "ACTIVE")
    place.compute.servers.detach(ADMIN, server.id, normal.id)
    until(lambda: normal.mac_address not in place.macs(server), PATIENCE)

    # The power button, and on again.
    place.compute.servers.stop(ADMIN, server.id)
    until(lambda: status(place.server(server.id)) == "SHUTOFF", PATIENCE)
    assert place.said(server, "power button")
    assert is_clean(place)
    place.compute.servers.start(ADMIN, server.id)
    place.ready(server, times=2)
    assert place.said(server, "written") == ["", "kept"]
    until(lambda: place.macs(server) == {management.mac_address, vip.mac_address}, PATIENCE)

    # Its end, by whatever hand, is noticed.
    again = place.server(server.id)
    assert again.guest is not None
    os.kill(again.guest.pid, signal.SIGKILL)
    until(lambda: status(place.server(server.id)) == "SHUTOFF")
    assert is_clean(place)
    place.compute.servers.delete(ADMIN, server.id)
    until(lambda: not place.compute.hypervisor.servers())
    assert list((place.directory / "servers").iterdir()) == []


def test_server_that_powers_itself_off_is_shut_off(place: MachinePlace) -> None:
    place.upload("poweroff")
    server = place.boot(place.port("public"))
    until(lambda: status(place.server(server.id)) == "SHUTOFF", PATIENCE)
    assert is_clean(place)


def test_server_that_cannot_start_is_an_error_in_qemus_words_and_nothing_runs(place: MachinePlace) -> None:
    place.compute.lifecycle.submit = lambda *_: None  # type: ignore[method-assign]
    server_id = place.create(place.port("public"))
    (place.directory / "servers" / server_id / "kernel").write_text("no kernel")
    del place.compute.lifecycle.submit
    place.compute.lifecycle.build(server_id)
    server = place.server(server_id)
    assert status(server) == "ERROR"
    assert server.fault is not None
    assert "kernel" in server.fault.message
    assert is_clean(place)


def test_restart_while_a_server_is_built_builds_it_once(place: MachinePlace) -> None:
    """The program ends between the start of QEMU and the telling of it."""
    place.compute.lifecycle.submit = lambda *_: None  # type: ignore[method-assign]
    server_id = place.create(place.port("public"))
    placed = place.compute.lifecycle.placement.place(place.server(server_id), {})
    machine = place.compute.lifecycle._machine(placed)
    hypervisor = place.compute.hypervisor
    with hypervisor.booting(machine) as forgotten:
        place.restart()
        until(lambda: status(place.server(server_id)) == "ACTIVE", PATIENCE)
        assert not guest.alive(forgotten)
        server = place.server(server_id)
        place.ready(server)
        os.kill(server.guest.pid, 0)  # type: ignore[union-attr]
