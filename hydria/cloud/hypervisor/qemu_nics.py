"""NICs of a QEMU machine: plugged into its spare PCIe ports and unplugged, while it runs or stands paused.

What a NIC is behind (bridge, VF) is its caller's business. A NIC is known by its port's id.
"""

from typing import Any

from hydria.base.errors import Retryable, Terminal
from hydria.cloud.hypervisor.qmp import Event, Monitor, Refused
from hydria.sriov.nics import PciDevice, Tap

PCIE_PORTS = 16
"""NICs that a machine can have: a PCIe port takes one device, and none can be added later (Nova: num_pcie_ports)."""

UNPLUG_TIMEOUT = 10.0
"""Seconds. The guest's kernel has to let go of the device; it takes 0.1 s when it is well."""

PERIPHERAL = "/machine/peripheral"
"""Where QEMU keeps the devices that have an id."""


class NoFreePciePort(Terminal):
    pass


class StillPlugged(Retryable):
    """The guest does not let go of a NIC."""


def pcie_port(number: int) -> str:
    return f"port-{number}"


def attach(monitor: Monitor, nic_id: str, mac: str, device: Tap | PciDevice) -> None:
    """A NIC that the machine has already is left as it is. Raises Refused, NoFreePciePort, and nothing is left then."""
    if has(monitor, nic_id):
        return
    bus = _free_pcie_port(monitor)
    if isinstance(device, PciDevice):
        # The VF has its MAC from its PF.
        monitor.execute("device_add", driver="vfio-pci", id=_device(nic_id), bus=bus, host=device.address)
        return
    _add_netdev(monitor, nic_id, device)
    # romfile: nobody boots from this NIC.
    nic = {"driver": "virtio-net-pci", "id": _device(nic_id), "netdev": _netdev(nic_id), "mac": mac, "romfile": ""}
    try:
        monitor.execute("device_add", bus=bus, **nic)
    except Refused:
        _delete_netdev(monitor, nic_id)
        raise


def _add_netdev(monitor: Monitor, nic_id: str, tap: Tap) -> None:
    _delete_netdev(monitor, nic_id)  # of an attach that was interrupted
    monitor.send(tap.fd)
    monitor.execute("getfd", fdname=_netdev(nic_id))
    try:
        monitor.execute("netdev_add", type="tap", id=_netdev(nic_id), fd=_netdev(nic_id))
    except Refused:
        monitor.execute("closefd", fdname=_netdev(nic_id))
        raise


def has(monitor: Monitor, nic_id: str) -> bool:
    return _device(nic_id) in _devices(monitor)


def detach(monitor: Monitor, nic_id: str, seconds: float = UNPLUG_TIMEOUT) -> None:
    """Returns when the machine has let go of it. May run twice. Raises StillPlugged."""
    if has(monitor, nic_id):
        _unplug(monitor, nic_id, seconds)
    _delete_netdev(monitor, nic_id)


def _unplug(monitor: Monitor, nic_id: str, seconds: float) -> None:
    refusal = ""
    try:
        monitor.execute("device_del", id=_device(nic_id))
    except Refused as error:
        # Asked before, by a call that did not wait long enough: QEMU wants no second request while the first is open.
        refusal = f": {error.message}"
    event = monitor.await_event(lambda event: _is_answer(event, nic_id), seconds)
    if event is not None and event["event"] == "DEVICE_UNPLUG_GUEST_ERROR":
        raise StillPlugged(f"Unplugging NIC {nic_id}: the guest refuses to give it up")
    # The event of an earlier call's request may have come before we listened.
    if event is None and has(monitor, nic_id):
        raise StillPlugged(f"Unplugging NIC {nic_id}: the guest does not give it up within {seconds:g} s{refusal}")


def _is_answer(event: Event, nic_id: str) -> bool:
    names = {"DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR"}
    return event["event"] in names and event["data"].get("device") == _device(nic_id)


def _delete_netdev(monitor: Monitor, nic_id: str) -> None:
    try:
        monitor.execute("netdev_del", id=_netdev(nic_id))
    except Refused as error:
        if not error.not_found:
            raise


def _free_pcie_port(monitor: Monitor) -> str:
    used = {
        monitor.execute("qom-get", path=f"{PERIPHERAL}/{device}", property="parent_bus").rpartition("/")[2]
        for device in _devices(monitor)
    }
    for number in range(PCIE_PORTS):
        if pcie_port(number) not in used:
            return pcie_port(number)
    raise NoFreePciePort(f"Plugging a NIC: all {PCIE_PORTS} PCIe ports of the machine are in use")


def _devices(monitor: Monitor) -> frozenset[str]:
    entries: list[dict[str, Any]] = monitor.execute("qom-list", path=PERIPHERAL)
    return frozenset(entry["name"] for entry in entries if entry["name"].startswith(_device("")))


def _device(nic_id: str) -> str:
    """QEMU's ids begin with a letter."""
    return f"nic-{nic_id}"


def _netdev(nic_id: str) -> str:
    return f"netdev-{nic_id}"
