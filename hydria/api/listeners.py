"""Listeners."""

from collections.abc import Mapping
from typing import Any, TypedDict

from hydria.api import below, forms, tls_references
from hydria.api.call import Answer, Call
from hydria.api.collection import Part
from hydria.api.draft import check_subnets
from hydria.api.route import operation
from hydria.model import tls_rules
from hydria.model.heartbeat import ListenerStats
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.store import health
from hydria.store.database import Transaction


class Stats(TypedDict):
    stats: ListenerStats


class Listeners(Part[Listener]):
    resource = Listener
    singular, plural, links = "listener", "listeners", "listeners_links"
    title, rule, parent = "Listener", "listener", "loadbalancer_id"

    def create(self, call: Call) -> Answer:
        form = forms.listener(call.form(self.singular))
        with call.services.database.read() as tx:
            parent = below.load_balancer(tx, form.values["loadbalancer_id"])
            call.authorize("listener:post", parent.project_id)
        check_subnets(call.cloud, [member for pool in form.pools for member in pool.members])
        tls_references.check_new(call, [form], form.pools)
        with call.services.database.write() as tx:
            parent = below.load_balancer(tx, parent.id)
            draft = below.draft(tx, call, parent)
            for pool in form.pools:
                draft.add_pool(pool)
            listener = draft.add_listener(form)
            draft.write(tx, lambda: below.touch(tx, call, parent))
            (shown,) = self.answers(tx, (self.find(tx, listener.id),))
        call.services.wake.send()
        return Answer({self.singular: shown}, 201)

    def changed(self, call: Call, tx: Transaction, old: Listener, new: Listener) -> Listener:
        new = tls_rules.listener_with_defaults(new, call.services.config.api)
        below.draft(tx, call, self.load_balancer_of(tx, old)).check_listener(new, old)
        return new

    def look_up(self, call: Call, changes: Mapping[str, Any]) -> None:
        tls_references.check_put(self, call, changes)

    def load_balancer_of(self, tx: Transaction, row: Listener) -> LoadBalancer:
        return below.load_balancer(tx, row.loadbalancer_id)

    @operation(summary="Counters of a listener", answer=Stats)
    def stats(self, call: Call) -> Answer:
        with call.services.database.read() as tx:
            listener = self.load(tx, call)
            call.authorize("listener:get_stats", listener.project_id)
            return Answer({"stats": health.listener_stats(tx, [listener.id])})
