"""The API's description of itself: whole, valid, and there for everybody."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import jsonschema
import pytest
from api_world import World

from hydria.api import app, documentation, openapi
from hydria.api.route import Route
from hydria.model.field import creatable, updatable
from hydria.model.listener import Listener
from hydria.model.pool import Member

DOCUMENT = openapi.document(app.routes())
COMPONENTS = DOCUMENT["components"]["schemas"]
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def path_of(route: Route) -> str:
    return re.sub(r":\w+}", "}", route.path)


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from refs(item)
    elif isinstance(value, list):
        for item in value:
            yield from refs(item)


@pytest.mark.parametrize("route", app.routes(), ids=lambda route: f"{route.method} {route.path}")
def test_every_route_says_what_it_does_takes_and_answers(route: Route):
    operation = OPERATIONS[f"{route.method} {path_of(route)}"]
    assert operation["summary"]
    success = {int(status): answer for status, answer in operation["responses"].items() if int(status) < 300}
    assert len(success) == 1
    (status,) = success
    assert status == 202 or ("content" in success[status]) == (status != 204)
    assert ("requestBody" in operation) == (route.method == "POST" or route.action.__name__ in ("update", "replace"))
    named = [(parameter["in"], parameter["name"]) for parameter in operation["parameters"]]
    assert len(named) == len(set(named))


def test_nothing_is_described_that_no_route_serves():
    served = {f"{route.method} {path_of(route)}" for route in app.routes()}
    assert set(OPERATIONS) - served == {"GET /", "GET /healthcheck"}


def test_operations_have_names_of_their_own():
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(names) == len(set(names))


def test_every_reference_leads_somewhere():
    for ref in set(refs(DOCUMENT)):
        section, name = ref.removeprefix("#/components/").split("/")
        assert name in DOCUMENT["components"][section], ref


@pytest.mark.parametrize("name", sorted(COMPONENTS))
def test_schemas_are_json_schemas(name: str):
    jsonschema.Draft202012Validator.check_schema(COMPONENTS[name])


def test_fields_are_those_of_the_resource():
    assert set(COMPONENTS["ListenerUpdate"]["properties"]) == {field.name for field in updatable(Listener)}
    own = {field.name for field in creatable(Listener)}
    assert set(COMPONENTS["ListenerCreate"]["properties"]) == own | {"tenant_id", "default_pool", "l7policies"}
    assert set(COMPONENTS["ListenerCreate"]["required"]) == {"loadbalancer_id", "protocol", "protocol_port"}
    assert "loadbalancer_id" not in COMPONENTS["ListenerCreateWithin"]["properties"]
    assert set(COMPONENTS["MemberCreate"]["properties"]) == {field.name for field in creatable(Member)} - {
        "pool_id"
    } | {"tenant_id"}


def test_limits_and_defaults_are_those_of_the_fields():
    weight = COMPONENTS["MemberCreate"]["properties"]["weight"]
    assert weight["default"] == 1
    assert {"type": "integer", "minimum": 0, "maximum": 256} in weight["anyOf"]
    assert COMPONENTS["L7Policy"]["properties"]["position"]["description"].startswith("Dense from 1")


def test_extensions_are_marked():
    assert {name for name, operation in OPERATIONS.items() if operation.get("x-extension")} == {
        "GET /v2/lbaas/loadbalancers/{id}/events",
        *(f"{method} /v2/lbaas/certificates" for method in ("GET", "POST")),
        *(f"{method} /v2/lbaas/certificates/{{id}}" for method in ("GET", "PUT", "DELETE")),
    }


@pytest.mark.parametrize("path", ["/openapi.json", "/openapi"])
def test_it_is_served_without_a_token(shared_world: World, path: str):
    answer = shared_world.client.get(path)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json() == {**DOCUMENT, "servers": [{"url": "http://testserver.local"}]}


@pytest.mark.parametrize("accept", ["text/html", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json"])
def test_the_page_is_served_to_browsers_without_a_token(shared_world: World, accept: str):
    answer = shared_world.client.get("/docs", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text == documentation.page(DOCUMENT)


class Page(HTMLParser):
    """What a browser would fetch and where it would lead."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.ids += [values["id"] or ""] if "id" in values else []
        self.links += [values["href"] or ""] if tag == "a" else []
        self.fetched += [tag] if tag in ("script", "link", "img", "iframe") or "src" in values else []

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_complete_in_itself():
    page = Page()
    page.feed(documentation.page(DOCUMENT))
    assert page.open == []
    assert page.fetched == []
    assert len(page.ids) == len(set(page.ids))
    assert {link for link in page.links if not link.startswith("#")} == {"openapi.json"}
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    for text in (*DOCUMENT["paths"], *COMPONENTS, "extension"):
        assert text in page.text
