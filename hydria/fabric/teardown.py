"""Which fabrics there are, what belongs to one, and taking it down: found in the kernel, also after a crash."""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path

from hydria.base import config
from hydria.base.errors import Conflict, NotFound, not_found
from hydria.fabric import management
from hydria.fabric.passage import Passage
from hydria.sriov import namespaces, taps
from hydria.sriov.hardware import HardwareNics
from hydria.sriov.inventory import VfId
from hydria.sriov.netlink import Netlink
from hydria.sriov.records import Records
from hydria.sriov.tag import Tag

DEFAULT = config.Fabric().name


def fabric_tag(fabric: str) -> Tag:
    return Tag(fabric, "fabric", fabric)


def mark(namespace: Path, tag: Tag) -> None:
    """Write whose a whole namespace is on its loopback, which lives exactly as long as it does."""
    with Netlink(namespace) as netlink:
        netlink.set_link(netlink.need("lo").index, tag=tag)


def mark_of(namespace: Path) -> Tag | None:
    """None where nobody marked it, or where it just ended."""
    try:
        with Netlink(namespace) as netlink:
            return netlink.need("lo").tag
    except namespaces.NoNamespace:
        return None


def marked() -> dict[str, Tag]:
    """All named namespaces of all fabrics, fabrics' own and test hosts'."""
    marks = {name: mark_of(path) for name, path in namespaces.all_named().items()}
    return {name: tag for name, tag in marks.items() if tag is not None}


def fabrics() -> list[str]:
    return [name for name, tag in marked().items() if tag == fabric_tag(name)]


def remains() -> list[str]:
    """Fabrics of which anything is left, also without the namespace that made it one."""
    return sorted({tag.fabric for tag in marked().values()} | management.fabrics())


def the_fabric(name: str | None) -> str:
    """`name` if it exists; without a name the one of the default name, else the only one there is."""
    existing = fabrics()
    if name is not None:
        if name not in existing:
            raise not_found("Fabric", name)
        return name
    if not existing:
        raise NotFound("There is no fabric on this machine: start one with `hydria fabric up`.")
    if DEFAULT in existing:
        return DEFAULT
    if len(existing) > 1:
        raise Conflict(f"There are {len(existing)} fabrics ({', '.join(existing)}): say which with --fabric.")
    return existing[0]


def down(fabric: str) -> list[str]:
    """Remove everything that belongs to `fabric`; says what was removed. May run twice."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(namespaces.locked(namespaces.OWN))
        # Nobody adds a host while we count them.
        with contextlib.suppress(namespaces.NoNamespace):
            stack.enter_context(namespaces.locked(namespaces.named(fabric)))
        vfs = _vfs(fabric)
        removed = [f"process {pid}" for pid in namespaces.kill_processes(_guests(fabric))]
        removed += [f"process {pid}" for pid in namespaces.kill(_machines(fabric))]
        removed += _leave_machine(fabric, vfs)
        ours = {name: tag for name, tag in marked().items() if tag.fabric == fabric}
        # It would go with the namespace, but some moments later: the kernel cleans up behind our back.
        if (interface := management.remove(fabric, has_namespace=fabric in ours)) is not None:
            removed.append(f"interface {interface}")
        for name, tag in ours.items():
            namespaces.delete(name)
            removed.append(f"{'host' if tag.kind == 'host' else 'namespace'} {name}")
    return removed


def _vfs(fabric: str) -> set[VfId]:
    """Wherever guests have them. Those of software PFs, which go with the fabric's namespace, are among them."""
    # Of a VF that a virtual machine has no link is left that could be found.
    found = {VfId.parse(vf) for vf in Records().of_fabric(fabric)}

    def look(namespace: Path) -> None:
        with Netlink(namespace) as netlink:
            tags = [link.tag for link in netlink.links()]
        found.update(VfId.parse(tag.id) for tag in tags if tag and (tag.fabric, tag.kind) == (fabric, "vf"))

    namespaces.search(look)
    return found


def _leave_machine(fabric: str, vfs: Collection[VfId]) -> list[str]:
    """What is ours on the machine's own bridges and PFs; these themselves stay as they are."""
    with Netlink() as netlink:
        links = netlink.links()
        ports = [link for link in links if link.tag and (link.tag.fabric, link.tag.kind) == (fabric, "port")]
        for port in ports:
            netlink.delete_link(port.index)
    # Also a port that went together with its guest has left its MAC on the PFs.
    gone = {port.tag.id for port in ports if port.tag} | set(Passage(fabric).close_all())
    real = sorted(vf for vf in vfs if any(link.name == vf.pf for link in links))
    nics = HardwareNics(dict.fromkeys((vf.pf for vf in real), ""), fabric=fabric)
    for vf in real:
        nics.take_back(vf)
    return [*(f"port {port_id}" for port_id in sorted(gone)), *(f"VF {vf} from its guest" for vf in real)]


def _machines(fabric: str) -> list[int]:
    """Virtual machines are in the machine's own namespace: that they have a tap of the fabric tells them."""
    names: set[str] = set()
    for namespace in (namespaces.OWN, namespaces.named(fabric)):
        with contextlib.suppress(namespaces.NoNamespace), Netlink(namespace) as netlink:
            names |= {
                link.name
                for link in netlink.links()
                if link.kind == "tun" and link.tag and (link.tag.fabric, link.tag.kind) == (fabric, "port")
            }
    return [pid for pid in taps.users(names) if pid != os.getpid()] if names else []


def _guests(fabric: str) -> set[int]:
    """Namespaces with a link of the fabric in them: its own, test hosts, servers and what these moved a NIC to."""
    found = {number for number, path in namespaces.everywhere().items() if _is_guest(path, fabric)}
    return found - {namespaces.inode(namespaces.OWN)}


def _is_guest(namespace: Path, fabric: str) -> bool:
    """Never the machine itself, whose end of the management network is tagged too."""
    try:
        with Netlink(namespace) as netlink:
            kinds = {link.tag.kind for link in netlink.links() if link.tag is not None and link.tag.fabric == fabric}
    except namespaces.NoNamespace:
        return False
    return bool(kinds) and "management" not in kinds
