"""Amphorae: operators look at them, have them replaced, and have their spec sent anew."""

from typing import TypedDict

import msgspec

from hydria.api.call import Answer, Call
from hydria.api.collection import Collection
from hydria.api.route import operation
from hydria.base.errors import Conflict
from hydria.model.amphora import Amphora
from hydria.model.heartbeat import ListenerStats
from hydria.store import amphorae, load_balancers, statistics
from hydria.store.database import Transaction


class CountersOfListener(ListenerStats, kw_only=True, frozen=True):
    id: str
    listener_id: str
    loadbalancer_id: str | None


class AmphoraStats(TypedDict):
    amphora_stats: list[CountersOfListener]


class Amphorae(Collection[Amphora]):
    resource = Amphora
    singular, plural, links = "amphora", "amphorae", "amphorae_links"
    title, rule = "Amphora", "amphora"

    @operation(summary="Counters of each listener that an amphora has served", answer=AmphoraStats, since="v2.4")
    def stats(self, call: Call) -> Answer:
        """Counters of each listener that it has served, from its heartbeats."""
        with call.services.database.read() as tx:
            row = self._allowed(tx, call, "get_stats")
            served = statistics.amphora_stats(tx, row.id)
        whose = {"id": row.id, "loadbalancer_id": row.loadbalancer_id}
        shown = [{**whose, "listener_id": id_, **msgspec.to_builtins(counted)} for id_, counted in served.items()]
        return Answer({"amphora_stats": shown})

    @operation(summary="Replace an amphora", status=202)
    def failover(self, call: Call) -> Answer:
        with call.services.database.write() as tx:
            row = self._allowed(tx, call, "put_failover")
            self._touch(tx, call, row)
            amphorae.ask_failover(tx, (row,), "its failover was asked for.")
        call.services.wake.send()
        return Answer(status=202)

    @operation(summary="Send an amphora's agent its whole configuration anew", status=202, since="v2.7")
    def configure(self, call: Call) -> Answer:
        """Its agent gets its whole spec again, as the load balancer's next round sends it to all of them."""
        with call.services.database.write() as tx:
            self._touch(tx, call, self._allowed(tx, call, "put_config"))
        call.services.wake.send()
        return Answer(status=202)

    @operation(since="v2.21")
    def delete(self, call: Call) -> Answer:
        with call.services.database.write() as tx:
            amphorae.remove(tx, self._allowed(tx, call, "delete"))
        call.services.wake.send()
        return Answer(status=204)

    def _allowed(self, tx: Transaction, call: Call, verb: str) -> Amphora:
        """The row that the path names. Raises NotFound, Forbidden."""
        row = self.load(tx, call)
        call.authorize(f"{self.rule}:{verb}", self.project_of(row, call))
        return row

    def _touch(self, tx: Transaction, call: Call, row: Amphora) -> None:
        """Raises Conflict."""
        if row.loadbalancer_id is None:
            raise Conflict(f"Amphora {row.id} has no load balancer: it can only be deleted.")
        load_balancers.touch(tx, row.loadbalancer_id, strict=call.services.config.api.strict_immutable, mends=True)
