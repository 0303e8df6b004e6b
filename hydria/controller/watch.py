"""Looks at what heartbeats told, many times a second, and asks for replacement of what has no link, or died.

In memory as long as all is well: then it asks neither the database nor the cloud. What is done about a loss is decided
by the reconcile (amphorae.py).
"""

from collections.abc import Callable

from hydria.base.config import Controller
from hydria.base.errors import HydriaError
from hydria.base.log import Logger
from hydria.controller.servers import why_dead
from hydria.controller.vitals import Heard, Vitals
from hydria.drivers.cloud import Cloud
from hydria.model.amphora import Amphora, Replacement
from hydria.model.status import AmphoraStatus
from hydria.store import amphorae, queue, resources
from hydria.store.database import Database

_LATE = 1.5
"""Heartbeat intervals of silence after which the cloud, which knows at once, is asked whether the server lives."""
_NEVER_SEEN = 10.0
"""Times the patience with a link that was never there: its PF may be down for long, and others of no more use."""
_REMINDER_SECONDS = 30.0
"""A failover that came to nothing takes the place of what was asked before, and with it goes."""

log = Logger(__name__)


class Watch:
    def __init__(
        self,
        database: Database,
        cloud: Cloud,
        vitals: Vitals,
        config: Controller,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._cloud = cloud
        self._vitals = vitals
        self._config = config
        self._wake = wake
        self._without_link: dict[str, float] = {}
        """Amphora → when its replacement was asked for last."""
        self._looked: dict[str, float] = {}
        """Late amphora → when its server was looked at last."""

    def look(self) -> None:
        now = self._vitals.clock()
        everybody = self._vitals.everybody()
        for amphora_id, heard in everybody.items():
            self._look_at_link(amphora_id, heard, now)
        interval = self._config.heartbeat_interval
        late = [id_ for id_, heard in everybody.items() if now - heard.at > _LATE * interval]
        self._looked = {id_: at for id_, at in self._looked.items() if id_ in late}
        for amphora_id in late:
            if now - self._looked.get(amphora_id, float("-inf")) > interval:
                self._looked[amphora_id] = now
                self._look_at_server(amphora_id)
        self._without_link = {id_: at for id_, at in self._without_link.items() if id_ in everybody}

    def _look_at_link(self, amphora_id: str, heard: Heard, now: float) -> None:
        if heard.link_lost is None:
            if amphora_id in self._without_link:
                del self._without_link[amphora_id]
                self._link_is_back(heard)
            return
        patience = self._config.link_timeout * (1.0 if heard.link_seen else _NEVER_SEEN)
        asked = self._without_link.get(amphora_id, float("-inf"))
        if now - heard.link_lost > patience and now - asked > _REMINDER_SECONDS:
            self._without_link[amphora_id] = now
            since = f"has had no link for {now - heard.link_lost:.0f} s"
            reason = f"The VIP's NIC of amphora {amphora_id} {since}: it is replaced when another NIC can be had."
            self._ask(amphora_id, Replacement.LINK, reason)

    def _link_is_back(self, heard: Heard) -> None:
        with self._database.write() as tx:
            queue.mark(tx, heard.load_balancer_id)
        self._wake()

    def _look_at_server(self, amphora_id: str) -> None:
        with self._database.read() as tx:
            row = resources.get(tx, Amphora, amphora_id)
        if row is None or row.compute_id is None or row.status is not AmphoraStatus.ALLOCATED:
            return
        try:
            dead = why_dead(self._cloud.server(row.compute_id))
        except HydriaError as error:
            log.info("whether a silent amphora lives is not known", amphora_id=amphora_id, reason=error)
            return
        if dead is not None:
            self._ask(amphora_id, Replacement.SERVER, f"Amphora {amphora_id} is replaced: {dead}")

    def _ask(self, amphora_id: str, cause: Replacement, reason: str) -> None:
        with self._database.write() as tx:
            asked = amphorae.ask_replacement(tx, amphora_id, cause, reason)
        if asked:
            log.warning("amphora lost", amphora_id=amphora_id, cause=cause, reason=reason)
            self._wake()
