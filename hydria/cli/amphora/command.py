"""`hydria amphora`: which amphorae there are and what they were booted from, and rolling failover to newer images."""

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hydria.base.config import Controller
from hydria.base.errors import HydriaError, Invalid, NotFound
from hydria.cli.amphora.outdated import Judged
from hydria.cli.amphora.rollout import Outcome, Rollout

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Amphorae and rolling failover.")

OsCloud = Annotated[
    str | None, typer.Option("--os-cloud", envvar="OS_CLOUD", metavar="NAME", help="Of clouds.yaml: an admin's login.")
]
Tag = Annotated[str, typer.Option("--tag", help="Of the image where a load balancer's flavor says no amp_image_tag.")]
_TAG = Controller().image_tag

_progress = Console(stderr=True, highlight=False)


@app.command("list")
def list_(
    *,
    outdated: Annotated[bool, typer.Option("--outdated", help="Only those that new ones would differ from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    tag: Tag = _TAG,
    os_cloud: OsCloud = None,
) -> None:
    """Amphorae, their images, and whether a new one would boot from another."""
    with _site(os_cloud) as site:
        found = [one for one in site.judged(tag) if one.outdated or not outdated]
    if as_json:
        print(json.dumps([_facts(one) for one in found], indent=2))
        return
    console = Console()
    # What is piped somewhere is not cut to a terminal's width.
    (console if console.is_terminal else Console(width=250)).print(_table(found))


@app.command()
def failover(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Amphorae.", show_default=False)] = None,
    *,
    outdated: Annotated[bool, typer.Option("--outdated", help="All that new ones would differ from.")] = False,
    at_a_time: Annotated[
        int, typer.Option("--at-a-time", min=1, metavar="N", help="Load balancers in failover at any moment, at most.")
    ] = 1,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    tag: Tag = _TAG,
    os_cloud: OsCloud = None,
) -> None:
    """Replace amphorae by new ones, which boot from the newest image. Each serves until its successor does.

    Stops when one fails, and says why. Interrupted, it leaves a failover that has begun to itself: begin it again
    for the rest.
    """
    if bool(ids) == outdated:
        raise Invalid("Name amphorae, or say --outdated: one of both.", field="ID")
    with _site(os_cloud) as site:
        chosen = _chosen(site.judged(tag), ids or (), outdated=outdated)
        if not chosen:
            print("There is nothing to replace: all amphorae are up to date.")
            return
        _confirm(chosen, at_a_time, yes=yes)
        _report(_roll(site, chosen, at_a_time))


def _chosen(there: Sequence[Judged], ids: Sequence[str], *, outdated: bool) -> list[Judged]:
    """Raises NotFound where nothing is left of what was named."""
    if outdated:
        return [one for one in there if one.outdated]
    chosen = [one for one in there if one.amphora.id in ids]
    gone = [id_ for id_ in ids if all(one.amphora.id != id_ for one in chosen)]
    for id_ in gone:
        _progress.print(f"Amphora {id_} is not there, or not any more.", style="yellow", soft_wrap=True)
    if gone and not chosen:
        raise NotFound("None of these amphorae is there: hydria amphora list shows them.")
    return chosen


def _confirm(chosen: Sequence[Judged], at_a_time: int, *, yes: bool) -> None:
    balancers = len({one.amphora.loadbalancer_id for one in chosen})
    if yes:
        return
    if not sys.stdin.isatty():
        raise Invalid("Nobody can be asked here: say --yes.", field="--yes")
    question = f"Replace {len(chosen)} amphorae of {balancers} load balancers, {min(at_a_time, balancers)} at a time?"
    typer.confirm(question, abort=True, err=True)


def _roll(site: Any, chosen: Sequence[Judged], at_a_time: int) -> Outcome:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with _interruptible() as stopping, Progress(*columns, console=_progress, disable=not _progress.is_terminal) as bar:
        task = bar.add_task("Failover", total=len(chosen))

        def tell(text: str, outcome: Outcome) -> None:
            bar.update(task, completed=len(outcome.replaced) + len(outcome.skipped))
            _progress.print(text, markup=False, soft_wrap=True)

        return Rollout(site, at_a_time=at_a_time, stopping=stopping, tell=tell).run(one.amphora for one in chosen)


def _report(outcome: Outcome) -> None:
    """Raises HydriaError, or Exit, unless all of it is done."""
    done = f"{len(outcome.replaced)} amphorae are replaced"
    if outcome.skipped:
        done += f", {len(outcome.skipped)} were gone already"
    if outcome.failures:
        whose = " ".join(f"Load balancer {lb_id}: {why}" for lb_id, why in outcome.failures.items())
        raise HydriaError(f"{done}, {len(outcome.not_begun)} were not begun. {whose}")
    if outcome.not_begun or outcome.under_way:
        going = f" Under way, and left to themselves: {', '.join(outcome.under_way)}." if outcome.under_way else ""
        print(f"Interrupted: {done}, {len(outcome.not_begun)} were not begun.{going}", file=sys.stderr)
        raise typer.Exit(128 + signal.SIGINT)
    print(f"{done}.")


@contextlib.contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Set by the first Ctrl-C or SIGTERM; the second one ends the process."""
    stopping = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()
        for number in numbers:
            signal.signal(number, before[number])

    for number in numbers:
        signal.signal(number, stop)
    try:
        yield stopping
    finally:
        for number in numbers:
            signal.signal(number, before[number])


@contextlib.contextmanager
def _site(os_cloud: str | None) -> Iterator[Any]:
    # The SDK takes a second to import, which help need not wait for.
    from hydria.cli.amphora.site import Site  # noqa: PLC0415

    site = Site(os_cloud)
    try:
        yield site
    finally:
        site.close()


def _table(found: Sequence[Judged]) -> Table:
    table = Table(box=None)
    for name in ("ID", "load balancer", "status", "role", "image", "version", "outdated", "why"):
        table.add_column(name, no_wrap=name in ("ID", "load balancer"))
    for one in found:
        facts = _facts(one)
        image = facts["image_name"] or facts["image_id"]
        shown = (facts["id"], facts["loadbalancer_id"], facts["status"], facts["role"], image, facts["hydria_version"])
        table.add_row(*(value or "" for value in shown), "yes" if one.outdated else "no", one.why)
    return table


def _facts(one: Judged) -> dict[str, Any]:
    amphora, image = one.amphora, one.image
    return {
        "id": amphora.id,
        "loadbalancer_id": amphora.loadbalancer_id,
        "status": amphora.status,
        "role": amphora.role,
        "image_id": amphora.image_id,
        "image_name": image.name if image else None,
        "hydria_version": image.version if image else None,
        "outdated": one.outdated,
        "why": one.why,
    }
