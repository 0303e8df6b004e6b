"""The PFs of this machine as the commands see them: those with a link as the NICs say, those without as sysfs does."""

from collections.abc import Mapping
from pathlib import Path

from hydria.base.config import Config, load
from hydria.base.errors import NotFound
from hydria.sriov import preparation
from hydria.sriov.hardware import host_pfs
from hydria.sriov.inventory import Pf, Vf
from hydria.sriov.preparation import Device


def configured(path: Path | None) -> Config:
    """Without a file, defaults: no PF is on a physical network then."""
    return load(path)


def physical_networks(config: Config) -> dict[str, str]:
    """PF name → physical network, of all hosts; a fabric of software PFs says nothing of this machine's own."""
    if config.fabric.kind == "software":
        return {}
    return {pf: network for host in config.cloud.hosts for pf, network in host.pfs.items()}


def pfs(networks: Mapping[str, str]) -> tuple[Pf, ...]:
    seen = host_pfs(networks)
    addresses = {pf.pci_address for pf in seen}
    return (*seen, *(bare(device) for device in preparation.devices() if device.pci_address not in addresses))


def bare(device: Device) -> Pf:
    """One without a driver: there is nothing to ask but sysfs. Its name is its PCI address."""
    return Pf(
        name=device.netdev or device.pci_address,
        physical_network="",
        driver=device.driver or "",
        pci_address=device.pci_address,
        link_up=False,
        totalvfs=device.totalvfs,
    )


def pf_of(device: Device, found: tuple[Pf, ...]) -> Pf:
    return next((pf for pf in found if pf.pci_address == device.pci_address), bare(device))


def vf_named(name: str, found: tuple[Pf, ...]) -> tuple[Vf, Pf] | None:
    """By PF/INDEX, by PCI address or by the name of its link."""
    vfs = ((vf, pf) for pf in found for vf in pf.vfs)
    return next(((vf, pf) for vf, pf in vfs if name in {str(vf.id), vf.pci_address, vf.netdev}), None)


def pf_named(name: str, found: tuple[Pf, ...]) -> Pf:
    """Raises what `preparation.find` raises, NotFound where it is no PF of `found`."""
    device = preparation.find(name)
    pf = next((pf for pf in found if pf.pci_address == device.pci_address), None)
    if pf is None:
        raise NotFound(f"PF {device} has gone away.")
    return pf
