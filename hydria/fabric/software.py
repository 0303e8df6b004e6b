"""The software fabric: bridges, software PFs and ports, in one network namespace of its own.

The machine itself sees the management interface, nothing else. What belongs to a fabric is
written on its links (hydria.sriov.tag); there are no files about it.
"""

from collections.abc import Sequence
from pathlib import Path

from hydria.base import config
from hydria.base.errors import Conflict, Terminal, invalid_field
from hydria.base.log import Logger
from hydria.fabric import guard, management, teardown
from hydria.sriov import namespaces
from hydria.sriov.inventory import VfId
from hydria.sriov.netlink import Netlink
from hydria.sriov.software import SoftwareNics
from hydria.sriov.tag import Tag

log = Logger(__name__)

MANAGEMENT = "mgmt"
"""What `physical_network` calls the management network."""

_MAX_NAME = 15
"""IFNAMSIZ - 1."""


def bridge_name(physical_network: str) -> str:
    return f"hy-{physical_network}"


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


class SoftwareFabric:
    """May be used by several threads; keeps nothing but its configuration."""

    def __init__(self, fabric: config.Fabric, hosts: Sequence[config.Host] = ()) -> None:
        self.name = fabric.name
        self._config = fabric
        self._home = namespaces.named(fabric.name)
        self.pfs = _pfs_of_hosts(hosts) if hosts else software_pfs(fabric.physical_networks)
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
        with namespaces.locked(namespaces.OWN):
            self._ensure_namespace()
            self._ensure_bridge(MANAGEMENT)
            interface = management.ensure(self.name, self._config.management_prefix)
        for network in self._config.physical_networks:
            self._ensure_bridge(network)
        nics = self.nics()
        for pf, network in self.pfs.items():
            self._ensure_pf(pf, network)
            nics.ensure_vfs(pf, self._config.vfs)
        log.info("fabric is up", fabric=self.name, management=interface, vfs=self._config.vfs * len(self.pfs))

    def _ensure_namespace(self) -> None:
        if not self._home.exists():
            namespaces.create(self.name, lambda made: teardown.mark(made, teardown.fabric_tag(self.name)))
        if teardown.mark_of(self._home) != teardown.fabric_tag(self.name):
            raise Conflict(f"Network namespace {self.name} exists and is not a fabric: choose another name.")
        for scope in ("all", "default"):
            namespaces.set_sysctl(self._home, f"ipv6/conf/{scope}/disable_ipv6", 1)
        guard.ensure(self._home)

    def _ensure_bridge(self, physical_network: str) -> None:
        with Netlink(self._home) as netlink:
            bridge = netlink.add_bridge(bridge_name(physical_network))
            netlink.set_link(bridge.index, up=True, arp=False, tag=Tag(self.name, "bridge", physical_network))

    def _ensure_pf(self, pf: str, physical_network: str) -> None:
        wire = f"w{pf}"
        with Netlink(self._home) as netlink:
            bridge = netlink.need(bridge_name(physical_network))
            if netlink.link(pf) is None:
                netlink.add_veth(pf, peer=wire)
            netlink.set_link(netlink.need(wire).index, master=bridge.index, up=True)
            netlink.set_link(netlink.need(pf).index, up=True)

    def plug(self, *, port_id: str, mac: str, physical_network: str, pid: int, name: str, mtu: int = 1500) -> None:
        """Give process `pid`'s namespace a NIC `name` on that network: DOWN, without addresses, with `mac`.

        May run twice, also after the guest renamed the NIC or moved it on. A port that another namespace has is
        taken from it. Raises Retryable when the process is gone.
        """
        guest = namespaces.of_process(pid)
        tag = Tag(self.name, "port", port_id, namespaces.guest_inode(pid))
        port = _port_name(port_id)
        with Netlink(self._home) as netlink:
            bridge = netlink.link(bridge_name(physical_network))
            if bridge is None:
                raise invalid_field("physical_network", physical_network, f"Fabric {self.name} does not have it.")
            present = netlink.link(port)
            if present is not None and present.tag == tag:
                return
            if present is not None:
                self._check_same_port(present.tag, tag)
                netlink.delete_link(present.index)
            netlink.add_veth(port, peer=name, peer_namespace=guest, peer_mac=mac, master=bridge.index, mtu=mtu)
            # The guest's end first: a port whose own end has its tag is complete.
            with Netlink(guest) as inner:
                inner.set_link(inner.need(name).index, tag=tag)
            netlink.set_link(netlink.need(port).index, up=True, tag=tag)
        log.info("port plugged", port_id=port_id, physical_network=physical_network, pid=pid, mac=mac)

    def _check_same_port(self, present: Tag | None, wanted: Tag) -> None:
        if present is not None and not wanted.is_same(present):
            raise Conflict(f"Port {wanted.id}: its link's name is taken by {present.kind} {present.id}.")

    def unplug(self, *, port_id: str) -> None:
        """Take the NIC away, wherever the guest has it. May run twice."""
        with Netlink(self._home) as netlink:
            port = netlink.link(_port_name(port_id))
            if port is None:
                return
            self._check_same_port(port.tag, Tag(self.name, "port", port_id))
            netlink.delete_link(port.index)
        log.info("port unplugged", port_id=port_id)

    def ports(self) -> frozenset[str]:
        """Ids of all ports that are plugged now."""
        with Netlink(self._home) as netlink:
            return frozenset(link.tag.id for link in netlink.links() if link.tag and link.tag.kind == "port")

    def configure(self, *, pid: int, name: str, addresses: Sequence[str]) -> None:
        """What DHCP would do for the management NIC: addresses (ADDRESS/LENGTH), then up. May run twice."""
        mac = configure(namespaces.of_process(pid), name, addresses)
        management.introduce(self.name, mac, addresses)

    def down(self) -> list[str]:
        """Remove the fabric with all in it; says what was removed. May run twice."""
        return teardown.down(self.name)


def _pfs_of_hosts(hosts: Sequence[config.Host]) -> dict[str, str]:
    pfs: dict[str, str] = {}
    for host in hosts:
        if twice := sorted(pfs.keys() & host.pfs.keys()):
            raise Terminal(f"PF {twice[0]} of host {host.name} is another host's already")
        pfs |= host.pfs
    return pfs


def configure(namespace: Path, name: str, addresses: Sequence[str]) -> str:
    """Returns its MAC."""
    with Netlink(namespace) as netlink:
        link = netlink.need(name)
        for address in addresses:
            netlink.add_address(link.index, address)
        netlink.set_link(link.index, up=True)
    return link.mac


def _port_name(port_id: str) -> str:
    """As Neutron names it, so that those who know it find it."""
    return f"tap{port_id[:11]}"
