"""Flavors and flavor profiles: what operators offer their users."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from hydria.api.call import Answer, Call
from hydria.api.collection import Collection
from hydria.api.draft import build
from hydria.base.errors import Conflict, Invalid
from hydria.model import field, rules
from hydria.model.flavor import Flavor, FlavorProfile, check_provider, parse_flavor_data
from hydria.model.resource import Resource
from hydria.model.served import check_supported
from hydria.store import resources
from hydria.store.database import Transaction

O = TypeVar("O", bound=Resource)  # noqa: E741 - for an offer, beside R and P


class Offers(Collection[O]):
    """Resources of the operator: no project, no status, no load balancer above them."""

    def create(self, call: Call) -> Answer:
        form = field.decode(field.create_form(self.resource), call.form(self.singular))
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
        form = field.decode(field.update_form(self.resource), call.form(self.singular))
        call.authorize(f"{self.rule}:put", call.caller.project_id)
        with call.services.database.read() as tx:
            old = self.load(tx, call)
        changes = field.given(self.resource, form)
        self.check(call, changes)
        with call.services.database.write() as tx:
            self.check_unused(tx, old, changes)
            check_supported(msgspec.structs.replace(old, **changes), call.services.served)
            resources.update(tx, self.resource, old.id, **changes)
            (shown,) = self.answers(tx, (self.load(tx, call),))
        return Answer({self.singular: shown})

    def delete(self, call: Call) -> Answer:
        call.authorize(f"{self.rule}:delete", call.caller.project_id)
        with call.services.database.write() as tx:
            row = self.load(tx, call)
            resources.delete(tx, self.resource, row.id)
        return Answer(status=204)

    def check(self, call: Call, values: Mapping[str, Any]) -> None:
        """Raises Invalid or Unsupported. May ask the cloud."""

    def check_unused(self, tx: Transaction, old: O, changes: Mapping[str, Any]) -> None:
        """Raises Conflict when others rely on what would change."""


class Flavors(Offers[Flavor]):
    resource = Flavor
    singular, plural, links = "flavor", "flavors", "flavors_links"
    title, rule = "Flavor", "flavor"

    def check(self, call: Call, values: Mapping[str, Any]) -> None:
        profile_id = values.get("flavor_profile_id")
        if profile_id is None:
            return
        with call.services.database.read() as tx:
            if resources.get(tx, FlavorProfile, profile_id) is None:
                raise Invalid(f"Flavor Profile {profile_id} not found.", field="flavor_profile_id")


class FlavorProfiles(Offers[FlavorProfile]):
    resource = FlavorProfile
    singular, plural, links = "flavorprofile", "flavorprofiles", "flavorprofile_links"
    title, rule = "Flavor Profile", "flavor-profile"

    def check(self, call: Call, values: Mapping[str, Any]) -> None:
        if "provider_name" in values:
            check_provider(values["provider_name"])
        if "flavor_data" not in values:
            return
        data = parse_flavor_data(values["flavor_data"])
        rules.check_flavor_data(data)
        if data.compute_flavor is not None and not call.services.cloud.flavor_exists(data.compute_flavor):
            raise Invalid(f"Compute flavor {data.compute_flavor} not found.", field="compute_flavor")
        if data.amp_image_tag is not None and call.services.cloud.image_by_tag(data.amp_image_tag) is None:
            raise Invalid(f"No image has the tag {data.amp_image_tag}.", field="amp_image_tag")

    def check_unused(self, tx: Transaction, old: FlavorProfile, changes: Mapping[str, Any]) -> None:
        fixed = any(name in changes for name in ("provider_name", "flavor_data"))
        if fixed and resources.find(tx, Flavor, flavor_profile_id=old.id):
            raise Conflict(f"Flavor profile {old.id} is in use and cannot be modified.")
