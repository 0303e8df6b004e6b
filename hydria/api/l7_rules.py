"""Rules of an L7 policy: it applies where all of them match."""

from collections.abc import Mapping, Sequence

from hydria.api import below, forms
from hydria.api.call import Answer, Call
from hydria.api.collection import Part
from hydria.base.errors import not_found
from hydria.model import l7_rules
from hydria.model.l7 import L7Policy, L7Rule
from hydria.model.load_balancer import LoadBalancer
from hydria.store import resources
from hydria.store.database import Transaction


class L7Rules(Part[L7Rule]):
    resource = L7Rule
    singular, plural, links = "rule", "rules", "rules_links"
    title, rule, parent = "L7 Rule", "l7rule", "l7policy_id"

    def _visible(self, call: Call) -> tuple[str | None, Mapping[str, Sequence[str]]]:
        with call.services.database.read() as tx:
            policy = self._policy(tx, call)
        call.authorize("l7rule:get_all", policy.project_id)
        return policy.project_id, {"l7policy_id": (policy.id,)}

    def load(self, tx: Transaction, call: Call) -> L7Rule:
        self._policy(tx, call)
        rule = self.find(tx, call.path["id"])
        if rule.l7policy_id != call.path["l7policy_id"]:
            raise not_found(self.title, rule.id)
        return rule

    def create(self, call: Call) -> Answer:
        values = forms.l7_rule(call.form(self.singular))
        with call.services.database.write() as tx:
            policy = self._policy(tx, call)
            call.authorize("l7rule:post", policy.project_id)
            parent = below.load_balancer(tx, below.listener(tx, policy.listener_id).loadbalancer_id)
            draft = below.draft(tx, call, parent)
            there = filter(below.stays, resources.find(tx, L7Rule, l7policy_id=policy.id))
            draft.add_rules([values], policy, len(list(there)))
            draft.write(tx, lambda: below.touch(tx, call, parent, policy))
            (shown,) = self.answers(tx, draft.new_rules)
        call.services.wake.send()
        return Answer({self.singular: shown}, 201)

    def changed(self, call: Call, tx: Transaction, old: L7Rule, new: L7Rule) -> L7Rule:
        del call, tx, old
        l7_rules.check_rule(new)
        return new

    def load_balancer_of(self, tx: Transaction, row: L7Rule) -> LoadBalancer:
        policy = self._found(tx, row.l7policy_id)
        return below.load_balancer(tx, below.listener(tx, policy.listener_id).loadbalancer_id)

    def _policy(self, tx: Transaction, call: Call) -> L7Policy:
        return self._found(tx, call.path["l7policy_id"])

    def _found(self, tx: Transaction, id_: str) -> L7Policy:
        policy = resources.get(tx, L7Policy, id_)
        if policy is None:
            raise not_found("L7 Policy", id_)
        return policy
