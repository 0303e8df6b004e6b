"""The one path of every resource: list, show, update, delete. A resource's module says what is particular."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from hydria.api import below, query
from hydria.api.call import Answer, Call
from hydria.base.errors import not_found
from hydria.model import field
from hydria.model.amphora import Amphora
from hydria.model.availability_zone import AvailabilityZone
from hydria.model.load_balancer import LoadBalancer
from hydria.model.quota import Quota
from hydria.model.resource import Owned, Provisioned, Resource
from hydria.model.served import check_supported
from hydria.model.status import ProvisioningStatus
from hydria.store import load_balancers, resources
from hydria.store import query as stored
from hydria.store.database import Transaction

R = TypeVar("R", bound=Resource | Amphora | AvailabilityZone | Quota)
P = TypeVar("P", bound=Provisioned)

Relations = Mapping[str, list[str] | str | None]
_DATES = ("created_at", "updated_at", "cert_expiration", "expires_at")
_SECONDS = len("2026-01-31T23:59:59")


class Collection(Generic[R]):
    """What can be read. Subclasses add writing."""

    resource: type[R]
    singular: ClassVar[str]
    plural: ClassVar[str]
    title: ClassVar[str]
    """As in "Listener 4f2a... not found."."""
    rule: ClassVar[str]
    """Its name in policy rules."""
    parent: ClassVar[str | None] = None
    """Field that holds the parent's id; answers show the parent as a relation instead."""
    links: ClassVar[str]
    since: ClassVar[str] = "v2.0"
    """The version id with which Octavia's API got it."""
    extension: ClassVar[bool] = False
    """Octavia has no such resource."""
    older_names: ClassVar[Mapping[str, str]] = {}
    """Under which bodies and answers have a field too, with its present name."""

    def index(self, call: Call) -> Answer:
        project_id, more = self._visible(call)
        api, defaults = call.services.config.api, self.defaults_of(call)
        wanted = query.parse(self._parameters(call), api=api, project_id=project_id, more=more, defaults=defaults)
        with call.services.database.read() as tx:
            page = stored.select(tx, self.resource, wanted)
            shown = self.answers(tx, page.rows)
        only = query.fields(call)
        return Answer(
            {
                self.plural: [query.restricted(item, only) for item in shown],
                self.links: query.links(call, wanted, page),
            }
        )

    def defaults_of(self, call: Call) -> Mapping[str, Any]:  # noqa: ARG002 - most show null as it is
        """What a list shows instead of null."""
        return {}

    def show(self, call: Call) -> Answer:
        with call.services.database.read() as tx:
            row = self.load(tx, call)
            call.authorize(f"{self.rule}:get_one", self.project_of(row, call))
            (shown,) = self.answers(tx, (row,))
        return Answer({self.singular: query.restricted(shown, query.fields(call))})

    def load(self, tx: Transaction, call: Call) -> R:
        """The row that the path names. Raises NotFound."""
        return self.find(tx, call.path["id"])

    def find(self, tx: Transaction, id_: str) -> R:
        row = resources.get(tx, self.resource, id_)
        if row is None:
            raise not_found(self.title, id_)
        return row

    def key_of(self, row: R) -> str:
        return str(getattr(row, field.key(self.resource)))

    def project_of(self, row: R, call: Call) -> str | None:
        """Whose it is; what belongs to nobody is judged as the caller's own."""
        return row.project_id if isinstance(row, Owned) else call.caller.project_id

    def answers(self, tx: Transaction, rows: Sequence[R]) -> list[dict[str, Any]]:
        owned = bool(rows) and issubclass(self.resource, Provisioned)
        keys = [self.key_of(row) for row in rows]
        relations = stored.related(tx, self.resource, keys) if owned else {}
        return [self.answer(row, relations.get(key, {})) for key, row in zip(keys, rows, strict=True)]

    def answer(self, row: R, relations: Relations) -> dict[str, Any]:
        values = field.public(row)
        if self.parent is not None:
            del values[self.parent]
        for name in _DATES:
            if values.get(name):
                values[name] = values[name][:_SECONDS]
        if "project_id" in values:
            values["tenant_id"] = values["project_id"]
        for name, ids in relations.items():
            values[name] = [{"id": id_} for id_ in ids] if isinstance(ids, list) else ids
        return values

    @property
    def _owned(self) -> bool:
        return issubclass(self.resource, Owned | Quota)

    def _parameters(self, call: Call) -> query.Parameters:
        """Those of the list itself."""
        return {name: values for name, values in call.query.items() if not (self._owned and name in query.PROJECT)}

    def _visible(self, call: Call) -> tuple[str | None, Mapping[str, Sequence[str]]]:
        """The project whose rows exist for the caller (None: all), and what to filter by. Raises Forbidden."""
        if not self._owned:
            call.authorize(f"{self.rule}:get_all", call.caller.project_id)
            return None, {}
        asked = sorted({value for name in query.PROJECT for value in call.query.get(name, ())})
        if all(call.allows(f"{self.rule}:get_all-global", project_id) for project_id in asked or (None,)):
            return None, {"project_id": asked} if asked else {}
        for project_id in asked or (call.caller.project_id,):
            call.authorize(f"{self.rule}:get_all", project_id)
        if len(asked) > 1:
            return None, {"project_id": asked}
        return (asked[0] if asked else call.caller.project_id), {}


class Part(Collection[P]):
    """A resource below a load balancer: a write to it is a write to the load balancer."""

    def create(self, call: Call) -> Answer:
        raise NotImplementedError

    def update(self, call: Call) -> Answer:
        form = field.decode(field.update_form(self.resource), call.form(self.singular))
        changes = field.given(self.resource, form)
        self.look_up(call, changes)
        with call.services.database.write() as tx:
            old = self.load(tx, call)
            call.authorize(f"{self.rule}:put", old.project_id)
            load_balancers.hold(tx, self.load_balancer_of(tx, old).id)
            old = self.load(tx, call)  # as it is now that nobody else can write it
            new = self.changed(call, tx, old, self.merged(old, changes))
            generation = self.touch(call, tx, old)
            check_supported(new, call.services.served)
            resources.update(tx, self.resource, old.id, **differences(old, new))
            load_balancers.mark_pending(tx, self.resource, old.id, ProvisioningStatus.PENDING_UPDATE, generation)
            self.rearrange(tx, new)
            (shown,) = self.answers(tx, (self.find(tx, old.id),))
        call.services.wake.send()
        return Answer({self.singular: shown})

    def delete(self, call: Call) -> Answer:
        with call.services.database.write() as tx:
            row = self.load(tx, call)
            call.authorize(f"{self.rule}:delete", row.project_id)
            generation = self.touch(call, tx, row)
            self.check_unused(tx, row)
            load_balancers.mark_pending(tx, self.resource, row.id, ProvisioningStatus.PENDING_DELETE, generation)
            self.rearrange(tx, row)
        call.services.wake.send()
        return Answer(status=204)

    def merged(self, old: P, changes: Mapping[str, Any]) -> P:
        """The row with what a PUT says."""
        return msgspec.structs.replace(old, **changes)

    def look_up(self, call: Call, changes: Mapping[str, Any]) -> None:
        """Asks the outside about what a PUT names, while no transaction is open. Raises Invalid."""

    def check_unused(self, tx: Transaction, row: P) -> None:
        """Raises Conflict when others need what is to be deleted."""

    def rearrange(self, tx: Transaction, row: P) -> None:
        """What changes beside a row that was changed or marked for deletion."""

    def changed(self, call: Call, tx: Transaction, old: P, new: P) -> P:  # noqa: ARG002 - what most have nothing against
        """The new row, or a refusal."""
        return new

    def load_balancer_of(self, tx: Transaction, row: P) -> LoadBalancer:
        raise NotImplementedError

    def touch(self, call: Call, tx: Transaction, row: P) -> int:
        return below.touch(tx, call, self.load_balancer_of(tx, row), row)


def differences(old: Resource, new: Resource) -> dict[str, Any]:
    return {name: getattr(new, name) for name in old.__struct_fields__ if getattr(new, name) != getattr(old, name)}
