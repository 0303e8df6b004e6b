"""Calls that need nothing of each other, at the same time."""

import contextvars
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")


def together(calls: Sequence[Callable[[], T]], *, instant: bool = False) -> list[T]:
    """Their results in order. All have ended when this returns or raises the first one's error.

    Threads of their own, daemons, and no pool: a pool's are waited for when the process ends, and one that hangs in a
    cloud's silence would hold up the stop. `instant` ones are made in turn: a thread would take longer than they do.
    """
    if instant:
        return [call() for call in calls]
    results: dict[int, T] = {}
    errors: dict[int, BaseException] = {}

    def run(position: int) -> None:
        try:
            results[position] = calls[position]()
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            errors[position] = error

    threads = [
        threading.Thread(target=contextvars.copy_context().run, args=(run, position), daemon=True)
        for position in range(1, len(calls))
    ]
    for thread in threads:
        thread.start()
    if calls:
        run(0)
    for thread in threads:
        thread.join()
    for _, error in sorted(errors.items()):
        raise error
    return [results[position] for position in range(len(calls))]


def both(first: Callable[[], A], second: Callable[[], B], *, instant: bool = False) -> tuple[A, B]:
    """`together` for two calls whose results differ in type."""
    one, other = together(cast("list[Callable[[], object]]", [first, second]), instant=instant)
    return cast("tuple[A, B]", (one, other))
