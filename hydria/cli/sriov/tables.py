"""PFs and VFs as tables for people and as JSON for programs. Pure: what it shows it is given."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from rich.table import Table

from hydria.cli.sriov.changes import is_used
from hydria.sriov.inventory import Pf, Vf

NONE = "-"


def pf_table(pfs: Sequence[Pf]) -> Table:
    table = Table("PF", "PCI", "Driver", "NUMA", "Link", "Speed", "VFs used/made/most", "Physical network", "Mode")
    for pf in pfs:
        most = NONE if pf.totalvfs is None else pf.totalvfs
        vfs = f"{sum(map(is_used, pf.vfs))}/{pf.numvfs}/{most}"
        link = "up" if pf.link_up else "[red]down[/]"
        table.add_row(
            pf.name, pf.pci_address or NONE, pf.driver or "[red]none[/]", _or_none(pf.numa_node), link, speed(pf.speed),
            vfs, pf.physical_network or NONE, pf.eswitch_mode or "legacy",
        )  # fmt: skip
    return table


def vf_table(vfs: Sequence[Vf]) -> Table:
    table = Table("VF", "PCI", "Netdev", "Driver", "MAC", "VLAN", "Spoof check", "Trust", "Link", "Rate", "Held by")
    for vf in vfs:
        its = vf.settings
        table.add_row(
            str(vf.id), vf.pci_address or NONE, vf.netdev or NONE, vf.driver or NONE, its.mac or NONE,
            str(its.vlan or NONE), _switch(its.spoofchk), _switch(its.trust), its.link_state, rate(vf), holder(vf),
        )  # fmt: skip
    return table


def facts_table(facts: Mapping[str, str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(name, value)
    return table


def pf_facts(pf: Pf, persisted: int | None) -> dict[str, str]:
    boot = NONE if persisted is None else f"{persisted} VFs (udev rule)"
    return {
        "PF": pf.name,
        "PCI address": pf.pci_address or NONE,
        "Driver": pf.driver or "none",
        "NUMA node": _or_none(pf.numa_node),
        "MAC": pf.mac or NONE,
        "MTU": _or_none(pf.mtu),
        "Link": "up" if pf.link_up else "down",
        "Speed": speed(pf.speed),
        "VFs": f"{sum(map(is_used, pf.vfs))} used, {pf.numvfs} made, {_or_none(pf.totalvfs)} at most",
        "Physical network": pf.physical_network or NONE,
        "Mode": pf.eswitch_mode or "legacy",
        "At boot": boot,
    }


def vf_facts(vf: Vf, pf: Pf) -> dict[str, str]:
    its = vf.settings
    return {
        "VF": str(vf.id),
        "PCI address": vf.pci_address or NONE,
        "Netdev": vf.netdev or NONE,
        "Driver": vf.driver or NONE,
        "Physical network": pf.physical_network or NONE,
        "Held by": holder(vf),
        "MAC": its.mac or NONE,
        "VLAN": str(its.vlan or NONE),
        "Spoof check": _switch(its.spoofchk),
        "Trust": _switch(its.trust),
        "Link state": its.link_state,
        "Rate": rate(vf),
        "MTU": _or_none(its.mtu),
    }


def pf_json(pf: Pf, persisted: int | None) -> dict[str, Any]:
    """The fields of Pf, and with them what is counted and what stands on disk."""
    counted = {"numvfs": pf.numvfs, "used": sum(map(is_used, pf.vfs)), "persisted": persisted}
    return {**msgspec.to_builtins(pf), **counted}


def speed(megabits: int | None) -> str:
    if megabits is None:
        return NONE
    return f"{megabits / 1000:g} Gbit/s" if megabits >= 1000 else f"{megabits} Mbit/s"


def rate(vf: Vf) -> str:
    least, most = vf.settings.min_tx_rate, vf.settings.max_tx_rate
    return f"{least or ''}..{most or ''} Mbit/s" if least or most else NONE


def holder(vf: Vf) -> str:
    if vf.holder:
        return f"{vf.holder} (not given by Hydria)" if vf.foreign else vf.holder
    return "somebody unknown" if is_used(vf) else NONE


def _switch(on: bool) -> str:
    return "on" if on else "off"


def _or_none(value: int | None) -> str:
    return NONE if value is None else str(value)
