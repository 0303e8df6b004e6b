"""A QEMU machine that stands paused, with PCIe ports for NICs and a monitor: enough to see whether QEMU takes a NIC."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hydria.base import process
from hydria.cloud.hypervisor import guest, qemu_nics, qmp
from hydria.cloud.hypervisor.guest import Guest
from hydria.sriov.nics import PciDevice, Tap

_PORTS = 4
_PROPERTY = {"virtio-net-pci": "mac", "vfio-pci": "host"}


@dataclass(frozen=True)
class PausedMachine:
    """What MachineWiring asks of a hypervisor that has one server."""

    guest: Guest
    socket: Path
    ended: process.Process
    patience: float
    """Seconds in which the guest has to let go of a NIC."""

    def attach(self, guest_: Guest, server_id: str, nic_id: str, mac: str, device: Tap | PciDevice) -> None:
        assert guest_ == self.guest
        with qmp.connected(self.socket, server_id) as monitor:
            qemu_nics.attach(monitor, nic_id, mac, device)

    def has(self, server_id: str, nic_id: str) -> bool:
        with qmp.connected(self.socket, server_id) as monitor:
            return qemu_nics.has(monitor, nic_id)

    def detach(self, server_id: str, nic_id: str) -> None:
        """A paused guest answers no request to let go of a device: where there is one this raises Retryable."""
        with qmp.connected(self.socket, server_id) as monitor:
            qemu_nics.detach(monitor, nic_id, self.patience)

    def nics(self) -> dict[str, tuple[str, str]]:
        """Port's id → driver, and the MAC or the PCI address that it has it from."""
        found = {}
        with qmp.connected(self.socket, "machine") as monitor:
            for entry in monitor.execute("qom-list", path=qemu_nics.PERIPHERAL):
                driver = entry["type"].removeprefix("child<").removesuffix(">")
                if name := _PROPERTY.get(driver):
                    path = f"{qemu_nics.PERIPHERAL}/{entry['name']}"
                    value = monitor.execute("qom-get", path=path, property=name)
                    found[entry["name"].removeprefix("nic-")] = driver, value
        return found

    def execute(self, command: str) -> None:
        with qmp.connected(self.socket, "machine") as monitor:
            monitor.execute(command)

    def end(self) -> None:
        self.ended.kill()
        self.ended.wait()


@contextmanager
def paused_machine(directory: Path, *arguments: str, patience: float = 0.5) -> Iterator[PausedMachine]:
    """`arguments`: more of QEMU's."""
    socket = directory / "qmp"
    with ExitStack() as stack:
        listener = stack.enter_context(qmp.listening(socket))
        argv = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,tb-size=64", "-cpu", "max", "-m", "192M", "-S"]
        argv += ["-nodefaults", "-no-user-config", "-display", "none", *_ports(), *arguments]
        argv += ["-chardev", f"socket,id=qmp,fd={listener.fileno()},server=on,wait=off", "-mon", "qmp,mode=control"]
        log = stack.enter_context((directory / "qemu.log").open("wb"))
        started = process.start(argv, stdout=log.fileno(), stderr=log.fileno(), pass_fds=(listener.fileno(),))
        stack.callback(started.wait)
        stack.callback(started.kill)
        machine = PausedMachine(Guest(started.pid, guest.started_at(started.pid) or 0), socket, started, patience)
        # QEMU answers as soon as it has opened all that it was given.
        machine.nics()
        yield machine


def _ports() -> Sequence[str]:
    names = (qemu_nics.pcie_port(number) for number in range(_PORTS))
    devices = [f"pcie-root-port,id={name},chassis={place},slot={place}" for place, name in enumerate(names, 1)]
    return [word for device in devices for word in ("-device", device)]
