"""Loads the kernel modules of devices that nothing has a driver for yet. Early in a boot there is no udev to do it."""

from pathlib import Path

BUSES = Path("/sys/bus")
STORAGE, NETWORK = "0x01", "0x02"
"""Base classes of PCI devices."""
_DISKS = ("sd_mod", "sr_mod")
"""Loaded before the controllers': then their drivers see the disks while these are found, and we need not wait."""


def without_driver(pci_class: str, buses: Path = BUSES) -> list[str]:
    """Module aliases. Of virtio devices all: their bus tells no class."""
    devices = [*(buses / "pci/devices").glob("*"), *(buses / "virtio/devices").glob("*")]
    return sorted(
        (device / "modalias").read_text().strip()
        for device in devices
        if not (device / "driver").exists() and _is_of(device / "class", pci_class)
    )


def _is_of(told: Path, pci_class: str) -> bool:
    return not told.exists() or told.read_text().startswith(pci_class)


def load(pci_class: str) -> bool:
    """False: all have theirs. Returns when the modules have looked at their devices."""
    aliases = without_driver(pci_class)
    if aliases:
        # Imported here because most boots do not come by, and each import delays all of them.
        from hydria.base import process  # noqa: PLC0415

        process.run(["modprobe", "-a", "-q", *(_DISKS if pci_class == STORAGE else ()), *aliases], check=False)
    return bool(aliases)
