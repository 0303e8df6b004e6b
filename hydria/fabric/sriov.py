"""The fabric of a machine with SR-IOV NICs: PFs and bridges are the operator's, in the machine's own namespace.

Ours are the management network, which is in a namespace as with the software fabric, and normal ports: veths between
guests and the operator's bridges (`fabric.bridge_mappings`). PFs and bridges themselves are never changed.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from hydria.base import config
from hydria.base.errors import Terminal
from hydria.base.log import Logger
from hydria.fabric.passage import RECORDS, Passage
from hydria.fabric.ports import MANAGEMENT, BridgedFabric, Place, bridge_name, no_tagging
from hydria.fabric.software import pfs_of_hosts
from hydria.sriov import namespaces
from hydria.sriov.hardware import HardwareNics
from hydria.sriov.netlink.bridges import BridgeNetlink
from hydria.sriov.nics import Tap

log = Logger(__name__)

SYSFS = Path("/sys")


class SriovFabric(BridgedFabric):
    def __init__(
        self, fabric: config.Fabric, hosts: Sequence[config.Host], *, sysfs: Path = SYSFS, records: Path = RECORDS
    ) -> None:
        super().__init__(fabric)
        self.pfs = pfs_of_hosts(hosts)
        self._bridges = dict(fabric.bridge_mappings)
        self._sysfs = sysfs
        self._passage = Passage(fabric.name, records)

    def nics(self) -> HardwareNics:
        return HardwareNics(self.pfs, sysfs=self._sysfs, fabric=self.name)

    def check(self) -> None:
        """Changes nothing. Raises Terminal naming the device and the option that names it."""
        if not self.pfs:
            raise Terminal("No PF is configured (--pf PF=PHYSICAL_NETWORK): there would be no VF for any port")
        for pf, network in self.pfs.items():
            self._check_pf(pf, network)
        with BridgeNetlink() as netlink:
            for network, bridge in self._bridges.items():
                option = f"--bridge {network}={bridge}"
                if network not in self.pfs.values():
                    known = ", ".join(sorted(set(self.pfs.values())))
                    raise Terminal(f"{option}: no PF is on physical network '{network}' (there are: {known})")
                if netlink.link(bridge) is None:
                    raise Terminal(f"{option}: this machine has no bridge {bridge}")
                if not netlink.is_bridge(bridge):
                    raise Terminal(f"{option}: {bridge} is no bridge")

    def _check_pf(self, pf: str, network: str) -> None:
        option, device = f"--pf {pf}={network}", self._sysfs / "class/net" / pf
        if not network:
            raise Terminal(f"{option}: the physical network is missing")
        if network == MANAGEMENT:
            raise Terminal(f"{option}: a physical network cannot be called '{MANAGEMENT}'")
        if not device.exists():
            raise Terminal(f"{option}: this machine has no network device {pf}")
        if (device / "device/physfn").exists():
            raise Terminal(f"{option}: {pf} is a VF, not a PF")
        if not (device / "device/sriov_totalvfs").exists():
            raise Terminal(
                f"{option}: {pf} is no SR-IOV device (it has no sriov_totalvfs), or SR-IOV is off in firmware"
            )

    def ensure(self) -> None:
        """The management network, and normal ports' passage through PFs as it should be. May run twice.

        Raises Conflict when a namespace of that name is somebody else's.
        """
        interface = self._ensure_home()
        self._passage.ensure(super().ports(), self.pfs)
        log.info("fabric is up", fabric=self.name, management=interface, pfs=sorted(self.pfs))

    def _place(self, physical_network: str, vlan: int) -> Place:
        if physical_network == MANAGEMENT:
            return Place(self._home, bridge_name(MANAGEMENT))
        bridge = self._bridges.get(physical_network)
        if bridge is None:
            raise Terminal(
                f"No normal port on physical network '{physical_network}': fabric.bridge_mappings"
                f" (--bridge {physical_network}=BRIDGE) names no bridge for it; a port of vnic_type direct needs none"
            )
        if vlan:
            self._check_tagging(physical_network, bridge, vlan)
        return Place(namespaces.OWN, bridge, vlan)

    def _check_tagging(self, physical_network: str, bridge: str, vlan: int) -> None:
        with BridgeNetlink() as netlink:
            if not netlink.is_vlan_aware(bridge):
                why = f"bridge {bridge} is not VLAN-aware (ip link set {bridge} type bridge vlan_filtering 1)"
                raise no_tagging(physical_network, vlan, why)
            master = netlink.need(bridge).index
            links = [link for name in sorted(self.pfs) if (link := netlink.link(name)) is not None]
            for pf in links:
                if pf.master == master and vlan not in netlink.vlans(pf.index):
                    why = f"PF {pf.name} is not in it on bridge {bridge} (bridge vlan add dev {pf.name} vid {vlan})"
                    raise no_tagging(physical_network, vlan, why)

    def _namespaces(self) -> tuple[Path, ...]:
        return self._home, namespaces.OWN

    def plug(
        self, *, port_id: str, mac: str, physical_network: str, pid: int, name: str, mtu: int = 1500, vlan: int = 0
    ) -> None:
        """As every fabric; the PFs below the bridge then let frames to `mac` through."""
        super().plug(
            port_id=port_id, mac=mac, physical_network=physical_network, pid=pid, name=name, mtu=mtu, vlan=vlan
        )
        self._open_passage(port_id, mac, physical_network)

    def plug_tap(self, *, port_id: str, mac: str, physical_network: str, mtu: int = 1500, vlan: int = 0) -> Tap:
        tap = super().plug_tap(port_id=port_id, mac=mac, physical_network=physical_network, mtu=mtu, vlan=vlan)
        with contextlib.ExitStack() as undo:
            undo.callback(tap.close)
            self._open_passage(port_id, mac, physical_network)
            undo.pop_all()
        return tap

    def _open_passage(self, port_id: str, mac: str, physical_network: str) -> None:
        if physical_network != MANAGEMENT:
            self._passage.open(port_id, mac, self._bridges[physical_network], self.pfs)

    def unplug(self, *, port_id: str) -> None:
        super().unplug(port_id=port_id)
        self._passage.close(port_id)

    def ports(self) -> frozenset[str]:
        """Also those whose guest ended and took the NIC along."""
        return super().ports() | frozenset(self._passage.ports())
