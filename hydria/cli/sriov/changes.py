"""What has changed between two looks at the PFs, as events. Pure."""

from collections.abc import Iterator, Sequence
from typing import Literal

from msgspec import Struct

from hydria.sriov.inventory import Pf, Vf

Event = Literal["pf-new", "pf-gone", "link-lost", "link-back", "vfs-changed", "vf-handed-over", "vf-given-back"]


class Change(Struct, frozen=True, kw_only=True):
    event: Event
    pf: str
    vf: str | None = None
    holder: str = ""
    text: str
    """The same for people."""


def is_used(vf: Vf) -> bool:
    return bool(vf.holder) or vf.foreign or not vf.at_home


def changes(before: Sequence[Pf], after: Sequence[Pf]) -> Iterator[Change]:
    """In the order of the PFs, those that are gone first."""
    known = {_key(pf): pf for pf in before}
    now = {_key(pf): pf for pf in after}
    for pf in (known[key] for key in known.keys() - now.keys()):
        yield Change(event="pf-gone", pf=pf.name, text=f"PF {pf.name} is gone")
    for key, pf in now.items():
        if (old := known.get(key)) is None:
            link = "up" if pf.link_up else "down"
            yield Change(event="pf-new", pf=pf.name, text=f"PF {pf.name} is here, link {link}, {pf.numvfs} VFs")
        else:
            yield from _of_pf(old, pf)


def _of_pf(old: Pf, new: Pf) -> Iterator[Change]:
    name = new.name
    if old.link_up and not new.link_up:
        yield Change(event="link-lost", pf=name, text=f"PF {name} has lost its link")
    elif new.link_up and not old.link_up:
        yield Change(event="link-back", pf=name, text=f"PF {name} has its link back")
    if old.numvfs != new.numvfs:
        yield Change(event="vfs-changed", pf=name, text=f"PF {name} has {new.numvfs} VFs, it had {old.numvfs}")
    known = {vf.id.index: vf for vf in old.vfs}
    for vf in new.vfs:
        was = known.get(vf.id.index)
        if is_used(vf) and (was is None or not is_used(was) or was.holder != vf.holder):
            text = f"VF {vf.id} is handed over to {vf.holder or 'somebody unknown'}"
            yield Change(event="vf-handed-over", pf=name, vf=str(vf.id), holder=vf.holder, text=text)
        elif was is not None and is_used(was) and not is_used(vf):
            text = f"VF {vf.id} is given back by {was.holder or 'somebody unknown'}"
            yield Change(event="vf-given-back", pf=name, vf=str(vf.id), holder=was.holder, text=text)


def _key(pf: Pf) -> str:
    """A PF whose link was renamed is the same."""
    return pf.pci_address or pf.name
