"""Hosts and their PFs as the Placement API sees them: providers with inventories, traits and allocations. Pure."""

import re
import uuid
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from hydria.cloud.compute.capacity import HostCapacity, PfCapacity
from hydria.cloud.compute.resources import Server
from hydria.cloud.compute.views import HOST_IDS, hypervisor_id

VFS = "SRIOV_NET_VF"
"""Nova's standard resource class."""

UNLIMITED_RATIO = 9999.0
"""The scheduler never refuses a server for want of CPU, memory or disk. Placement has no word for "no limit"; a
ratio that nobody reaches means it, and the trait says it."""

OVERCOMMIT = "CUSTOM_HYDRIA_NO_CPU_MEMORY_DISK_LIMIT"

MAX_UNIT = 2**31 - 1
"""Placement's largest integer."""


class Inventory(Struct, frozen=True, kw_only=True):
    total: int
    reserved: int = 0
    min_unit: int = 1
    max_unit: int
    step_size: int = 1
    allocation_ratio: float = 1.0

    @property
    def capacity(self) -> int:
        return int((self.total - self.reserved) * self.allocation_ratio)


@dataclass(frozen=True)
class Provider:
    uuid: str
    name: str
    root: str
    parent: str | None = None
    inventories: Mapping[str, Inventory] = field(default_factory=dict)
    traits: tuple[str, ...] = ()
    aggregates: tuple[str, ...] = ()
    allocations: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Consumer (server) → resource class → amount."""

    @property
    def usages(self) -> dict[str, int]:
        """Of each class that there is an inventory of, as Placement shows it."""
        amounts = self.allocations.values()
        return {name: sum(amount.get(name, 0) for amount in amounts) for name in sorted(self.inventories)}

    @property
    def generation(self) -> int:
        """Another one whenever something of the provider changed."""
        state = (self.name, self.parent, dict(self.inventories), self.traits, self.aggregates, dict(self.allocations))
        return zlib.crc32(msgspec.json.encode(state)) >> 1

    def has(self, resource_class: str, amount: int) -> bool:
        inventory = self.inventories.get(resource_class)
        return inventory is not None and inventory.capacity - self.usages[resource_class] >= amount


@dataclass(frozen=True)
class MachineResources:
    cpus: int
    memory_mb: int
    disk_gb: int


def of_hosts(
    hosts: Sequence[HostCapacity], machine: MachineResources, aggregates: Mapping[str, Sequence[str]]
) -> tuple[Provider, ...]:
    """One provider per host, followed by one child per PF. `aggregates`: host → UUIDs."""
    found: list[Provider] = []
    for host in hosts:
        root = _host(host, machine, tuple(sorted(aggregates.get(host.name, ()))))
        found += [root, *(_pf(host, one, root) for one in host.pfs)]
    return tuple(found)


def _host(host: HostCapacity, machine: MachineResources, aggregates: tuple[str, ...]) -> Provider:
    id_ = hypervisor_id(host.name)
    totals = {"DISK_GB": machine.disk_gb, "MEMORY_MB": machine.memory_mb, "VCPU": machine.cpus}
    inventories = {
        name: Inventory(total=total, max_unit=MAX_UNIT, allocation_ratio=UNLIMITED_RATIO)
        for name, total in totals.items()
        if total
    }
    allocations = {server.id: amounts for server in host.servers if (amounts := _flavor(server))}
    return Provider(id_, host.name, id_, None, inventories, (OVERCOMMIT,), aggregates, allocations)


def _flavor(server: Server) -> dict[str, int]:
    amounts = {"DISK_GB": server.flavor.disk, "MEMORY_MB": server.flavor.ram, "VCPU": server.flavor.vcpus}
    return {name: amount for name, amount in amounts.items() if amount}


def _pf(host: HostCapacity, one: PfCapacity, root: Provider) -> Provider:
    inventories = {}
    if one.total:
        reserved = one.total - one.count("claimed") - one.usable
        inventories[VFS] = Inventory(total=one.total, reserved=reserved, max_unit=one.total)
    allocations: dict[str, dict[str, int]] = {}
    for vf in one.states:
        if claim := host.claim(vf):
            amounts = allocations.setdefault(claim.server_id, {VFS: 0})
            amounts[VFS] += 1
    physnet = (physnet_trait(one.pf.physical_network),) if one.pf.physical_network else ()
    return Provider(
        uuid=str(uuid.uuid5(HOST_IDS, f"pf/{host.name}/{one.pf.name}")),
        name=f"{host.name}:{one.pf.name}",
        root=root.uuid,
        parent=root.uuid,
        inventories=inventories,
        traits=tuple(sorted((*physnet, "CUSTOM_VNIC_TYPE_DIRECT", "HW_NIC_SRIOV"))),
        allocations=allocations,
    )


def physnet_trait(physical_network: str) -> str:
    """As Neutron names it.

    >>> physnet_trait("data-centre.2")
    'CUSTOM_PHYSNET_DATA_CENTRE_2'
    """
    return "CUSTOM_PHYSNET_" + re.sub(r"[^0-9A-Z]+", "_", physical_network.upper())
