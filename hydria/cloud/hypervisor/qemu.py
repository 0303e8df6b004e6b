"""A server is a QEMU process: a virtual machine booted from an image. It outlives this process.

Knows nothing of ports and VFs but what is plugged in by QMP; nothing of images but the files that it is given.
"""

import contextlib
from pathlib import Path

from hydria.cloud.hypervisor import guest, qemu_nics, qmp
from hydria.cloud.hypervisor.guest import Guest
from hydria.sriov.nics import PciDevice, Tap


class Qemu:
    kind = "QEMU"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)

    # -- NICs

    def attach(self, guest_: Guest, server_id: str, nic_id: str, mac: str, device: Tap | PciDevice) -> None:
        """Plug a NIC in; one of that id that the machine has already is left. Raises Retryable, Terminal."""
        if not guest.alive(guest_):
            raise qmp.Gone(f"Plugging NIC {nic_id} into server {server_id}: it does not run")
        with self._monitor(server_id) as monitor:
            qemu_nics.attach(monitor, nic_id, mac, device)

    def has(self, server_id: str, nic_id: str) -> bool:
        """False too when the machine does not run."""
        with contextlib.suppress(qmp.Gone), self._monitor(server_id) as monitor:
            return qemu_nics.has(monitor, nic_id)
        return False

    def detach(self, server_id: str, nic_id: str) -> None:
        """Returns when the machine has it no more, or is gone. May run twice. Raises Retryable while it keeps it."""
        with contextlib.suppress(qmp.Gone), self._monitor(server_id) as monitor:
            qemu_nics.detach(monitor, nic_id)

    def _monitor(self, server_id: str) -> contextlib.AbstractContextManager[qmp.Monitor]:
        return qmp.connected(self._directory / server_id / "qmp", f"Server {server_id}")
