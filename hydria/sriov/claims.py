"""Which VF a port gets. Pure: the books themselves are rows of the cloud's database, handed in as `claimed`."""

from collections.abc import Collection, Sequence

from hydria.base.errors import Terminal
from hydria.sriov.inventory import Pf, VfId


class NoFreeVf(Terminal):
    """Nothing to claim on this host; the text says for each PF why not."""


def choose(pfs: Sequence[Pf], claimed: Collection[VfId], physical_network: str) -> VfId:
    """The free VF to claim next: of the least loaded PF that is up, the one with the lowest index.

    Raises NoFreeVf.
    """
    taken = frozenset(claimed)
    candidates = [pf for pf in pfs if pf.physical_network == physical_network]
    usable = [(pf, free) for pf in candidates if pf.link_up and (free := pf.free(taken))]
    if not usable:
        raise NoFreeVf(f"No free VF on physical network '{physical_network}': {_why(pfs, candidates, taken)}.")
    # A fraction, not a count: PFs of one host may have different numbers of VFs.
    _, free = min(usable, key=lambda item: (1 - len(item[1]) / item[0].numvfs, item[0].name))
    return free[0].id


def _why(pfs: Sequence[Pf], candidates: Sequence[Pf], taken: frozenset[VfId]) -> str:
    if candidates:
        return "; ".join(f"{pf.name}: {_why_not(pf, taken)}" for pf in sorted(candidates, key=lambda pf: pf.name))
    others = sorted({pf.physical_network for pf in pfs})
    return f"no PF is on it (there are PFs on: {', '.join(others) or 'none'})"


def _why_not(pf: Pf, taken: frozenset[VfId]) -> str:
    if not pf.vfs:
        return "has no VFs"
    ours = sum(vf.id in taken for vf in pf.vfs)
    away = sum(not vf.at_home and vf.id not in taken for vf in pf.vfs)
    parts = [f"{ours} of {pf.numvfs} VFs claimed"]
    if away:
        parts.append(f"{away} not given back yet")
    if not pf.link_up:
        parts.append("link is down")
    return ", ".join(parts)
