"""HTTP requests from a test host through a VIP, each on a connection of its own."""

import collections
import http.client
import threading
import time
import urllib.parse
from typing import Any

from hydria.base.errors import HydriaError
from hydria.cli.demo.client import Client
from hydria.cli.demo.stage import TestHost

CONNECT_SECONDS = 0.05
"""On one link a connection stands within a millisecond; what was asked before the VIP was there is lost."""

PATIENCE = 30.0


class RequestFailed(HydriaError):
    """No answer, or not the wanted one."""


def ask(client: TestHost, url: str, *, seconds: float = 5.0) -> str:
    """The body of one answer. Raises RequestFailed."""
    return client.inside(lambda: _get(url, seconds))


def spread(client: TestHost, url: str, requests: int) -> collections.Counter[str]:
    """Who answered how often."""
    return client.inside(lambda: collections.Counter(_get(url, 5.0) for _ in range(requests)))


def first_byte(
    users: Client, client: TestHost, body: dict[str, Any], marks: dict[str, float] | None = None
) -> tuple[float, Any]:
    """Create and ask until somebody answers. Returns the seconds from before the POST, and the load balancer.

    Into `marks` goes when the POST was answered.
    """
    # A neighbour that does not answer is asked again after this time, which would else be a second, and measured.
    client.run(["sysctl", "-qw", "net.ipv4.neigh.eth0.retrans_time_ms=20"])
    began = time.monotonic()
    balancer = users.create("loadbalancers", **body)
    if marks is not None:
        marks["POST answered"] = time.monotonic() - began
    url = f"http://{balancer['vip_address']}/"
    deadline = began + PATIENCE
    pause = threading.Event()

    def until_answered() -> float:
        while True:
            try:
                _get(url, CONNECT_SECONDS)
                return time.monotonic() - began
            except RequestFailed:
                if time.monotonic() > deadline:
                    raise
                pause.wait(0.005)

    return client.inside(until_answered), balancer


def _get(url: str, seconds: float) -> str:
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=seconds)
    try:
        connection.request("GET", parts.path or "/")
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException) as error:
        raise RequestFailed(f"GET {url}: {type(error).__name__} {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise RequestFailed(f"GET {url}: {answer.status} {body}")
    return body
