"""Links, addresses and routes of one network namespace. Knows nothing of PFs and VFs."""

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import msgspec
from pyroute2 import IPRoute, NetlinkError

from hydria.base.errors import Retryable
from hydria.sriov import namespaces
from hydria.sriov.tag import Tag

T = TypeVar("T")
Prefix = ipaddress.IPv4Network | ipaddress.IPv6Network

_IFF_UP, _IFF_NOARP, _IFF_LOWER_UP = 0x1, 0x80, 0x10000
_IFA_F_NODAD = 0x02
_TABLE_LOCAL = 255
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EOPNOTSUPP)


class NetlinkFailed(Retryable):
    """The kernel refused; `errno` says how."""

    def __init__(self, attempt: str, code: int, text: str) -> None:
        super().__init__(f"{attempt}: {text}")
        self.errno = code
        self.words = text
        """The kernel's."""


class Link(msgspec.Struct, frozen=True):
    index: int
    name: str
    kind: str | None
    mac: str
    mtu: int
    tag: Tag | None
    master: int | None
    link: int | None
    """Index of a veth's peer or of a macvlan's PF, in whichever namespace that is."""
    is_up: bool
    has_carrier: bool
    device: str | None = None
    """Address of the device that the link is of, such as 0000:01:10.0; since Linux 5.14, in every namespace."""
    port: str | None = None
    """What the NIC calls its port: `p0` is a wire, `pf0vf3` the representor of a VF."""


class Route(msgspec.Struct, frozen=True):
    prefix: Prefix
    interface: int | None
    protocol: int


class Netlink:
    """A conversation with the kernel about one namespace; belongs to the thread that opened it.

    Opening costs about 0.5 ms, so callers open one per task and keep none.
    """

    def __init__(self, namespace: Path = namespaces.OWN) -> None:
        self._namespace = namespace

    def __enter__(self) -> Self:
        # pyroute2's own IPRoute(netns=...) forks a child to get there: ten times slower.
        self._socket = namespaces.inside(self._namespace, _route_socket)
        self._route = IPRoute(use_socket=self._socket)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._route.close()
        self._socket.close()

    def _ask(self, attempt: str, ask: Callable[[], T], *, fine: tuple[int, ...] = ()) -> T | None:
        """Name what is attempted; kernel errors listed as `fine` mean that it is so already, and give None."""
        try:
            return ask()
        except NetlinkError as error:
            if error.code in fine:
                return None
            text = f"{error.args[1]} ({errno.errorcode.get(error.code, error.code)})"
            raise NetlinkFailed(f"{attempt} in {self._namespace}", error.code, text) from error

    def links(self) -> list[Link]:
        return self._ask("List links", lambda: [_link(message) for message in self._route.get_links()]) or []

    def link(self, name: str) -> Link | None:
        found = self._ask(f"Look for link {name}", lambda: self._route.link("get", ifname=name), fine=(errno.ENODEV,))
        return _link(found[0]) if found else None

    def need(self, name: str) -> Link:
        link = self.link(name)
        if link is None:
            raise NetlinkFailed(f"Look for link {name} in {self._namespace}", errno.ENODEV, "there is none")
        return link

    def add_bridge(self, name: str) -> Link:
        """A bridge that forwards from the first frame and never speaks itself."""
        # Snooping would need a querier, or multicast stops after some minutes.
        values = {"ifname": name, "kind": "bridge", "br_mcast_snooping": 0, "br_forward_delay": 0}
        self._ask(f"Add bridge {name}", lambda: self._route.link("add", **values), fine=(errno.EEXIST,))
        return self.need(name)

    def add_veth(
        self,
        name: str,
        *,
        peer: str,
        peer_namespace: Path | None = None,
        peer_mac: str | None = None,
        master: int | None = None,
        mtu: int = 1500,
    ) -> None:
        """Both ends in one message, the peer born where it belongs: moving it there would cost 15 ms.

        Raises NetlinkFailed with EEXIST when either name is taken.
        """
        other: dict[str, Any] = {"ifname": peer, "mtu": mtu}
        if peer_mac is not None:
            other["address"] = peer_mac
        values = {"ifname": name, "kind": "veth", "mtu": mtu, "peer": other}
        if master is not None:
            values["master"] = master
        with contextlib.ExitStack() as stack:
            if peer_namespace is not None:
                other["net_ns_fd"] = stack.enter_context(namespaces.opened(peer_namespace))
            self._ask(f"Add veth {name} with peer {peer}", lambda: self._route.link("add", **values))

    def add_macvlan(self, name: str, *, link: int, mac: str) -> None:
        """In bridge mode: the macvlans of one PF reach each other and the outside, as a NIC's VFs do."""
        values = {"ifname": name, "kind": "macvlan", "link": link, "macvlan_mode": "bridge", "address": mac}
        self._ask(f"Add macvlan {name}", lambda: self._route.link("add", **values), fine=(errno.EEXIST,))

    def add_macvtap(self, name: str, *, link: int, mac: str) -> None:
        """In bridge mode as a macvlan; what it gets goes to whoever opens its character device."""
        values = {"ifname": name, "kind": "macvtap", "link": link, "macvtap_mode": "bridge", "address": mac}
        self._ask(f"Add macvtap {name}", lambda: self._route.link("add", **values))

    def set_link(
        self,
        index: int,
        *,
        name: str | None = None,
        up: bool | None = None,
        arp: bool | None = None,
        mac: str | None = None,
        mtu: int | None = None,
        master: int | None = None,
        tag: Tag | None = None,
        namespace: Path | None = None,
    ) -> None:
        """Set what is given. A link that goes to another namespace arrives there DOWN and without addresses."""
        values: dict[str, Any] = {"ifname": name, "address": mac, "mtu": mtu, "master": master}
        values["ifalias"] = str(tag) if tag else None
        values = {key: value for key, value in values.items() if value is not None}
        flags = [(_IFF_UP, up), (_IFF_NOARP, None if arp is None else not arp)]
        if change := sum(bit for bit, wanted in flags if wanted is not None):
            values |= {"change": change, "flags": sum(bit for bit, wanted in flags if wanted)}
        with contextlib.ExitStack() as stack:
            if namespace is not None:
                values["net_ns_fd"] = stack.enter_context(namespaces.opened(namespace))
            self._ask(f"Set link {index} {values}", lambda: self._route.link("set", index=index, **values))

    def delete_link(self, index: int) -> None:
        """May run twice. A veth's peer goes with it, and a PF's macvlans, wherever they are."""
        self._ask(f"Delete link {index}", lambda: self._route.link("del", index=index), fine=(errno.ENODEV,))

    def addresses(self, index: int) -> list[str]:
        """Those of global scope, as ADDRESS/LENGTH."""
        found = self._ask(f"List addresses of link {index}", lambda: list(self._route.get_addr(index=index, scope=0)))
        return [f"{_address(message)}/{message['prefixlen']}" for message in found or []]

    def add_address(self, index: int, address: str) -> None:
        """May run twice. IPv6 without duplicate address detection: it would be unusable for a second."""
        interface = ipaddress.ip_interface(address)
        values: dict[str, Any] = {"index": index, "family": _family(interface.version)}
        values |= {"address": str(interface.ip), "prefixlen": interface.network.prefixlen}
        if interface.version == 6:
            values["flags"] = _IFA_F_NODAD
        elif interface.network.prefixlen < 31:
            values["broadcast"] = str(interface.network.broadcast_address)
        attempt = f"Add address {address} to link {index}"
        self._ask(attempt, lambda: self._route.addr("add", **values), fine=(errno.EEXIST,))

    def set_neighbour(self, index: int, address: str, mac: str) -> None:
        """Believed at once and asked about later, as if the neighbour had announced itself. May run twice."""
        attempt = f"Set neighbour {address} of link {index}"
        values = {"ifindex": index, "dst": address, "lladdr": mac, "state": "stale"}
        self._ask(attempt, lambda: self._route.neigh("replace", **values))

    def routes(self, version: Literal[4, 6]) -> list[Route]:
        """All tables but `local`."""
        found = self._ask("List routes", lambda: list(self._route.get_routes(family=_family(version))))
        return [_route(message, version) for message in found or [] if message.get("table") != _TABLE_LOCAL]

    def add_unreachable(self, prefix: Prefix, *, protocol: int, metric: int) -> None:
        """May run twice. A kernel without IPv6 needs no route to keep IPv6 from leaving."""
        values = _unreachable(prefix, protocol, metric)
        attempt = f"Add unreachable route {prefix}"
        fine = (errno.EEXIST, *_NO_SUCH_FAMILY)
        self._ask(attempt, lambda: self._route.route("add", **values), fine=fine)


def _unreachable(prefix: Prefix, protocol: int, metric: int) -> dict[str, Any]:
    where = {"family": _family(prefix.version), "dst": str(prefix)}
    return {**where, "type": "unreachable", "proto": protocol, "priority": metric}


def _route_socket() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)


def _family(version: int) -> int:
    return socket.AF_INET if version == 4 else socket.AF_INET6


def _link(message: Any) -> Link:
    return Link(
        index=message["index"],
        name=message.get("ifname"),
        kind=message.get(("linkinfo", "kind")),
        mac=message.get("address") or "",
        mtu=message.get("mtu"),
        tag=Tag.parse(message.get("ifalias")),
        master=message.get("master"),
        link=message.get("link"),
        is_up=bool(message["flags"] & _IFF_UP),
        has_carrier=bool(message["flags"] & _IFF_LOWER_UP),
        device=message.get("parent_dev_name"),
        port=message.get("phys_port_name"),
    )


def _address(message: Any) -> str:
    # Of a point-to-point address `address` is the far end and `local` ours.
    return str(message.get("local") or message.get("address"))


def _route(message: Any, version: Literal[4, 6]) -> Route:
    anything = "0.0.0.0" if version == 4 else "::"  # noqa: S104 - a destination, not a socket to bind
    prefix = ipaddress.ip_network(f"{message.get('dst') or anything}/{message['dst_len']}")
    return Route(prefix, message.get("oif"), message["proto"])
