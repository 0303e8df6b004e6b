"""What VF against normal port gave, and the section of docs/benchmarks.md that tells it. Measures nothing."""

import statistics
import textwrap
from collections.abc import Iterator
from typing import Literal

import msgspec
import page
from rich.table import Table

Kind = Literal["VF", "normal port"]
KINDS: tuple[Kind, ...] = ("VF", "normal port")

PROMISE = "Reported of real NICs, by the specification behind the guide: -70 % latency, +9 % bandwidth."
EMULATED = """
**An emulated NIC: of real hardware these figures say nothing**, neither that a VF is faster there nor that it is not.
QEMU works off the NIC's registers, interrupts and switch in software, and runs the guest's code (client, HAProxy,
backend, and the veth and bridge that a VF saves) ten to twenty times slower than a CPU does: neither cost has the size,
nor the share of the whole, that it has on hardware. The figures show that both ways carry load and that the benchmark
works. The promise is checked with the command at the top of this page.
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
        """From a normal port to a VF: of the medians, and the range of the pairs that were measured in one run.

        A range on both sides of 0 shows no difference.
        """
        vf, normal = (self.values[kind] for kind in KINDS)
        pairs = [_percent(one, other) for one, other in zip(vf, normal, strict=True)]
        middle = _percent(statistics.median(vf), statistics.median(normal))
        return f"{middle:+.0f} % ({min(pairs):+.0f} to {max(pairs):+.0f})"


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
        table = Table("", *KINDS, "VF differs by", title=f"median (min-max) of {self.runs} runs")
        for layer, rows in self._layers():
            table.add_row(f"[bold]{layer}")
            for one in rows:
                table.add_row(f"{one.what}, {one.unit}", *map(one.cell, KINDS), one.change())
        return table

    def section(self) -> str:
        """The measuring machine is the one that writes it."""
        emulation = f"; {self.emulation}" if self.emulation else ""
        about = (
            f"{page.machine()}{emulation}; {self.nics}. {self.runs} runs in turn (VF, normal port, VF, ...), "
            f"{self.seconds:g} s for each figure: median (min-max). How a VF differs: of the medians (lowest to "
            "highest of the runs; where these are on both sides of 0, no difference is shown)."
        )
        lines = [f"\n## VF against normal port, {self.date}\n", textwrap.fill(f"{about} {PROMISE}", 120)]
        if self.emulation:
            lines.append(EMULATED.rstrip())
        for layer, rows in self._layers():
            lines += [f"\n{layer}:\n", f"| | {' | '.join(KINDS)} | VF differs by |", "|---|---|---|---|"]
            lines += [
                f"| {one.what}, {one.unit} | {' | '.join(map(one.cell, KINDS))} | {one.change()} |" for one in rows
            ]
        return "\n".join(lines) + "\n"

    def _layers(self) -> Iterator[tuple[str, list[Series]]]:
        for layer in dict.fromkeys(one.layer for one in self.series):
            yield layer, [one for one in self.series if one.layer == layer]


def _percent(value: float, than: float) -> float:
    return (value / than - 1) * 100


def _short(value: float) -> str:
    """Three digits, as more would be noise.

    >>> _short(0.12345), _short(12.345), _short(1234.5)
    ('0.123', '12.3', '1234')
    """
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
