"""What only bridges have: VLAN filters of their ports, and what a NIC below one lets through to it (FDB)."""

import errno
from typing import Any

from hydria.sriov.netlink.links import Netlink

_RTEXT_FILTER_BRVLAN = 2
_AF_BRIDGE = 7
_NTF_SELF = 0x02
_NTF_MASTER, _NTF_STICKY = 0x04, 0x40
_NUD_NOARP = 0x40
"""To a bridge: static, where "permanent" would be an address of its own."""
_PVID, _UNTAGGED = 0x2, 0x4


class BridgeNetlink(Netlink):
    """As Netlink, and for one task as that."""

    def is_vlan_aware(self, bridge: str) -> bool:
        messages = self._ask(f"Look at bridge {bridge}", lambda: self._route.link("get", ifname=bridge)) or []
        return any(_kind_attribute(message, "IFLA_BR_VLAN_FILTERING") for message in messages)

    def is_bridge(self, name: str) -> bool:
        link = self.link(name)
        return link is not None and link.kind == "bridge"

    def vlans(self, port: int) -> frozenset[int]:
        """VLANs that a port of a bridge is in."""
        values = {"family": _AF_BRIDGE, "ext_mask": _RTEXT_FILTER_BRVLAN}
        attempt = f"List VLANs of bridge port {port}"
        messages = self._ask(attempt, lambda: list(self._route.link("dump", **values))) or []
        specs = [message.get_attr("IFLA_AF_SPEC") for message in messages if message["index"] == port]
        entries = [entry for spec in specs if spec is not None for entry in spec.get_attrs("IFLA_BRIDGE_VLAN_INFO")]
        return frozenset(entry["vid"] for entry in entries)

    def make_access_port(self, port: int, vlan: int) -> None:
        """In this VLAN alone, without a tag, as an access port of a switch. May run twice."""
        others = self.vlans(port) - {vlan}
        info = {"vid": vlan, "flags": _PVID | _UNTAGGED}
        attempt = f"Put bridge port {port} into VLAN {vlan}"
        self._ask(attempt, lambda: self._route.vlan_filter("add", index=port, vlan_info=info))
        for other in others:
            self._leave(port, other)

    def _leave(self, port: int, vlan: int) -> None:
        attempt = f"Take bridge port {port} out of VLAN {vlan}"
        info = {"vid": vlan}
        self._ask(attempt, lambda: self._route.vlan_filter("del", index=port, vlan_info=info), fine=(errno.ENOENT,))

    def pin(self, port: int, mac: str) -> None:
        """`bridge fdb add MAC dev PORT master static sticky`: whoever else sends from it. May run twice."""
        values = {"ifindex": port, "lladdr": mac, "flags": _NTF_MASTER | _NTF_STICKY, "state": _NUD_NOARP}
        self._ask(f"Pin {mac} to bridge port {port}", lambda: self._route.fdb("replace", **values))

    def addresses_let_through(self, nic: int) -> frozenset[str]:
        """MACs that somebody told the NIC to let through to the bridge above it, beside its own."""
        messages = self._ask(f"List FDB of link {nic}", lambda: list(self._route.fdb("dump"))) or []
        own = (message for message in messages if message["ifindex"] == nic and message["flags"] & _NTF_SELF)
        return frozenset(message.get_attr("NDA_LLADDR") for message in own)

    def let_through(self, nic: int, mac: str) -> None:
        """`bridge fdb add MAC dev NIC self permanent`. May run twice."""
        attempt = f"Let {mac} through link {nic}"
        self._ask(attempt, lambda: self._route.fdb("add", ifindex=nic, lladdr=mac), fine=(errno.EEXIST,))

    def let_through_no_more(self, nic: int, mac: str) -> None:
        """May run twice."""
        attempt = f"Let {mac} through link {nic} no more"
        self._ask(attempt, lambda: self._route.fdb("del", ifindex=nic, lladdr=mac), fine=(errno.ENOENT,))


def _kind_attribute(message: Any, name: str) -> Any:
    return message.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA", name)
