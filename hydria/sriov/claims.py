"""Which VF a port gets. Pure: the books themselves are rows of the cloud's database, handed in as `claimed`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby

from msgspec import Struct

from hydria.base.errors import Terminal
from hydria.sriov.inventory import Pf, Vf, VfId


class NoFreeVf(Terminal):
    """Nothing to claim on this host; the text says for each PF why not."""


class Preference(Struct, frozen=True):
    """What makes one free VF better than another; none of it ever keeps a port from getting a VF."""

    sibling_pfs: frozenset[str] = frozenset()
    """PFs that serve other servers of the same server group: who loses one PF shall not lose both servers."""
    numa_nodes: frozenset[int] = frozenset()
    """Nodes that the VF should be on; none: any."""


def choose(
    pfs: Sequence[Pf],
    claimed: Collection[VfId],
    physical_network: str,
    preference: Preference = Preference(),  # noqa: B008 - frozen
    excluded: Mapping[VfId, str] | None = None,
) -> VfId:
    """The free VF to claim next: on a PF whose link is up, the preferred one, then the least loaded, then by name.

    `excluded` VFs have been tried for this port, and why that failed. Raises NoFreeVf.
    """
    tried = excluded or {}
    taken = frozenset(claimed)
    candidates = [pf for pf in pfs if pf.physical_network == physical_network]
    usable = [(pf, free) for pf in candidates if (free := _usable(pf, taken, tried))]
    if not usable:
        raise NoFreeVf(f"No free VF on physical network '{physical_network}': {_why(pfs, candidates, taken, tried)}.")
    _, free = min(usable, key=lambda item: (_distance(item[0], preference), _load(item[0], taken), item[0].name))
    return free[0].id


def fitting_nodes(
    pfs: Sequence[Pf], claimed: Collection[VfId], physical_networks: Iterable[str], excluded: Collection[VfId] = ()
) -> frozenset[int]:
    """NUMA nodes on which there is a free VF for each entry of `physical_networks`; each entry needs one."""
    taken = frozenset(claimed)
    needs = {network: len(list(entries)) for network, entries in groupby(sorted(physical_networks))}
    nodes = {pf.numa_node for pf in pfs if pf.numa_node is not None}

    def free(node: int, network: str) -> int:
        own = (pf for pf in pfs if (pf.numa_node, pf.physical_network) == (node, network))
        return sum(len(_usable(pf, taken, excluded)) for pf in own)

    return frozenset(node for node in nodes if all(free(node, network) >= need for network, need in needs.items()))


def _usable(pf: Pf, taken: frozenset[VfId], excluded: Collection[VfId]) -> list[Vf]:
    return [vf for vf in pf.free(taken) if vf.id not in excluded] if pf.link_up else []


def _distance(pf: Pf, preference: Preference) -> tuple[bool, int]:
    """Smaller is better. Two servers on two PFs outweigh memory that is near."""
    if not preference.numa_nodes or pf.numa_node in preference.numa_nodes:
        off_node = 0
    else:
        # A device that does not say where it is may be near; one on another node is not.
        off_node = 1 if pf.numa_node is None else 2
    return pf.name in preference.sibling_pfs, off_node


def _load(pf: Pf, taken: frozenset[VfId]) -> float:
    """A fraction, not a count: PFs of one host may have different numbers of VFs."""
    return 1 - len(pf.free(taken)) / pf.numvfs


def _why(pfs: Sequence[Pf], candidates: Sequence[Pf], taken: frozenset[VfId], tried: Mapping[VfId, str]) -> str:
    if candidates:
        return "; ".join(
            f"{pf.name}: {_why_not(pf, taken, tried)}" for pf in sorted(candidates, key=lambda pf: pf.name)
        )
    others = sorted({pf.physical_network for pf in pfs if pf.physical_network})
    return f"no PF is on it (there are PFs on: {', '.join(others) or 'none'})"


def _why_not(pf: Pf, taken: frozenset[VfId], tried: Mapping[VfId, str]) -> str:
    if not pf.vfs:
        return "has no VFs"
    ours = sum(vf.id in taken for vf in pf.vfs)
    failed = [f"{vf.id} failed ({tried[vf.id].rstrip('.')})" for vf in pf.vfs if vf.id in tried and not vf.foreign]
    return ", ".join([f"{ours} of {pf.numvfs} VFs claimed", *failed, *hindrances(pf, taken)])


def hindrances(pf: Pf, claimed: Collection[VfId]) -> list[str]:
    """What else than a claim keeps VFs of this PF from being had."""
    taken = frozenset(claimed)
    others = [vf for vf in pf.vfs if vf.id not in taken]
    parts = [f"{vf.id} is held by {vf.holder or 'somebody else'}" for vf in others if vf.foreign]
    if away := sum(not vf.at_home and not vf.foreign for vf in others):
        parts.append(f"{away} not given back yet")
    if not pf.link_up:
        parts.append("link is down")
    return parts
