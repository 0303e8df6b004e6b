"""The Load Balancer API, Hydria's and Octavia's, under the same load on this machine. Writes docs/benchmarks.md.

Octavia is that of OCTAVIA_PEER (see docs/benchmarks.md). Without it nothing is compared, and nothing is written.
"""

import argparse
import datetime as dt
import os
import statistics
import sys
import textwrap
from pathlib import Path

import api_servers
import msgspec
import page
from api_load import CLIENTS, Counts, Figure, Load
from rich.console import Console
from rich.table import Table

from hydria.base.errors import HydriaError

PEER = "OCTAVIA_PEER"
OURS, THEIRS = "Hydria", "Octavia"
COUNTS = {
    OURS: Counts(creates=100, concurrent=600, trees=50, shows=400, lists=30, batches=5, deletes=40),
    THEIRS: Counts(creates=30, concurrent=160, trees=10, shows=200, lists=15, batches=1, deletes=20),
}
"""Of Octavia fewer, so that the whole takes about ten minutes; most of them are its own."""
TRIAL = Counts(creates=3, concurrent=16, trees=2, shows=5, lists=2, batches=1, deletes=2, balancers=30, members=20)
BUSY = 0.05
"""Share of the CPU that others may have: beyond it a figure is marked."""
GOALS = {
    f"create until ACTIVE, {CLIENTS} clients": 20.0,
    "list of 1000": 10.0,
    "batch of 1000 members, create: PUT": 10.0,
    "batch of 1000 members, create: until ACTIVE": 10.0,
    "batch of 1000 members, change: PUT": 10.0,
    "batch of 1000 members, change: until ACTIVE": 10.0,
}

Figures = dict[str, list[Figure]]
"""By server."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trial", action="store_true", help="a few of everything, print only: does it all work?")
    parser.add_argument("--only", choices=(OURS, THEIRS), help="one of them, print only")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="keep every value as JSON")
    parser.add_argument("--no-page", action="store_true", help="print only")
    arguments = parser.parse_args()
    console = Console(width=150)
    program = os.environ.get(PEER)
    if program is None and arguments.only != OURS:
        console.print(f"{PEER} names no Octavia to compare with, so nothing is measured: see docs/benchmarks.md.")
        return
    try:
        if program is not None:
            api_servers.ask_peer(
                program, "env"
            )  # before ours is measured, for nothing if there is none to compare with
        figures = _measured(program or "", arguments, console)
    except HydriaError as error:
        sys.exit(f"bench: {error}")
    if arguments.figures:
        arguments.figures.write_bytes(msgspec.json.format(msgspec.json.encode(figures)))
    console.print(_table(figures))
    if arguments.trial or arguments.only or arguments.no_page:
        return
    page.insert(_section(figures))
    missed = [
        f"{what}: {ratio:.1f}, not {GOALS[what]:g}" for what, ratio in _ratios(figures).items() if _missed(what, ratio)
    ]
    if missed:
        sys.exit(f"bench: times as fast as Octavia: {'; '.join(missed)}")


def _measured(program: str, arguments: argparse.Namespace, console: Console) -> Figures:
    servers = {OURS: api_servers.hydria, THEIRS: lambda: api_servers.peer(program)}
    found: Figures = {}
    for name, server in servers.items():
        if arguments.only not in (None, name):
            continue
        counts = TRIAL if arguments.trial else COUNTS[name]
        with console.status(f"{name}: starting") as status, server() as target:
            found[name] = Load(target, counts, status.update).run()
    return found


def _ratios(figures: Figures) -> dict[str, float]:
    """How many times better we are."""
    if len(figures) < len(COUNTS):
        return {}
    found = {}
    for ours, theirs in zip(figures[OURS], figures[THEIRS], strict=True):
        one, other = statistics.median(ours.values), statistics.median(theirs.values)
        found[ours.what] = one / other if ours.unit == "per second" else other / one
    return found


def _missed(what: str, ratio: float) -> bool:
    return ratio < GOALS.get(what, 0.0)


def _rows(figures: Figures) -> list[list[str]]:
    ratios = _ratios(figures)
    rows = []
    for number, figure in enumerate(next(iter(figures.values()))):
        cells = [_cell(figures[name][number]) if name in figures else "" for name in COUNTS]
        ratio = ratios.get(figure.what)
        goal = GOALS.get(figure.what)
        better = "" if ratio is None else f"{_short(ratio)}x" + (f" (goal {goal:g}x)" if goal else "")
        rows.append([f"{figure.what}, {figure.unit}", *cells, better])
    return rows


def _cell(figure: Figure) -> str:
    mark = f" ({figure.other:.0%} of the CPU elsewhere)" if figure.other > BUSY else ""
    middle = _short(statistics.median(figure.values))
    if len(figure.values) < 2:
        return f"{middle}{mark}"
    ranked = sorted(figure.values)
    return f"{middle} / {_short(ranked[-(-19 * len(ranked) // 20) - 1])}{mark}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def _table(figures: Figures) -> Table:
    table = Table("", OURS, THEIRS, "times better", title="median / 95th percentile")
    for row in _rows(figures):
        table.add_row(*row)
    return table


def _section(figures: Figures) -> str:
    ours, theirs = COUNTS[OURS], COUNTS[THEIRS]
    about = (
        f"{page.machine()}, CPython {sys.version.split()[0]}. `hydria up --noop` and Octavia 19 with no-op drivers, "
        f"one after the other, each alone with an empty database and {api_servers.PROCESSES} API processes; Hydria "
        "with SQLite, Octavia with MariaDB, RabbitMQ, memcached and Keystone, included in its memory. MariaDB flushes "
        "each commit to the disk, SQLite every few hundred ([0057](design/0057-speed-of-the-api.md)). Median / 95th "
        "percentile. The slower one is asked less often: "
        f"{theirs.creates} creates one at a time, {theirs.concurrent} from {CLIENTS} clients (Hydria: {ours.creates} "
        f"and {ours.concurrent}), {theirs.trees} trees ({ours.trees}), {theirs.lists} lists ({ours.lists}), "
        f"{theirs.batches} batch of each kind ({ours.batches}), {theirs.deletes} deletes ({ours.deletes}). "
        f"Each of {CLIENTS} clients creates its next load balancer when the last one is ACTIVE: it asks after 0.05 s, "
        "then every 0.05 s, later whenever the time that has passed has grown by 15 %."
    )
    lines = [
        f"\n## The API against Octavia's, {dt.datetime.now(dt.UTC):%Y-%m-%d}\n",
        textwrap.fill(about, 120),
        "",
        f"| | {OURS} | {THEIRS} | times better |",
        "|---|---|---|---|",
    ]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in _rows(figures))]) + "\n"


if __name__ == "__main__":
    main()
