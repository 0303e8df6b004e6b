"""Members of a pool, one by one or the whole set at once."""

from collections import Counter
from collections.abc import Mapping, Sequence

from hydria.api import below, forms
from hydria.api.call import Answer, Call
from hydria.api.collection import Part
from hydria.api.draft import check_subnets
from hydria.api.faults import body_error
from hydria.api.route import operation
from hydria.base.errors import NotFound, invalid_field, not_found
from hydria.model import field
from hydria.model.load_balancer import LoadBalancer
from hydria.model.pool import Endpoint, Member, Pool, endpoint
from hydria.model.status import ProvisioningStatus
from hydria.store import load_balancers, resources
from hydria.store.database import Transaction

_MUTABLE = frozenset(entry.name for entry in field.fields(Member) if entry.access is field.Access.UPDATE)


class Members(Part[Member]):
    resource = Member
    singular, plural, links = "member", "members", "members_links"
    title, rule, parent = "Member", "member", "pool_id"

    def _visible(self, call: Call) -> tuple[str | None, Mapping[str, Sequence[str]]]:
        with call.services.database.read() as tx:
            pool = self._pool(tx, call)
        call.authorize("member:get_all", pool.project_id)
        return pool.project_id, {"pool_id": (pool.id,)}

    def load(self, tx: Transaction, call: Call) -> Member:
        self._pool(tx, call)
        member = self.find(tx, call.path["id"])
        if member.pool_id != call.path["pool_id"]:
            raise not_found(self.title, member.id)
        return member

    def create(self, call: Call) -> Answer:
        values = forms.member(call.form(self.singular))
        self._authorize(call, "post")
        check_subnets(call.cloud, [values])
        with call.services.database.write() as tx:
            pool = self._pool(tx, call)
            parent = below.load_balancer(tx, pool.loadbalancer_id)
            draft = below.draft(tx, call, parent)
            draft.add_members([values], pool, set(_there(tx, pool)))
            draft.write(tx, lambda: self._touch(tx, call, pool))
            (shown,) = self.answers(tx, (self.find(tx, draft.new_members[0].id),))
        call.services.wake.send()
        return Answer({self.singular: shown}, 201)

    @operation(
        summary="Replace the whole set of a pool's members",
        status=202,
        members=True,
        flags={"additive_only": "Members that the body does not name stay."},
    )
    def replace(self, call: Call) -> Answer:
        """PUT of the whole set; what it does not name is deleted, unless `additive_only`."""
        asked = _batch(call)
        additive = call.flag("additive_only")
        self._authorize(call, "post", "put", *([] if additive else ["delete"]))
        check_subnets(call.cloud, asked, NotFound)  # 404 is the API's; a single POST has 400
        with call.services.database.write() as tx:
            pool = self._pool(tx, call)
            draft = below.draft(tx, call, below.load_balancer(tx, pool.loadbalancer_id))
            there = _there(tx, pool)
            known = [values for values in asked if _key(values) in there]
            _check_named_once(known)
            named = set(map(_key, asked))
            gone = [] if additive else [member for key, member in there.items() if key not in named]
            draft.add_members([values for values in asked if _key(values) not in there], pool, set(there))
            changes = [(there[_key(values)], _changes(there[_key(values)], values)) for values in known]
            if asked or gone:  # even the same set again is a wish: that what failed is tried once more
                generation = draft.write(tx, lambda: self._touch(tx, call, pool), {Member: len(gone)})
                _write(tx, changes, gone, generation)
        call.services.wake.send()
        return Answer(status=202)

    def load_balancer_of(self, tx: Transaction, row: Member) -> LoadBalancer:
        return below.load_balancer(tx, below.pool(tx, row.pool_id).loadbalancer_id)

    def _pool(self, tx: Transaction, call: Call) -> Pool:
        return below.pool(tx, call.path["pool_id"])

    def _authorize(self, call: Call, *verbs: str) -> None:
        with call.services.database.read() as tx:
            pool = self._pool(tx, call)
        for verb in verbs:
            call.authorize(f"member:{verb}", pool.project_id)

    def _touch(self, tx: Transaction, call: Call, pool: Pool) -> int:
        return below.touch(tx, call, below.load_balancer(tx, pool.loadbalancer_id), pool)


def _batch(call: Call) -> list[forms.Values]:
    members = call.content("members")
    if not isinstance(members, list):
        raise body_error("members must be a list.")
    return [forms.member(item) for item in members]


def _key(values: forms.Values) -> Endpoint:
    return endpoint(values["address"], values["protocol_port"])


def _there(tx: Transaction, pool: Pool) -> dict[Endpoint, Member]:
    members = resources.find(tx, Member, pool_id=pool.id)
    return {member.endpoint: member for member in members if below.stays(member)}


def _check_named_once(known: list[forms.Values]) -> None:
    for key, times in Counter(map(_key, known)).items():
        if times > 1:
            raise invalid_field("members", f"{key[0]}:{key[1]}", "A member is named twice.")


def _changes(member: Member, values: forms.Values) -> forms.Values:
    return {name: value for name, value in values.items() if name in _MUTABLE and getattr(member, name) != value}


def _write(tx: Transaction, changes: list[tuple[Member, forms.Values]], gone: list[Member], generation: int) -> None:
    changed = [(member, values) for member, values in changes if values]
    load_balancers.mark_all_pending(tx, Member, changed, ProvisioningStatus.PENDING_UPDATE, generation)
    leaving: list[tuple[Member, forms.Values]] = [(member, {}) for member in gone]
    load_balancers.mark_all_pending(tx, Member, leaving, ProvisioningStatus.PENDING_DELETE, generation)
