"""Amphorae: operators look at them, have them replaced, and have their spec sent anew."""

import msgspec

from hydria.api.call import Answer, Call
from hydria.api.collection import Collection
from hydria.base.errors import Conflict
from hydria.model.amphora import Amphora
from hydria.store import amphorae, load_balancers, statistics
from hydria.store.database import Transaction


class Amphorae(Collection[Amphora]):
    resource = Amphora
    singular, plural, links = "amphora", "amphorae", "amphorae_links"
    title, rule = "Amphora", "amphora"

    def stats(self, call: Call) -> Answer:
        """Counters of each listener that it has served, from its heartbeats."""
        with call.services.database.read() as tx:
            row = self._allowed(tx, call, "get_stats")
            served = statistics.amphora_stats(tx, row.id)
        whose = {"id": row.id, "loadbalancer_id": row.loadbalancer_id}
        shown = [{**whose, "listener_id": id_, **msgspec.to_builtins(counted)} for id_, counted in served.items()]
        return Answer({"amphora_stats": shown})

    def failover(self, call: Call) -> Answer:
        with call.services.database.write() as tx:
            row = self._allowed(tx, call, "put_failover")
            self._touch(tx, call, row)
            amphorae.ask_failover(tx, (row,), "its failover was asked for.")
        call.services.wake.send()
        return Answer(status=202)

    def configure(self, call: Call) -> Answer:
        """Its agent gets its whole spec again, as the load balancer's next round sends it to all of them."""
        with call.services.database.write() as tx:
            self._touch(tx, call, self._allowed(tx, call, "put_config"))
        call.services.wake.send()
        return Answer(status=202)

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
