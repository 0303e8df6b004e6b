"""NICs of virtual machines: what NICs and fabric have for one is given to its hypervisor, which plugs it in."""

import contextlib
from typing import Protocol, runtime_checkable

from hydria.base import log
from hydria.base.errors import HydriaError
from hydria.cloud.compute.wiring import Fabric, NamespaceWiring, Nic, Wiring, holder_of, settings_of
from hydria.cloud.hypervisor.guest import Guest
from hydria.sriov.inventory import VfId
from hydria.sriov.nics import Nics, PciDevice, Tap

logger = log.Logger(__name__)


@runtime_checkable
class Machines(Protocol):
    """A hypervisor whose guests have NICs of their own, known by the ids of their ports."""

    def attach(self, guest_: Guest, server_id: str, nic_id: str, mac: str, device: Tap | PciDevice) -> None:
        """May run twice. What the machine needs of `device` it keeps open itself."""

    def has(self, server_id: str, nic_id: str) -> bool: ...

    def detach(self, server_id: str, nic_id: str) -> None:
        """Returns when the machine has let go of it, or is gone. May run twice. Raises Retryable while it has it."""


class MachineWiring(Wiring):
    def __init__(self, nics: Nics, fabric: Fabric, machines: Machines) -> None:
        super().__init__(nics, fabric)
        self._machines = machines

    def plug(self, nic: Nic, *, server_id: str, child: Guest) -> None:
        if self._machines.has(server_id, nic.port_id):
            self.set_anew(nic, server_id=server_id, child=child)
        else:
            self._plug(nic, server_id, child)
        if nic.addresses:
            # The guest gives itself its addresses: they are on its config drive.
            self._fabric.introduce(mac=nic.mac, addresses=nic.addresses)

    def _plug(self, nic: Nic, server_id: str, child: Guest) -> None:
        with contextlib.ExitStack() as undo:
            undo.callback(self._undo, nic, server_id)
            # The half of a NIC that an interrupted attempt left in the machine still has its macvtap or tap open.
            self._machines.detach(server_id, nic.port_id)
            with contextlib.closing(self._device(nic)) as device:
                self._machines.attach(child, server_id, nic.port_id, nic.mac, device)
            undo.pop_all()

    def _device(self, nic: Nic) -> Tap | PciDevice:
        if nic.vf is not None:
            return self._nics.hand_over_to_machine(nic.vf, settings_of(nic), holder=holder_of(nic))
        return self._fabric.plug_tap(
            port_id=nic.port_id, mac=nic.mac, physical_network=nic.physical_network, mtu=nic.mtu, vlan=nic.vlan
        )

    def _undo(self, nic: Nic, server_id: str) -> None:
        try:
            self.unplug(nic.port_id, nic.vf, server_id=server_id)
        except HydriaError as error:
            # A VF without a claim is taken back later. What went wrong first is what the caller should hear.
            logger.warning("NIC is not unplugged", port_id=nic.port_id, reason=error.message)

    def set_anew(self, nic: Nic, *, server_id: str, child: Guest) -> None:  # noqa: ARG002 - the VF's PF is asked
        if nic.vf is not None:
            self._nics.adjust(nic.vf, settings_of(nic), holder=holder_of(nic))

    def unplug(self, port_id: str, vf: VfId | None, *, server_id: str) -> None:
        # In this order: the kernel would wait for a machine that has a VF open, for good and not to be killed.
        self._machines.detach(server_id, port_id)
        self._take(port_id, vf)


def wiring_of(hypervisor: object, nics: Nics, fabric: Fabric) -> Wiring:
    """As the hypervisor's guests need it."""
    if isinstance(hypervisor, Machines):
        return MachineWiring(nics, fabric, hypervisor)
    return NamespaceWiring(nics, fabric)
