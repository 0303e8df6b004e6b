"""L7 policies of listeners, in the order in which they are asked."""

from collections.abc import Mapping
from typing import Any

from hydria.api import below, forms
from hydria.api.call import Answer, Call
from hydria.api.collection import Part
from hydria.model import l7_rules
from hydria.model.l7 import L7Policy
from hydria.model.load_balancer import LoadBalancer
from hydria.store import l7policies
from hydria.store.database import Transaction


class L7Policies(Part[L7Policy]):
    resource = L7Policy
    singular, plural, links = "l7policy", "l7policies", "l7policies_links"
    title, rule = "L7 Policy", "l7policy"

    def create(self, call: Call) -> Answer:
        form = forms.l7_policy(call.form(self.singular))
        with call.services.database.write() as tx:
            listener = below.listener(tx, form.values["listener_id"])
            call.authorize("l7policy:post", listener.project_id)
            parent = below.load_balancer(tx, listener.loadbalancer_id)
            draft = below.draft(tx, call, parent)
            policy = draft.add_policy(form, listener)
            draft.write(tx, lambda: below.touch(tx, call, parent, listener))
            self.rearrange(tx, policy)
            (shown,) = self.answers(tx, (self.find(tx, policy.id),))
        call.services.wake.send()
        return Answer({self.singular: shown}, 201)

    def merged(self, old: L7Policy, changes: Mapping[str, Any]) -> L7Policy:
        return super().merged(old, l7_rules.with_action_of_target(changes))

    def changed(self, call: Call, tx: Transaction, old: L7Policy, new: L7Policy) -> L7Policy:
        draft = below.draft(tx, call, self.load_balancer_of(tx, old))
        return draft.checked_policy(new, below.listener(tx, old.listener_id))

    def rearrange(self, tx: Transaction, row: L7Policy) -> None:
        l7policies.arrange(tx, row)

    def load_balancer_of(self, tx: Transaction, row: L7Policy) -> LoadBalancer:
        return below.load_balancer(tx, below.listener(tx, row.listener_id).loadbalancer_id)
