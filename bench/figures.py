"""What VF against normal port gave, and the section of docs/benchmarks.md that tells it. Measures nothing."""

import statistics
from collections.abc import Iterator
from typing import Literal

import msgspec
import page
from rich.table import Table

Kind = Literal["VF", "normal port"]
KINDS: tuple[Kind, ...] = ("VF", "normal port")

EMULATED = """
**An emulated NIC: of real hardware these figures say nothing.** Each frame through an emulated VF is an interrupt and
several register accesses that QEMU works off in software, on the same CPUs that run HAProxy, client and backend; a
veth and a bridge are plain code of the guest's kernel on the way to the same emulated PF. What a real NIC takes off the
CPU is put onto it here. They show that both ways carry load, and that the benchmark works; the promise is
checked with the command at the top of this page.
"""


class Series(msgspec.Struct):
    """One thing that was measured, once in each run."""

    layer: str
    what: str
    unit: str
    values: dict[str, list[float]]
    """By kind."""

    def cell(self, kind: Kind) -> str:
        found = self.values[kind]
        return f"{_short(statistics.median(found))} ({_short(min(found))}-{_short(max(found))})"

    def change(self) -> str:
        """From a normal port to a VF, of the medians."""
        vf, normal = (statistics.median(self.values[kind]) for kind in KINDS)
        return f"{(vf / normal - 1) * 100:+.0f} %"


class Figures(msgspec.Struct):
    date: str
    nics: str
    seconds: float
    runs: int
    emulation: str = ""
    """By what; empty: these are real NICs."""
    series: list[Series] = []

    def add(self, kind: Kind, layer: str, what: str, unit: str, value: float) -> None:
        for one in self.series:
            if (one.layer, one.what) == (layer, what):
                one.values[kind].append(value)
                return
        values: dict[str, list[float]] = {name: [] for name in KINDS}
        values[kind].append(value)
        self.series.append(Series(layer, what, unit, values))

    def table(self) -> Table:
        table = Table("", *KINDS, "VF to normal port", title=f"median (min-max) of {self.runs} runs")
        for layer, rows in self._layers():
            table.add_row(f"[bold]{layer}")
            for one in rows:
                table.add_row(f"{one.what}, {one.unit}", *map(one.cell, KINDS), one.change())
        return table

    def section(self) -> str:
        """The measuring machine is the one that writes it."""
        lines = [
            f"\n## VF against normal port, {self.date}\n",
            f"{page.machine()}{f'; {self.emulation}' if self.emulation else ''}; {self.nics}. {self.runs} runs in",
            f"turn (VF, normal port, VF, ...), {self.seconds:g} s a figure; median (min-max), and how a VF differs.",
        ]
        if self.emulation:
            lines.append(EMULATED.rstrip())
        for layer, rows in self._layers():
            lines += [f"\n{layer}:\n", f"| | {' | '.join(KINDS)} | VF to normal port |", "|---|---|---|---|"]
            lines += [
                f"| {one.what}, {one.unit} | {' | '.join(map(one.cell, KINDS))} | {one.change()} |" for one in rows
            ]
        return "\n".join(lines) + "\n"

    def _layers(self) -> Iterator[tuple[str, list[Series]]]:
        for layer in dict.fromkeys(one.layer for one in self.series):
            yield layer, [one for one in self.series if one.layer == layer]


def _short(value: float) -> str:
    """Three digits, as more would be noise.

    >>> _short(0.12345), _short(12.345), _short(1234.5)
    ('0.123', '12.3', '1234')
    """
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
