"""The software fabric: bridges, software PFs and ports, in one network namespace of its own.

The machine itself sees the management interface, nothing else. What belongs to a fabric is
written on its links (hydria.sriov.tag); there are no files about it.
"""

from collections.abc import Sequence

from hydria.base import config
from hydria.base.errors import Terminal, invalid_field
from hydria.base.log import Logger
from hydria.fabric.ports import MANAGEMENT, BridgedFabric, Place, bridge_name
from hydria.sriov import namespaces
from hydria.sriov.inventory import VfId
from hydria.sriov.netlink import Netlink
from hydria.sriov.software import SoftwareNics

log = Logger(__name__)

_MAX_NAME = 15
"""IFNAMSIZ - 1."""
_VLAN_BRIDGE = "hv"
"""Of a normal port's VLAN: hv, number of the physical network, VLAN."""


def software_pfs(physical_networks: Sequence[str], host: int = 0) -> dict[str, str]:
    """PF name → physical network, for the first host (0) and any further one.

    >>> software_pfs(["public"]), software_pfs(["public"], 1)
    ({'pf-public': 'public'}, {'pf-public-2': 'public'})
    """
    suffix = "" if host == 0 else f"-{host + 1}"
    return {f"pf-{network}{suffix}": network for network in physical_networks}


def pfs_of(fabric: str) -> dict[str, str]:
    """PF name → physical network, of a fabric that is up, whatever its configuration says."""
    with Netlink(namespaces.named(fabric)) as netlink:
        links = netlink.links()
    bridges = {link.index: link.tag.id for link in links if link.tag and link.tag.kind == "bridge"}
    wires = {link.index: bridges[link.master] for link in links if link.master in bridges}
    return {link.name: wires[link.link] for link in links if link.tag and link.tag.kind == "pf" and link.link in wires}


class SoftwareFabric(BridgedFabric):
    def __init__(self, fabric: config.Fabric, hosts: Sequence[config.Host] = ()) -> None:
        super().__init__(fabric)
        self.pfs = pfs_of_hosts(hosts) if hosts else software_pfs(fabric.physical_networks)
        self._check_names()

    def _check_names(self) -> None:
        known = self._config.physical_networks
        for pf, network in self.pfs.items():
            if network not in known:
                raise Terminal(f"PF {pf} is on physical network '{network}'; the fabric has {', '.join(known)}")
        last = self._config.vfs - 1
        for name in (*map(bridge_name, known), *(VfId(pf, last).kernel_name for pf in self.pfs)):
            if len(name) > _MAX_NAME:
                raise Terminal(f"{name} is longer than the {_MAX_NAME} characters that a link's name may have")
        if MANAGEMENT in known:
            raise Terminal(f"A physical network cannot be called '{MANAGEMENT}': that is the management network")

    def nics(self) -> SoftwareNics:
        """All PFs of the fabric; those of one host are SoftwareNics(fabric.name, host.pfs)."""
        return SoftwareNics(self.name, self.pfs)

    def ensure(self) -> None:
        """Make what is missing, leave what is there, VFs and ports in guests included. May run twice.

        Raises Conflict when a namespace of that name is somebody else's.
        """
        interface = self._ensure_home()
        for network in self._config.physical_networks:
            self._ensure_bridge(network)
        nics = self.nics()
        for pf, network in self.pfs.items():
            self._ensure_pf(pf, network)
            nics.ensure_vfs(pf, self._config.vfs)
        self._remove_unused()
        log.info("fabric is up", fabric=self.name, management=interface, vfs=self._config.vfs * len(self.pfs))

    def _ensure_pf(self, pf: str, physical_network: str) -> None:
        wire = f"w{pf}"
        with Netlink(self._home) as netlink:
            bridge = netlink.need(bridge_name(physical_network))
            if netlink.link(pf) is None:
                netlink.add_veth(pf, peer=wire)
            netlink.set_link(netlink.need(wire).index, master=bridge.index, up=True)
            netlink.set_link(netlink.need(pf).index, up=True)

    def _place(self, physical_network: str, vlan: int) -> Place:
        known = (MANAGEMENT, *self._config.physical_networks)
        if physical_network not in known:
            raise invalid_field("physical_network", physical_network, f"Fabric {self.name} does not have it.")
        if not vlan:
            return Place(self._home, bridge_name(physical_network))
        # A wire of its own, not a tag on the network's: many kernels have no bridges that filter VLANs.
        bridge = f"{_VLAN_BRIDGE}{known.index(physical_network)}-{vlan}"
        self._ensure_bridge(f"{physical_network}/{vlan}", bridge)
        return Place(self._home, bridge)

    def _remove_unused(self) -> None:
        """Bridges of VLANs without a port; their next one brings them back. Only while nobody plugs."""
        with Netlink(self._home) as netlink:
            links = netlink.links()
            used = {link.master for link in links}
            for link in links:
                if link.name.startswith(_VLAN_BRIDGE) and link.index not in used:
                    netlink.delete_link(link.index)


def pfs_of_hosts(hosts: Sequence[config.Host]) -> dict[str, str]:
    """PF name → physical network, of all hosts together."""
    pfs: dict[str, str] = {}
    for host in hosts:
        if twice := sorted(pfs.keys() & host.pfs.keys()):
            raise Terminal(f"PF {twice[0]} of host {host.name} is another host's already")
        pfs |= host.pfs
    return pfs
