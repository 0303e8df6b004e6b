"""Everything that a reconcile touches besides the database, and what ends its waiting."""

import threading
from dataclasses import dataclass, field

from hydria.base.config import Config
from hydria.base.errors import Retryable
from hydria.controller.lookups import Lookups
from hydria.controller.metrics import Metrics
from hydria.controller.vitals import Breaker, Vitals
from hydria.drivers.amphora import AmphoraClient
from hydria.drivers.certificates import Authority
from hydria.drivers.cloud import Cloud

_LINKS = 8


@dataclass(frozen=True)
class Outside:
    config: Config
    cloud: Cloud
    client: AmphoraClient
    authority: Authority
    lookups: Lookups
    vitals: Vitals
    breaker: Breaker = field(default_factory=Breaker)
    """Of amphorae that do not answer: that may be our own network."""
    link_breaker: Breaker = field(default_factory=lambda: Breaker(replacements=_LINKS))
    """Of those that say themselves that they have no link: as many as a PF carries, not all of a switch's."""
    metrics: Metrics = field(default_factory=Metrics)
    stopping: threading.Event = field(default_factory=threading.Event)

    def pause(self, seconds: float) -> None:
        """Wait between two looks at the world. Raises Retryable when the controller stops."""
        if self.stopping.wait(seconds):
            raise Retryable("The controller stops.", after=0)
