"""How the demo looks: titles, commands with their output, bars."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hydria.base import process
from hydria.model.spec import VIP_INTERFACE
from hydria.sriov import namespaces
from hydria.sriov.netlink import Netlink

WIDTH = 40


def title(console: Console, text: str) -> None:
    console.print()
    console.print(text, style="bold cyan")


def command(console: Console, line: str) -> None:
    """Type it and show what it prints. Raises ProcessFailed."""
    console.print(f"$ {line}", style="bold", markup=False, soft_wrap=True)
    own = {"hydria": [sys.executable, "-m", "hydria.cli.main"]}
    first, *others = shlex.split(line)
    done = process.run([*own.get(first, [first]), *others], environment={"COLUMNS": str(console.width)})
    console.print(done.stdout.rstrip(), markup=False, soft_wrap=True)


def bars(console: Console, counts: Mapping[str, int]) -> None:
    most = max(counts.values(), default=1)
    table = Table.grid(padding=(0, 1))
    for name, count in sorted(counts.items()):
        table.add_row(name, "█" * round(WIDTH * count / most), str(count))
    console.print(table)


def amphora_namespaces(fabric: str) -> list[Path]:
    """Where the VIP's VF of each amphora of this fabric is."""
    return [path for path in namespaces.everywhere().values() if _has_vip(path, fabric)]


def _has_vip(namespace: Path, fabric: str) -> bool:
    try:
        with Netlink(namespace) as netlink:
            links = netlink.links()
    except namespaces.NoNamespace:
        return False
    return any(
        link.name == VIP_INTERFACE and link.tag is not None and link.tag.fabric == fabric and link.tag.kind == "vf"
        for link in links
    )
