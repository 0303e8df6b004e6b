"""Whether a service answers yet. Only looks; never starts anything."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from hydria.base.errors import HydriaError
from hydria.cli.up.child import Child

PATIENCE = 180.0
POLL = 0.05
DEATHS = 3
"""A service that died so often before it ever answered will not answer."""


class NoAnswer(HydriaError):
    """A service did not come up; the text holds its last words."""


def await_answer(child: Child, answers: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Returns once it answers. Raises NoAnswer."""
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while not answers():
        if child.deaths >= DEATHS or time.monotonic() > deadline:
            raise NoAnswer(f"Starting {child.name}: it does not answer. Its last words: {child.last_words or 'none'}")
        pause.wait(POLL)


def http_answers(url: str) -> bool:
    try:
        # It is http, and reading the certificates of all CAs would cost more than all the rest of the question.
        return httpx.get(url, timeout=5.0, trust_env=False, verify=False).status_code < 500  # noqa: S501
    except httpx.HTTPError:
        return False


def udp_bound(port: int) -> bool:
    """Whether some socket of this network namespace is bound to the UDP port; asking it would be a datagram to it."""
    for table in ("/proc/net/udp", "/proc/net/udp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:  # a kernel without IPv6
            continue
        if any(int(line.split()[1].rpartition(":")[2], 16) == port for line in lines):
            return True
    return False
