"""What the doctor has seen of a host, whole. The checks know nothing else of it."""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from hydria.sriov.inventory import Pf, VfId
from hydria.sriov.preparation import Device


class Trial(Struct, frozen=True):
    """Something that was tried; `reason` is what came back where it did not work."""

    works: bool
    reason: str = ""


class Nic(Struct, frozen=True, kw_only=True):
    """A NIC that can have VFs."""

    device: Device
    pf: Pf | None = None
    """As the inventory sees it; None: it has no link to ask."""
    persisted: int | None = None
    """How many VFs our udev rules give it at boot."""
    managed: Mapping[str, str] = {}
    """VF's link → the program that configures it, such as NetworkManager."""

    @property
    def name(self) -> str:
        return self.device.netdev or self.device.pci_address


class ConfiguredPf(Struct, frozen=True):
    host: str
    pf: str
    physical_network: str


class Port(Struct, frozen=True, kw_only=True):
    """One that a service listens on."""

    service: str
    address: str
    number: int
    protocol: Literal["tcp", "udp"]
    free: bool
    reason: str = ""
    """Why nobody can listen there, in the kernel's words."""
    holder: str = ""
    """Program and process that listens there."""
    ours: bool = False


class NetworkMtu(Struct, frozen=True):
    name: str
    physical_network: str
    mtu: int


class Entry(Struct, frozen=True):
    """A file or directory that holds secrets."""

    path: str
    mode: int
    uid: int


class Configuration(Struct, frozen=True, kw_only=True):
    path: str
    fabric: Literal["none", "software", "sriov"]
    hypervisor: Literal["namespace", "qemu"] = "namespace"
    pfs: tuple[ConfiguredPf, ...] = ()
    bridges: Mapping[str, str] = {}
    """Physical network → bridge."""
    ports: tuple[Port, ...] = ()
    networks: tuple[NetworkMtu, ...] | None = None
    """None: the cloud's database is not there yet."""
    claimed: frozenset[VfId] | None = None


class Host(Struct, frozen=True, kw_only=True):
    kernel: str
    cpu_vendor: str = ""
    features: Mapping[str, Trial] = {}
    """Of the kernel, under the names of `kernel.FEATURES`."""
    programs: Mapping[str, str | None] = {}
    """Program → what it says of its version; None: it is not there."""
    bubblewrap: Trial = Trial(works=True)
    nftables: Trial = Trial(works=True)
    kvm: Trial = Trial(works=True)
    iommu_groups: int = 0
    vfio_pci: Literal["loaded", "available", "missing"] = "missing"
    clock_synchronised: bool = True
    links: Mapping[str, bool] = {}
    """Of the machine's own namespace: name → whether it is up."""
    nics: tuple[Nic, ...] = ()
    configuration: Configuration | None = None
    state: tuple[Entry, ...] = ()
    """Of the state directory, where one was named."""
