"""What operators offer to their users: flavors, availability zones, and the profiles of both."""

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import Struct

from hydria.api.call import Answer, Call
from hydria.api.collection import Collection
from hydria.api.draft import build
from hydria.base.errors import Conflict, Invalid
from hydria.model import field
from hydria.model.availability_zone import AvailabilityZone
from hydria.model.offer import Offer, Profile, check_provider
from hydria.model.served import check_supported
from hydria.store import resources
from hydria.store.database import Transaction
from hydria.store.tables import table, title

O = TypeVar("O", bound=Offer | AvailabilityZone)  # noqa: E741 - for an offer, beside R and P
F = TypeVar("F", bound=Profile)


class Offers(Collection[O]):
    """Resources of the operator: no project, no status, no load balancer above them."""

    @property
    def _kind(self) -> type[Struct]:
        return self.resource

    def create(self, call: Call) -> Answer:
        form = field.decode(field.create_form(self._kind), call.form(self.singular))
        call.authorize(f"{self.rule}:post", call.caller.project_id)
        values = field.given(self.resource, form)
        self.check(call, values)
        row = build(self.resource, values)
        with call.services.database.write() as tx:
            check_supported(row, call.services.served)
            row = resources.insert(tx, row)
            (shown,) = self.answers(tx, (row,))
        return Answer({self.singular: shown}, 201)

    def update(self, call: Call) -> Answer:
        form = field.decode(field.update_form(self._kind), call.form(self.singular))
        call.authorize(f"{self.rule}:put", call.caller.project_id)
        with call.services.database.read() as tx:
            old = self.load(tx, call)
        changes = field.given(self.resource, form)
        self.check(call, changes)
        with call.services.database.write() as tx:
            self.check_unused(tx, old, changes)
            check_supported(msgspec.structs.replace(old, **changes), call.services.served)
            if changes:
                resources.update(tx, self.resource, self.key_of(old), **changes)
            (shown,) = self.answers(tx, (self.load(tx, call),))
        return Answer({self.singular: shown})

    def delete(self, call: Call) -> Answer:
        call.authorize(f"{self.rule}:delete", call.caller.project_id)
        with call.services.database.write() as tx:
            row = self.load(tx, call)
            resources.delete(tx, self.resource, self.key_of(row))
        return Answer(status=204)

    def check(self, call: Call, values: Mapping[str, Any]) -> None:
        """Raises Invalid or Unsupported. May ask the cloud."""

    def check_unused(self, tx: Transaction, old: O, changes: Mapping[str, Any]) -> None:
        """Raises Conflict when others rely on what would change."""


class Profiles(Offers[F]):
    """For which provider, and its data. Neither changes while an offer rests on it."""

    data: ClassVar[str]
    """The field with the data."""
    user: tuple[type[Struct], str]
    """What rests on profiles, and the column that says on which."""

    def check(self, call: Call, values: Mapping[str, Any]) -> None:
        if "provider_name" in values:
            check_provider(values["provider_name"])
        if self.data in values:
            self.check_data(call, values[self.data])

    def check_data(self, call: Call, text: str) -> None:
        """Raises Invalid or Unsupported. May ask the cloud."""
        raise NotImplementedError

    def check_unused(self, tx: Transaction, old: F, changes: Mapping[str, Any]) -> None:
        resource, column = self.user
        if {"provider_name", self.data} & changes.keys() and resources.find(tx, resource, **{column: old.id}):
            raise Conflict(f"{self.title.capitalize()} {old.id} is in use and cannot be modified.")


def check_profile(call: Call, profile: type[Profile], id_: str | None) -> None:
    """What an offer is to rest on is there. Raises Invalid."""
    if id_ is None:
        return
    with call.services.database.read() as tx:
        if resources.get(tx, profile, id_) is None:
            raise Invalid(f"{title(profile)} {id_} not found.", field=f"{table(profile).name}_id")
