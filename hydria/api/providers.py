"""Providers, and what flavors and availability zones for them may say."""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from hydria.api import query
from hydria.api.call import Answer, Call
from hydria.api.route import operation
from hydria.base.errors import Invalid
from hydria.model.availability_zone import AvailabilityZoneData
from hydria.model.flavor import FlavorData
from hydria.model.offer import PROVIDERS, capabilities, check_provider

_ATTRIBUTES = ("name", "description")


class Named(TypedDict, total=False):
    name: str
    description: str


class Providers(TypedDict):
    providers: list[Named]


class FlavorCapabilities(TypedDict):
    flavor_capabilities: list[Named]


class AvailabilityZoneCapabilities(TypedDict):
    availability_zone_capabilities: list[Named]


@operation(summary="List providers", answer=Providers, filters=_ATTRIBUTES)
def index(call: Call) -> Answer:
    call.authorize("provider:get_all", call.caller.project_id)
    listed = [{"name": name, "description": text} for name, text in PROVIDERS.items()]
    return Answer({"providers": _chosen(call, listed)})


@operation(summary="What flavor_data can say", answer=FlavorCapabilities, filters=_ATTRIBUTES, since="v2.6")
def flavor_capabilities(call: Call) -> Answer:
    call.authorize("provider-flavor:get_all", call.caller.project_id)
    check_provider(call.path["provider"])
    return Answer({"flavor_capabilities": _chosen(call, capabilities(FlavorData))})


@operation(
    summary="What availability_zone_data can say",
    answer=AvailabilityZoneCapabilities,
    filters=_ATTRIBUTES,
    since="v2.14",
)
def availability_zone_capabilities(call: Call) -> Answer:
    call.authorize("provider-availability-zone:get_all", call.caller.project_id)
    check_provider(call.path["provider"])
    return Answer({"availability_zone_capabilities": _chosen(call, capabilities(AvailabilityZoneData))})


def _chosen(call: Call, listed: Iterable[Mapping[Any, str]]) -> list[dict[str, Any]]:
    """These lists have two attributes and no pages."""
    filters = call.query if call.services.config.api.allow_filtering else {}
    for name in filters:
        if name not in (*_ATTRIBUTES, "fields"):
            raise Invalid(f"'{name}' is not a valid option for filters or sort keys.", field=name)
    only = query.fields(call)
    return [
        query.restricted(dict(item), only)
        for item in listed
        if all(item[name] in filters[name] for name in _ATTRIBUTES if name in filters)
    ]
