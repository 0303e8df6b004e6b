"""Pools, with the members and the health monitor that a POST may bring along."""

from collections.abc import Mapping
from typing import Any

from hydria.api import below, forms, tls_references
from hydria.api.call import Answer, Call
from hydria.api.collection import Part
from hydria.api.draft import check_subnets
from hydria.base.errors import Conflict, Invalid
from hydria.model import rules, tls_rules
from hydria.model.l7 import L7Policy
from hydria.model.listener import Listener
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Pool
from hydria.model.status import ProvisioningStatus
from hydria.store import load_balancers, resources
from hydria.store.database import Transaction


class Pools(Part[Pool]):
    resource = Pool
    singular, plural, links = "pool", "pools", "pools_links"
    title, rule, parent = "Pool", "pool", "loadbalancer_id"

    def create(self, call: Call) -> Answer:
        form = forms.pool(call.form(self.singular))
        if form.listener_id is None and form.loadbalancer_id is None:
            raise Invalid("Must provide at least one of: loadbalancer_id, listener_id", field="loadbalancer_id")
        with call.services.database.read() as tx:
            parent, _ = _parents(tx, form)
            call.authorize("pool:post", parent.project_id)
        check_subnets(call.cloud, form.members)
        tls_references.check_new(call, (), [form])
        with call.services.database.write() as tx:
            parent, listener = _parents(tx, form)
            draft = below.draft(tx, call, parent)
            pool = draft.add_pool(form)
            if listener is not None:
                rules.check_pairing(listener, pool)
                rules.check_no_default_pool(listener)
            generation = draft.write(tx, lambda: below.touch(tx, call, parent))
            if listener is not None:
                resources.update(tx, Listener, listener.id, default_pool_id=pool.id)
                load_balancers.mark_pending(tx, Listener, listener.id, ProvisioningStatus.PENDING_UPDATE, generation)
            (shown,) = self.answers(tx, (self.find(tx, pool.id),))
        call.services.wake.send()
        return Answer({self.singular: shown}, 201)

    def changed(self, call: Call, tx: Transaction, old: Pool, new: Pool) -> Pool:
        del tx
        new = tls_rules.pool_with_defaults(new, call.services.config.api)
        tls_rules.check(new, call.services.config.api, old)
        rules.check_pool(new)
        return new

    def look_up(self, call: Call, changes: Mapping[str, Any]) -> None:
        tls_references.check_put(self, call, changes)

    def check_unused(self, tx: Transaction, row: Pool) -> None:
        for policy in filter(below.stays, resources.find(tx, L7Policy, redirect_pool_id=row.id)):
            raise Conflict(f"Pool {row.id} is in use by L7 policy {policy.id}")

    def load_balancer_of(self, tx: Transaction, row: Pool) -> LoadBalancer:
        return below.load_balancer(tx, row.loadbalancer_id)


def _parents(tx: Transaction, form: forms.PoolForm) -> tuple[LoadBalancer, Listener | None]:
    """Raises NotFound, or Invalid when the two do not belong together."""
    if form.listener_id is None:
        return below.load_balancer(tx, form.loadbalancer_id or ""), None
    listener = below.listener(tx, form.listener_id)
    if form.loadbalancer_id not in (None, listener.loadbalancer_id):
        raise Invalid(
            f"Listener {listener.id} is not on load balancer {form.loadbalancer_id}.", field="loadbalancer_id"
        )
    return below.load_balancer(tx, listener.loadbalancer_id), listener
