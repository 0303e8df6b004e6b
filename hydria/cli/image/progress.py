"""A bar for a person, a line per step for a log."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TransferSpeedColumn,
)

Report = Callable[[str, float], None]
"""(step, how much of the whole is done before it, 0..1)."""


@contextlib.contextmanager
def steps(console: Console) -> Iterator[Report]:
    if not console.is_terminal:
        last = ""

        def line(step: str, done: float) -> None:
            nonlocal last
            if step != last:
                console.print(f"{done:4.0%} {step}", markup=False, highlight=False, soft_wrap=True)
            last = step

        yield line
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:3.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("", total=1.0)
        yield lambda step, done: progress.update(task, description=step, completed=done)


@contextlib.contextmanager
def transfers(console: Console) -> Iterator[Callable[[str, int, int], None]]:
    """A bar per file: (file, bytes sent, bytes it has). Nothing for a log: what was uploaded is said in the end."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def sent(file: str, done: int, size: int) -> None:
            if file not in tasks:
                tasks[file] = progress.add_task(file, total=size)
            progress.update(tasks[file], completed=done)

        yield sent
