"""What every kind of fabric has: a namespace with the management network in it, and normal ports on bridges.

A normal port is a veth: one end in the guest, the other a port of a bridge. Whose it is stands on both
(hydria.sriov.tag). A virtual machine's is a tap, which ends with the machine.
"""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from hydria.base import config
from hydria.base.errors import Conflict, Retryable, Terminal, invalid_field
from hydria.base.log import Logger
from hydria.fabric import guard, management, teardown
from hydria.sriov import namespaces, taps
from hydria.sriov.netlink import Link, Netlink
from hydria.sriov.netlink.bridges import BridgeNetlink
from hydria.sriov.nics import Tap
from hydria.sriov.tag import Tag

log = Logger(__name__)

MANAGEMENT = "mgmt"
"""What `physical_network` calls the management network."""


class Place(Struct, frozen=True):
    """Where the ports of a network end."""

    namespace: Path
    bridge: str
    vlan: int = 0


def bridge_name(physical_network: str) -> str:
    return f"hy-{physical_network}"


class BridgedFabric:
    """A kind of fabric says where ports end. May be used by several threads; keeps nothing but its configuration."""

    def __init__(self, fabric: config.Fabric) -> None:
        self.name = fabric.name
        self._config = fabric
        self._home = namespaces.named(fabric.name)

    def _place(self, physical_network: str, vlan: int) -> Place:
        """Raises Terminal when a normal port cannot be there."""
        raise NotImplementedError

    def _ensure_home(self) -> str:
        """The namespace and the management network; gives the name of the machine's interface on it. May run twice.

        Raises Conflict when a namespace of that name is somebody else's.
        """
        with namespaces.locked(namespaces.OWN):
            self._ensure_namespace()
            self._ensure_bridge(MANAGEMENT)
            return management.ensure(self.name, self._config.management_prefix)

    def _ensure_namespace(self) -> None:
        if not self._home.exists():
            namespaces.create(self.name, lambda made: teardown.mark(made, teardown.fabric_tag(self.name)))
        if teardown.mark_of(self._home) != teardown.fabric_tag(self.name):
            raise Conflict(f"Network namespace {self.name} exists and is not a fabric: choose another name.")
        for scope in ("all", "default"):
            namespaces.set_sysctl(self._home, f"ipv6/conf/{scope}/disable_ipv6", 1)
        guard.ensure(self._home)

    def _ensure_bridge(self, wire: str, name: str | None = None) -> None:
        """`wire`: a physical network, or what else a bridge of its own stands for."""
        with Netlink(self._home) as netlink:
            bridge = netlink.add_bridge(name or bridge_name(wire))
            netlink.set_link(bridge.index, up=True, arp=False, tag=Tag(self.name, "bridge", wire))

    def plug(
        self, *, port_id: str, mac: str, physical_network: str, pid: int, name: str, mtu: int = 1500, vlan: int = 0
    ) -> None:
        """Give process `pid`'s namespace a NIC `name` on that network: DOWN, without addresses, with `mac`.

        May run twice, also after the guest renamed the NIC or moved it on. A port that another namespace has is
        taken from it. Raises Retryable when the process is gone, Terminal when the network has no place for it.
        """
        guest = namespaces.of_process(pid)
        tag = Tag(self.name, "port", port_id, namespaces.guest_inode(pid))
        place = self._place(physical_network, vlan)
        with Netlink(self._home) as netlink, BridgeNetlink(place.namespace) as outer:
            bridge = _bridge(outer, place, physical_network)
            if self._is_plugged(outer, place, tag):
                return
            port = _port_name(port_id)
            if place.namespace != self._home and (left := netlink.link(port)) is not None:
                netlink.delete_link(left.index)
            netlink.add_veth(port, peer=name, peer_namespace=guest, peer_mac=mac, mtu=mtu)
            # The guest's end first: a port whose own end has its tag is complete.
            with Netlink(guest) as inner:
                inner.set_link(inner.need(name).index, tag=tag)
            if place.namespace != self._home:
                self._move_out(netlink, port, tag)
            self._connect(outer, port, bridge, place, mac)
            outer.set_link(outer.need(port).index, up=True, tag=tag)
        log.info("port plugged", port_id=port_id, physical_network=physical_network, pid=pid, mac=mac)

    def plug_tap(self, *, port_id: str, mac: str, physical_network: str, mtu: int = 1500, vlan: int = 0) -> Tap:
        """The port for a virtual machine whose NIC has `mac`: a tap that is gone when its last holder closes it.

        A tap, or veth, that the port has already is taken away, also from a machine that runs: ask the hypervisor
        first whether that has it. Raises Terminal when the network has no place for it.
        """
        tag = Tag(self.name, "port", port_id)
        place = self._place(physical_network, vlan)
        with BridgeNetlink(place.namespace) as outer, contextlib.ExitStack() as undo:
            bridge = _bridge(outer, place, physical_network)
            port = _port_name(port_id)
            if (present := outer.link(port)) is not None:
                self._check_same_port(present.tag, tag, untagged_is_ours=place.namespace == self._home)
                outer.delete_link(present.index)
            tap = taps.create(place.namespace, port)
            undo.callback(tap.close)
            outer.set_link(outer.need(port).index, mtu=mtu, tag=tag)
            self._connect(outer, port, bridge, place, mac)
            outer.set_link(outer.need(port).index, up=True)
            undo.pop_all()
        log.info("tap plugged", port_id=port_id, physical_network=physical_network, mac=mac)
        return tap

    def _is_plugged(self, outer: Netlink, place: Place, tag: Tag) -> bool:
        """Half a port, or one that another guest has, is taken away."""
        present = outer.link(_port_name(tag.id))
        if present is None or present.tag == tag:
            return present is not None
        self._check_same_port(present.tag, tag, untagged_is_ours=place.namespace == self._home)
        outer.delete_link(present.index)
        return False

    def _move_out(self, netlink: Netlink, port: str, tag: Tag) -> None:
        """Made at home and tagged before it goes: outside, a link without our tag is never ours."""
        link = netlink.need(port)
        netlink.set_link(link.index, tag=Tag(tag.fabric, tag.kind, tag.id))
        netlink.set_link(link.index, namespace=namespaces.OWN)

    def _connect(self, outer: BridgeNetlink, port: str, bridge: Link, place: Place, mac: str) -> None:
        if place.namespace != self._home:
            # The machine does not speak on the guest's wire, nor does it learn addresses from there.
            namespaces.set_sysctl(place.namespace, f"ipv6/conf/{port}/disable_ipv6", 1)
        link = outer.need(port)
        outer.set_link(link.index, master=bridge.index)
        if place.vlan:
            outer.make_access_port(link.index, place.vlan)
        if place.namespace != self._home:
            # A NIC's switch may send a port's broadcasts back to its PF; a bridge that learned the guest's MAC from
            # them would look for the guest there.
            outer.pin(link.index, mac)

    def _check_same_port(self, present: Tag | None, wanted: Tag, *, untagged_is_ours: bool) -> None:
        if present is None and untagged_is_ours:
            return
        if present is None:
            raise Conflict(f"Port {wanted.id}: link {_port_name(wanted.id)} of this machine is somebody else's.")
        if not wanted.is_same(present):
            raise Conflict(f"Port {wanted.id}: its link's name is taken by {present.kind} {present.id}.")

    def unplug(self, *, port_id: str) -> None:
        """Take the NIC away, wherever the guest has it. May run twice."""
        removed = [self._unplug(namespace, port_id) for namespace in self._namespaces()]
        if any(removed):
            log.info("port unplugged", port_id=port_id)

    def _namespaces(self) -> tuple[Path, ...]:
        """Where ports end."""
        return (self._home,)

    def _unplug(self, namespace: Path, port_id: str) -> bool:
        with Netlink(namespace) as netlink:
            port = netlink.link(_port_name(port_id))
            if port is None:
                return False
            wanted = Tag(self.name, "port", port_id)
            if namespace != self._home and not wanted.is_same(port.tag):
                return False
            self._check_same_port(port.tag, wanted, untagged_is_ours=True)
            netlink.delete_link(port.index)
        return True

    def ports(self) -> frozenset[str]:
        """Ids of all ports that are plugged now."""
        found: set[str] = set()
        for namespace in self._namespaces():
            with Netlink(namespace) as netlink:
                tags = [link.tag for link in netlink.links()]
            found.update(tag.id for tag in tags if tag and (tag.fabric, tag.kind) == (self.name, "port"))
        return frozenset(found)

    def configure(self, *, pid: int, mac: str, addresses: Sequence[str]) -> None:
        """What DHCP would do for a guest's first NIC: addresses (ADDRESS/LENGTH), then up. May run twice.

        Found by its MAC: what a VF's netdev is called only its driver, and whoever renames it, knows.
        """
        guest = namespaces.of_process(pid)
        with Netlink(guest) as netlink:
            name = next((link.name for link in netlink.links() if link.mac == mac), None)
        if name is None:
            raise Retryable(f"Configuring the NIC with MAC {mac} of process {pid}: it is not there.")
        configure(guest, name, addresses)
        self.introduce(mac=mac, addresses=addresses)

    def introduce(self, *, mac: str, addresses: Sequence[str]) -> None:
        """Tell this machine who has these addresses of the management network now. May run twice."""
        management.introduce(self.name, mac, addresses)

    def down(self) -> list[str]:
        """Remove the fabric with all in it; says what was removed. May run twice."""
        return teardown.down(self.name)


def no_tagging(physical_network: str, vlan: int, why: str) -> Terminal:
    return Terminal(f"No normal port on VLAN {vlan} of physical network '{physical_network}': {why}")


def configure(namespace: Path, name: str, addresses: Sequence[str]) -> None:
    with Netlink(namespace) as netlink:
        link = netlink.need(name)
        for address in addresses:
            netlink.add_address(link.index, address)
        netlink.set_link(link.index, up=True)


def _bridge(outer: BridgeNetlink, place: Place, physical_network: str) -> Link:
    bridge = outer.link(place.bridge)
    if bridge is None:
        raise invalid_field("physical_network", physical_network, f"Its bridge {place.bridge} is not there.")
    return bridge


def _port_name(port_id: str) -> str:
    """As Neutron names it, so that those who know it find it."""
    return f"tap{port_id[:11]}"
