"""The PFs and VFs of the machine as they are now, from sysfs, netlink, devlink and our records. Changes nothing."""

from collections.abc import Callable, Mapping, Sequence

from msgspec import structs

from hydria.base.errors import Retryable
from hydria.sriov.inventory import Pf, Vf, VfId
from hydria.sriov.kernel import Kernel, link_of, without_random_mac
from hydria.sriov.netlink import Link
from hydria.sriov.netlink.vfs import VfState
from hydria.sriov.records import Records
from hydria.sriov.standing import Target, standing
from hydria.sriov.sysfs import PfDevice, VfDevice


class Census:
    def __init__(self, kernel: Kernel, records: Records, physical_networks: Mapping[str, str], fabric: str) -> None:
        self._kernel = kernel
        self._records = records
        self._networks = physical_networks
        self._fabric = fabric

    def pfs(self, wanted: Callable[[str], bool] = bool) -> tuple[Pf, ...]:
        """Those whose name is `wanted`, by PCI address."""
        links = self._kernel.links()
        found = [(device, link_of(links, device)) for device in self._kernel.pfs()]
        return tuple(
            self._pf(device, link, links) for device, link in found if wanted(link.name if link else device.address)
        )

    def _pf(self, device: PfDevice, link: Link | None, links: Sequence[Link]) -> Pf:
        # Without a driver it has no name: its address is what people can find it by.
        name = link.name if link else device.address
        states = self._states(link)
        return Pf(
            name=name,
            physical_network=self._networks.get(name, ""),
            driver=device.driver or "",
            pci_address=device.address,
            numa_node=device.numa_node,
            link_up=link is not None and link.is_up and link.has_carrier,
            speed=self._kernel.speed(name) if link is not None and link.has_carrier else None,
            totalvfs=device.totalvfs,
            eswitch_mode=self._kernel.eswitch_mode(device.address) if device.driver else None,
            mac=link.mac if link else None,
            mtu=link.mtu if link else None,
            vfs=tuple(self._vf(device, link, links, vf, states.get(vf.index)) for vf in device.vfs),
        )

    def _states(self, link: Link | None) -> Mapping[int, VfState]:
        if link is None:
            return {}
        try:
            return self._kernel.states(link.index)
        except Retryable:
            # The PF went away since it was listed: the next scan shows it.
            return {}

    def _vf(
        self, pf: PfDevice, pf_link: Link | None, links: Sequence[Link], device: VfDevice, state: VfState | None
    ) -> Vf:
        id_ = VfId(pf_link.name if pf_link else pf.address, device.index)
        link = link_of(links, device)
        settings = without_random_mac(state or VfState(), device).settings
        found = Vf(
            id=id_,
            settings=structs.replace(settings, mtu=link.mtu if link else None),
            pci_address=device.address,
            netdev=link.name if link else None,
            driver=device.driver,
        )
        if pf_link is None:
            return found
        target = Target(id_, pf, pf_link, device)
        now = standing(self._kernel, links, target, self._records.read(device.address), self._fabric)
        return structs.replace(found, at_home=now.at_home, foreign=now.foreign, holder=now.holder)
