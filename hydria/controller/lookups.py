"""What a cloud seldom changes, remembered for a little while, so that a reconcile asks only for what is new."""

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from cachetools import TTLCache

from hydria.base.errors import Terminal
from hydria.controller.parallel import together
from hydria.drivers.cloud import Cloud, Network, Subnet

_SECONDS = 60.0
_ENTRIES = 10_000

T = TypeVar("T", Network, Subnet)


class Lookups:
    """Threads share it. What is not there is asked for again each time."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._cache: TTLCache[tuple[str, str], Network | Subnet] = TTLCache(_ENTRIES, _SECONDS)
        self._lock = threading.Lock()

    def network(self, id_or_name: str) -> Network:
        network = self._remembered("network", id_or_name, self._cloud.network)
        if network is None:
            raise Terminal(f"Network {id_or_name} not found.")
        return network

    def image(self, tag: str) -> str:
        """Not remembered: one may have been uploaded, or deleted, a moment ago."""
        image = self._cloud.image_by_tag(tag)
        if image is None:
            raise Terminal(f"There is no active image with the tag '{tag}'.")
        return image

    def networks(self, ids: Iterable[str]) -> Mapping[str, Network]:
        wanted = sorted(set(ids))
        return dict(
            zip(
                wanted,
                together([partial(self.network, id_) for id_ in wanted], instant=self._cloud.instant),
                strict=True,
            )
        )

    def subnets(self, ids: Iterable[str]) -> Mapping[str, Subnet]:
        """Those there are."""
        wanted = sorted(set(ids))
        calls = [partial(self._remembered, "subnet", id_, self._cloud.subnet) for id_ in wanted]
        return {
            id_: subnet
            for id_, subnet in zip(wanted, together(calls, instant=self._cloud.instant), strict=True)
            if subnet is not None
        }

    def _remembered(self, kind: str, key: str, ask: Callable[[str], T | None]) -> T | None:
        with self._lock:
            known: T | None = self._cache.get((kind, key))  # type: ignore[assignment] # the kind says the type
        if known is None:
            known = ask(key)
            if known is not None:
                with self._lock:
                    self._cache[kind, key] = known
        return known
