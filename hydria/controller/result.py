"""How a reconcile ends. The loop alone decides what follows from it."""

from dataclasses import dataclass

from hydria.store.outcome import Outcome


@dataclass(frozen=True)
class Done:
    """The world is what it should be, but for the outcome's faults."""

    outcome: Outcome
    again: float | None = None
    """Seconds after which a fault may have gone away by itself."""


@dataclass(frozen=True)
class Gone:
    """Deleted, with everything that belonged to it."""


@dataclass(frozen=True)
class Again:
    """Something outside did not work this time."""

    reason: str
    after: float | None = None
    """None: the loop's back-off."""
    generation: int | None = None
    """Of the graph, if one was read; None also while deleting, which has no other end than done."""


@dataclass(frozen=True)
class Failed:
    """Trying again cannot help before somebody changes something."""

    reason: str
    generation: int
    again: float | None = None
    """Seconds after which somebody may have; None: a user's next write tells."""


Result = Done | Gone | Again | Failed
