"""Flavors and flavor profiles: what kinds of load balancers there are."""

from collections.abc import Mapping
from typing import Any

from hydria.api.call import Call
from hydria.api.offers import Offers, Profiles, check_profile
from hydria.base.errors import Invalid
from hydria.model import rules
from hydria.model.flavor import Flavor, FlavorProfile, parse_flavor_data


class Flavors(Offers[Flavor]):
    resource = Flavor
    singular, plural, links = "flavor", "flavors", "flavors_links"
    title, rule, since = "Flavor", "flavor", "v2.6"

    def check(self, call: Call, values: Mapping[str, Any]) -> None:
        check_profile(call, FlavorProfile, values.get("flavor_profile_id"))


class FlavorProfiles(Profiles[FlavorProfile]):
    resource = FlavorProfile
    singular, plural, links = "flavorprofile", "flavorprofiles", "flavorprofile_links"
    title, rule, since = "Flavor Profile", "flavor-profile", "v2.6"
    data, user = "flavor_data", (Flavor, "flavor_profile_id")

    def check_data(self, call: Call, text: str) -> None:
        data = parse_flavor_data(text)
        rules.check_flavor_data(data)
        if data.compute_flavor is not None and not call.services.cloud.flavor_exists(data.compute_flavor):
            raise Invalid(f"Compute flavor {data.compute_flavor} not found.", field="compute_flavor")
        if data.amp_image_tag is not None and call.services.cloud.image_by_tag(data.amp_image_tag) is None:
            raise Invalid(f"No image has the tag {data.amp_image_tag}.", field="amp_image_tag")
