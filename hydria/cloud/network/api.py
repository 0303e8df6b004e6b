"""The Networking API v2.0: the resources' routes, all alike, their tags, QoS rules and IP availabilities."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from litestar import Response, Router, delete, get, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody

from hydria.cloud.listing import Document, narrowed
from hydria.cloud.needs import Caller, NetworkService, PathText
from hydria.cloud.network.collection import Collection
from hydria.cloud.network.discovery_api import handlers as discovery_handlers
from hydria.cloud.network.errors import HTTPBadRequest, NetworkNotFound, TagNotFound
from hydria.cloud.network.networks import Networks
from hydria.cloud.network.ports import Ports
from hydria.cloud.network.qos import RULE_KINDS, QosPolicies, RuleKind
from hydria.cloud.network.security_groups import SecurityGroupRules, SecurityGroups
from hydria.cloud.network.service import Network
from hydria.cloud.network.subnets import Subnets
from hydria.cloud.web import AnyRequest, Query, document, own_url, query

Of = Callable[[Network], Collection[Any]]


def _crud(path: str, of: Of, kind: type[Collection[Any]]) -> list[HTTPRouteHandler]:
    name, plural = kind.name, kind.plural

    @get(path, name=f"network:get_{plural}", sync_to_thread=True)
    def list_(request: AnyRequest, context: Caller, network: NetworkService) -> dict[str, Any]:
        asked = query(request)
        documents, more = of(network).documents(context, asked)
        links = {f"{plural}_links": _links(request, path, asked, documents)} if more and documents else {}
        return {plural: documents, **links}

    @get(f"{path}/{{id_:str}}", name=f"network:get_{name}", sync_to_thread=True)
    def show(request: AnyRequest, context: Caller, network: NetworkService, id_: PathText) -> dict[str, Any]:
        collection = of(network)
        shown = collection.shown(context, collection.get(context, id_))
        return {name: narrowed([shown], query(request))[0]}

    @post(path, name=f"network:create_{name}", sync_to_thread=True)
    def create(context: Caller, network: NetworkService, body: RawBody) -> dict[str, Any]:
        collection, given = of(network), document(body)
        if plural not in given:
            return {name: collection.shown(context, collection.create(context, document(body, name)))}
        if not isinstance(given[plural], list):
            raise HTTPBadRequest(f"Resources required: {plural} must be a list.", field=plural)
        # All or none of a bulk request.
        with network.database.begin():
            created = [collection.create(context, one) for one in given[plural]]
        return {plural: [collection.shown(context, one) for one in created]}

    @put(f"{path}/{{id_:str}}", name=f"network:update_{name}", sync_to_thread=True)
    def update(context: Caller, network: NetworkService, id_: PathText, body: RawBody) -> dict[str, Any]:
        collection = of(network)
        return {name: collection.shown(context, network.update(context, collection, id_, document(body, name)))}

    @delete(f"{path}/{{id_:str}}", name=f"network:delete_{name}", sync_to_thread=True)
    def remove(context: Caller, network: NetworkService, id_: PathText) -> None:
        if name == "port":
            network.delete_port_of(context, id_)
        else:
            of(network).delete(context, id_)

    return [list_, show, create, remove] if name == "security_group_rule" else [list_, show, create, update, remove]


def _links(request: AnyRequest, path: str, asked: Query, documents: list[Document]) -> list[dict[str, str]]:
    following = {**asked, "marker": [str(documents[-1].get("id", ""))]}
    href = own_url(request, f"/networking{path}?{urlencode(following, doseq=True)}")
    return [{"rel": "next", "href": href}]


def _tags(path: str, of: Of, plural: str) -> list[HTTPRouteHandler]:
    @get(f"{path}/{{id_:str}}/tags", name=f"network:get_{plural}_tags", sync_to_thread=True)
    def list_(context: Caller, network: NetworkService, id_: PathText) -> dict[str, Any]:
        return {"tags": of(network).get(context, id_).tags}

    @put(f"{path}/{{id_:str}}/tags", name=f"network:update_{plural}_tags", sync_to_thread=True)
    def replace(context: Caller, network: NetworkService, id_: PathText, body: RawBody) -> dict[str, Any]:
        tags = document(body, "tags")
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
            raise HTTPBadRequest("Invalid input for tags. Reason: a list of strings is needed.", field="tags")
        return {"tags": of(network).set_tags(context, id_, tags)}

    @delete(f"{path}/{{id_:str}}/tags", name=f"network:delete_{plural}_tags", sync_to_thread=True)
    def clear(context: Caller, network: NetworkService, id_: PathText) -> None:
        of(network).set_tags(context, id_, [])

    @get(f"{path}/{{id_:str}}/tags/{{tag:str}}", name=f"network:get_{plural}_tag", status_code=204, sync_to_thread=True)
    def check(context: Caller, network: NetworkService, id_: PathText, tag: PathText) -> None:
        if tag not in of(network).get(context, id_).tags:
            raise TagNotFound(f"Tag {tag} could not be found.")

    @put(f"{path}/{{id_:str}}/tags/{{tag:str}}", name=f"network:add_{plural}_tag", status_code=201, sync_to_thread=True)
    def add(context: Caller, network: NetworkService, id_: PathText, tag: PathText) -> Response[None]:
        collection = of(network)
        with network.database.begin():
            collection.set_tags(context, id_, [*collection.get(context, id_).tags, tag])
        return Response(None, status_code=201)

    @delete(f"{path}/{{id_:str}}/tags/{{tag:str}}", name=f"network:delete_{plural}_tag", sync_to_thread=True)
    def remove(context: Caller, network: NetworkService, id_: PathText, tag: PathText) -> None:
        of(network).remove_tag(context, id_, tag)

    return [list_, replace, clear, check, add, remove]


def _rules(kind: RuleKind) -> list[HTTPRouteHandler]:
    path, name = f"/v2.0/qos/policies/{{policy_id:str}}/{kind.name}_rules", f"{kind.name}_rule"

    @get(path, name=f"network:get_{name}s", sync_to_thread=True)
    def list_(context: Caller, network: NetworkService, policy_id: PathText) -> dict[str, Any]:
        return {f"{name}s": network.qos_policies.rules(context, kind, policy_id)}

    @post(path, name=f"network:create_{name}", sync_to_thread=True)
    def create(context: Caller, network: NetworkService, policy_id: PathText, body: RawBody) -> dict[str, Any]:
        rule = network.qos_policies.create_rule(context, kind, policy_id, document(body, name))
        network.policy_changed(policy_id)
        return {name: rule}

    @get(path + "/{rule_id:str}", name=f"network:get_{name}", sync_to_thread=True)
    def show(context: Caller, network: NetworkService, policy_id: PathText, rule_id: PathText) -> dict[str, Any]:
        return {name: network.qos_policies.rule(context, kind, policy_id, rule_id)}

    @put(path + "/{rule_id:str}", name=f"network:update_{name}", sync_to_thread=True)
    def update(
        context: Caller, network: NetworkService, policy_id: PathText, rule_id: PathText, body: RawBody
    ) -> dict[str, Any]:
        rule = network.qos_policies.update_rule(context, kind, policy_id, rule_id, document(body, name))
        network.policy_changed(policy_id)
        return {name: rule}

    @delete(path + "/{rule_id:str}", name=f"network:delete_{name}", sync_to_thread=True)
    def remove(context: Caller, network: NetworkService, policy_id: PathText, rule_id: PathText) -> None:
        network.qos_policies.delete_rule(context, kind, policy_id, rule_id)
        network.policy_changed(policy_id)

    return [list_, create, show, update, remove]


@get("/v2.0/qos/rule-types", sync_to_thread=False)
def list_rule_types() -> dict[str, Any]:
    return {"rule_types": [{"type": kind.name} for kind in RULE_KINDS]}


AVAILABILITIES = "/v2.0/network-ip-availabilities"


@get(AVAILABILITIES, sync_to_thread=True)
def list_availabilities(request: AnyRequest, context: Caller, network: NetworkService) -> dict[str, Any]:
    asked = query(request)
    shown = [
        one
        for one in network.networks.availabilities(context)
        if all(one[name] in asked.get(name, [one[name]]) for name in ("network_id", "network_name", "project_id"))
    ]
    return {"network_ip_availabilities": shown}


@get(AVAILABILITIES + "/{network_id:str}", sync_to_thread=True)
def show_availability(context: Caller, network: NetworkService, network_id: PathText) -> dict[str, Any]:
    for one in network.networks.availabilities(context):
        if one["network_id"] == network_id:
            return {"network_ip_availability": one}
    raise NetworkNotFound(f"Network {network_id} could not be found.")


COLLECTIONS: tuple[tuple[str, str, type[Collection[Any]], Of], ...] = (
    ("/v2.0/networks", "/v2.0/networks", Networks, lambda network: network.networks),
    ("/v2.0/subnets", "/v2.0/subnets", Subnets, lambda network: network.subnets),
    ("/v2.0/ports", "/v2.0/ports", Ports, lambda network: network.ports),
    ("/v2.0/security-groups", "/v2.0/security-groups", SecurityGroups, lambda network: network.security_groups),
    ("/v2.0/security-group-rules", "", SecurityGroupRules, lambda network: network.security_group_rules),
    ("/v2.0/qos/policies", "/v2.0/policies", QosPolicies, lambda network: network.qos_policies),
)
"""Path, path of the tags, collection."""

router = Router(
    "/networking",
    route_handlers=[
        *discovery_handlers,
        *(handler for path, _, kind, of in COLLECTIONS for handler in _crud(path, of, kind)),
        *(handler for _, path, kind, of in COLLECTIONS if path for handler in _tags(path, of, kind.plural)),
        *(handler for kind in RULE_KINDS for handler in _rules(kind)),
        list_rule_types,
        list_availabilities,
        show_availability,
    ],
)
