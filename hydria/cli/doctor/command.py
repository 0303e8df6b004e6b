"""`hydria doctor`: what is wrong with this host, and the command that mends it. Exit status for monitoring."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from hydria.base.config import load
from hydria.cli.doctor import gather, kernel, machines, nics, service
from hydria.cli.doctor.facts import Host
from hydria.cli.doctor.finding import ORDER, Finding, exit_status, worst

app = typer.Typer()

_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "bold red"}


@app.command()
def doctor(
    *,
    config: Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Check what it says too.")] = None,
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", metavar="DIR", help="Check it too, and its hydria.toml.")
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Also what is well.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs: all of it.")] = False,
) -> None:
    """Check this host: kernel, programs, SR-IOV NICs, configuration; each finding with the command that mends it.

    Exit status: 0 all is well, 1 there are warnings, 2 there are errors.
    """
    findings = [kernel.NOT_ROOT]
    if os.geteuid() == 0:
        with Console(stderr=True).status("looking at this host"):
            path = config or _remembered(state_dir)
            findings = examine(gather.host(None if path is None else load(path), path, state_dir))
    if as_json:
        print(json.dumps({"status": worst(findings), "findings": msgspec.to_builtins(findings)}, indent=2))
    else:
        _print(findings, verbose=verbose)
    raise typer.Exit(exit_status(findings))


def examine(host: Host) -> list[Finding]:
    return [*kernel.check(host), *machines.check(host), *nics.check(host), *service.check(host)]


def _remembered(state_dir: Path | None) -> Path | None:
    path = None if state_dir is None else state_dir / "hydria.toml"
    return path if path is not None and path.exists() else None


def _print(findings: list[Finding], *, verbose: bool) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=1000)
    counts = Counter(finding.severity for finding in findings)
    table = Table.grid(padding=(0, 2))
    for finding in sorted(findings, key=lambda finding: -ORDER.index(finding.severity)):
        if finding.severity == "ok" and not verbose:
            continue
        style = _STYLES[finding.severity]
        table.add_row(f"[{style}]{finding.severity}[/]", escape(finding.subject), escape(finding.text))
        if finding.mend:
            # Not broken into lines by us: it is to be copied.
            table.add_row("", "", f"[bold]$ {escape(finding.mend)}[/]")
    console.print(table)
    print(", ".join(f"{counts[severity]} {severity}" for severity in reversed(ORDER) if counts[severity]))
