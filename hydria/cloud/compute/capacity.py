"""How many VFs there are and what has become of each: the one snapshot that views, providers and metrics are made of.

Pure. Every VF of a PF is in exactly one state, so that the states of a PF add up to its VFs.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from hydria.cloud.compute.resources import Interface, Server
from hydria.sriov import claims
from hydria.sriov.inventory import Pf, Vf, VfId

State = Literal["free", "claimed", "foreign", "away"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class PfCapacity:
    pf: Pf
    states: Mapping[VfId, State]
    is_present: bool = True
    """False: the PF is gone, what is left of it are claims."""

    def count(self, state: State) -> int:
        return sum(one == state for one in self.states.values())

    @property
    def total(self) -> int:
        return len(self.states)

    @property
    def usable(self) -> int:
        """Free VFs that a port could have now: one without link is of no use to it."""
        return self.count("free") if self.pf.link_up else 0


@dataclass(frozen=True)
class HostCapacity:
    name: str
    pfs: tuple[PfCapacity, ...] = ()
    servers: tuple[Server, ...] = ()
    claims: Mapping[VfId, Interface] | None = None

    def networks(self) -> dict[str, list[PfCapacity]]:
        """Physical network → its PFs; PFs that the configuration gives to none are left out."""
        names = sorted({one.pf.physical_network for one in self.pfs} - {""})
        return {name: [one for one in self.pfs if one.pf.physical_network == name] for name in names}

    def claim(self, vf: VfId) -> Interface | None:
        return (self.claims or {}).get(vf)


def of_pf(pf: Pf, claimed: Collection[VfId]) -> PfCapacity:
    return PfCapacity(pf, {vf.id: _state(vf, claimed) for vf in pf.vfs})


def _state(vf: Vf, claimed: Collection[VfId]) -> State:
    if vf.id in claimed:
        return "claimed"
    if vf.foreign:
        return "foreign"
    return "free" if vf.at_home else "away"


def hindrances(pfs: Iterable[PfCapacity]) -> str:
    """Why VFs that nobody has claimed cannot be had, by PF."""
    found = (
        (one.pf.name, claims.hindrances(one.pf, [vf for vf, is_ in one.states.items() if is_ == "claimed"]))
        for one in pfs
    )
    return "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in found if reasons)


def snapshot(
    inventory: Mapping[str, Sequence[Pf]],
    interfaces: Iterable[Interface],
    servers: Iterable[Server],
    physical_networks: Mapping[str, str],
) -> tuple[HostCapacity, ...]:
    """By host name. `physical_networks`: what the configuration says of PFs, for those that are gone."""
    claimed = {VfId(one.pf, one.vf): one for one in interfaces if one.pf is not None and one.vf is not None}
    placed: dict[str | None, list[Server]] = {}
    for server in servers:
        placed.setdefault(server.host, []).append(server)
    return tuple(
        HostCapacity(
            name,
            (
                *(of_pf(pf, claimed) for pf in sorted(pfs, key=lambda pf: pf.name)),
                *_gone(pfs, [vf for vf, interface in claimed.items() if interface.host == name], physical_networks),
            ),
            tuple(placed.get(name, ())),
            {vf: interface for vf, interface in claimed.items() if interface.host == name},
        )
        for name, pfs in sorted(inventory.items())
    )


def _gone(pfs: Sequence[Pf], claimed: Sequence[VfId], physical_networks: Mapping[str, str]) -> list[PfCapacity]:
    """PFs of which claims are left, and of a PF that is there VFs that are not: both are still in the books."""
    present = {vf.id for pf in pfs for vf in pf.vfs}
    lost = Counter(vf.pf for vf in claimed if vf not in present)
    return [
        PfCapacity(
            Pf(name=name, physical_network=physical_networks.get(name, ""), driver="", link_up=False),
            {vf: "claimed" for vf in sorted(claimed) if vf.pf == name and vf not in present},
            is_present=False,
        )
        for name in sorted(lost)
    ]
