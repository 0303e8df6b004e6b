"""Health monitors: at most one per pool."""

from hydria.api import below, forms
from hydria.api.call import Answer, Call
from hydria.api.collection import Part
from hydria.base.errors import Conflict
from hydria.model import rules
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import HealthMonitor, Pool
from hydria.store import resources
from hydria.store.database import Transaction


class HealthMonitors(Part[HealthMonitor]):
    resource = HealthMonitor
    singular, plural, links = "healthmonitor", "healthmonitors", "healthmonitors_links"
    title, rule, parent = "Health Monitor", "healthmonitor", "pool_id"

    def create(self, call: Call) -> Answer:
        values = forms.health_monitor(call.form(self.singular))
        with call.services.database.write() as tx:
            pool = below.pool(tx, values["pool_id"])
            call.authorize("healthmonitor:post", pool.project_id)
            parent = below.load_balancer(tx, pool.loadbalancer_id)
            draft = below.draft(tx, call, parent)
            monitor = draft.add_health_monitor(values, pool)
            draft.write(tx, lambda: _accept(tx, call, parent, pool))
            (shown,) = self.answers(tx, (self.find(tx, monitor.id),))
        call.services.wake.send()
        return Answer({self.singular: shown}, 201)

    def changed(self, call: Call, tx: Transaction, old: HealthMonitor, new: HealthMonitor) -> HealthMonitor:
        new = rules.with_http_defaults(new)
        allow_ping = call.services.config.api.allow_ping_health_monitors
        rules.check_health_monitor(new, below.pool(tx, old.pool_id), allow_ping=allow_ping)
        return new

    def load_balancer_of(self, tx: Transaction, row: HealthMonitor) -> LoadBalancer:
        return below.load_balancer(tx, below.pool(tx, row.pool_id).loadbalancer_id)


def _accept(tx: Transaction, call: Call, parent: LoadBalancer, pool: Pool) -> int:
    if any(map(below.stays, resources.find(tx, HealthMonitor, pool_id=pool.id))):
        raise Conflict(f"Pool {pool.id} already has a health monitor")
    return below.touch(tx, call, parent, pool)
