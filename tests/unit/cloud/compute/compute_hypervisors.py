"""Hypervisors in memory, for containers and for virtual machines: a guest is a sleeping process, files are names."""

import contextlib
import os
from collections.abc import Iterator, Mapping

from compute_fakes import Points

from hydria.base import cloud_config, process
from hydria.base.errors import Retryable, Terminal
from hydria.cloud.hypervisor import guest
from hydria.cloud.hypervisor.guest import BootImage, Guest, Machine
from hydria.sriov.nics import PciDevice, Tap


class FakeHypervisor:
    kind = "fake"
    version = 1
    boots_images = False

    def __init__(self, points: Points) -> None:
        self._points = points
        self.files: dict[str, bytes] = {}
        self.processes: dict[Guest, process.Process] = {}
        self.machines: dict[Guest, Machine] = {}
        self.fail: str | None = None
        self.cpus: dict[int, frozenset[int]] = {0: frozenset({0, 1})}
        self.pinned: dict[Guest, int] = {}

    def prepare(self, server_id: str, user_data: bytes, image: BootImage | None = None) -> None:  # noqa: ARG002
        self._points.pass_()
        cloud_config.files(user_data)
        self.files[server_id] = user_data
        self._points.pass_()

    @contextlib.contextmanager
    def booting(self, machine: Machine) -> Iterator[Guest]:
        self._points.pass_()
        if self.fail:
            raise Retryable(self.fail)
        assert machine.id in self.files
        started = process.start(["sleep", "infinity"])
        child = Guest(started.pid, guest.started_at(started.pid) or 0)
        self.processes[child] = started
        self.machines[child] = machine
        try:
            self._points.pass_()
            yield child
            self._points.pass_()
        except BaseException:
            self._end(child)
            raise

    def _end(self, child: Guest) -> None:
        guest.kill(child)
        if started := self.processes.pop(child, None):
            started.wait()

    def nodes(self) -> Mapping[int, frozenset[int]]:
        return self.cpus

    def pin(self, child: Guest, node: int) -> None:
        assert guest.alive(child)
        self.pinned[child] = node

    def shut_down(self, child: Guest, server_id: str) -> None:
        self._points.pass_()
        assert server_id in self.files
        assert child in self.processes or not guest.alive(child)

    def kill(self, child: Guest) -> None:
        self._points.pass_()
        self._end(child)
        self._points.pass_()

    def remove(self, server_id: str) -> None:
        self._points.pass_()
        self.files.pop(server_id, None)

    def servers(self) -> frozenset[str]:
        return frozenset(self.files)

    def console(self, server_id: str, lines: int | None = None) -> str:
        text = ["booted\n", f"{server_id}\n"]
        return "".join(text if lines is None else text[-lines:])


class FakeMachines(FakeHypervisor):
    """Its guests have NICs of their own, as virtual machines have: a backend, then a device on it."""

    def __init__(self, points: Points, opened: set[str]) -> None:
        super().__init__(points)
        self._opened = opened
        self.backends: dict[tuple[str, str], Tap | PciDevice] = {}
        self.devices: dict[tuple[str, str], str] = {}
        """Server's id, NIC's id → its MAC."""
        self.stubborn: set[str] = set()
        """NICs that their guest does not let go of."""
        self.refused: set[str] = set()
        """NICs for which the machine has no place."""

    def attach(self, guest_: Guest, server_id: str, nic_id: str, mac: str, device: Tap | PciDevice) -> None:
        self._points.pass_()
        if not guest.alive(guest_):
            raise Retryable(f"server {server_id} is gone")
        if self.has(server_id, nic_id):
            return
        if nic_id in self.refused:
            raise Terminal(f"server {server_id} has no place for NIC {nic_id}")
        nic = (server_id, nic_id)
        assert nic not in self.backends, "a half of it is left"
        if isinstance(device, PciDevice):
            self._opened.add(device.address)
            self.backends[nic] = device
        else:
            self.backends[nic] = Tap(os.dup(device.fd))
        self._points.pass_()
        self.devices[nic] = mac
        self._points.pass_()

    def has(self, server_id: str, nic_id: str) -> bool:
        return (server_id, nic_id) in self.devices

    def detach(self, server_id: str, nic_id: str) -> None:
        self._points.pass_()
        if nic_id in self.stubborn and self.has(server_id, nic_id):
            raise Retryable(f"Unplugging NIC {nic_id}: the guest does not let go of it")
        self._drop((server_id, nic_id))
        self._points.pass_()

    def _drop(self, nic: tuple[str, str]) -> None:
        self.devices.pop(nic, None)
        backend = self.backends.pop(nic, None)
        if isinstance(backend, PciDevice):
            self._opened.discard(backend.address)
        elif backend is not None:
            backend.close()

    def _end(self, child: Guest) -> None:
        super()._end(child)
        if machine := self.machines.pop(child, None):
            for nic in [nic for nic in self.backends if nic[0] == machine.id]:
                self._drop(nic)
