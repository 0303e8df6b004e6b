"""The API's description of itself, OpenAPI 3.1, made of the route table. What bodies look like is `schemas`'."""

import re
from collections.abc import Iterable, Mapping
from importlib import metadata
from typing import Any, Final

import msgspec

from hydria.api import parameters
from hydria.api.collection import Collection
from hydria.api.forms import FORMS, Form
from hydria.api.parameters import Schema
from hydria.api.route import Operation, Route
from hydria.api.schemas import Schemas, ref
from hydria.model.field import Uuid, fields, key
from hydria.model.offer import PROVIDERS

VERSION = "3.1.0"
_JSON = "application/json"

_INTRODUCTION = """
The OpenStack Load Balancer API v2, as Hydria serves it. Paths may also begin with `/v2.0`, leave out `/lbaas` and end
in `.json`. POST, PUT and DELETE answer when the wish is stored: `provisioning_status` tells when it is done. In a PUT
null means "back to the default", and what is left out stays as it is.
"""

_FAULTS: Final[Mapping[int, str]] = {
    400: "A value or attribute is not acceptable; the text names it.",
    401: "No token, or one that is not valid.",
    403: "The policy does not allow it, or a quota is met.",
    404: "There is no such resource, or the caller cannot see it.",
    406: "The Accept header does not admit application/json.",
    409: "It conflicts with what is there, or with what is being done.",
    413: "The body is too large.",
    500: "The provider reports an error.",
    501: "Well formed, but the provider does not do it.",
    503: "Something outside did not answer: try again after the seconds of Retry-After.",
}
_STANDARD: Final[Mapping[str, str]] = {
    "index": "List {many}",
    "show": "Show {one}",
    "create": "Create {one}",
    "update": "Change {one}",
    "delete": "Delete {one}",
}
_ALL: Final[Mapping[type[msgspec.Struct], Form]] = {form.resource: form for form in FORMS if not form.within}


class Fault(msgspec.Struct, kw_only=True):
    """The body of every refusal but 406."""

    faultcode: str
    """Client of 4xx, Server of 5xx."""
    faultstring: str
    debuginfo: None


class Refusal(msgspec.Struct, kw_only=True):
    status: int
    title: str
    detail: str
    request_id: str


class Refusals(msgspec.Struct, kw_only=True):
    """The body of 406 alone."""

    errors: list[Refusal]


class Link(msgspec.Struct, kw_only=True):
    """To the next or previous page."""

    rel: str
    href: str


class Version(msgspec.Struct, kw_only=True):
    id: str
    status: str
    updated: str
    links: list[Link]


class Versions(msgspec.Struct, kw_only=True):
    versions: list[Version]


class Health(msgspec.Struct, kw_only=True):
    status: str


def document(routes: Iterable[Route]) -> Schema:
    """Without `servers`: who serves it knows under which address."""
    schemas = Schemas()
    paths: dict[str, Schema] = {}
    tags: dict[str, Schema] = {}
    for form in FORMS:
        schemas.create(form)
    for path, answer, summary in (("/", Versions, "Version ids"), ("/healthcheck", Health, "Whether the API answers")):
        paths[path] = {"get": _public(schemas, path, answer, summary)}
    for route in routes:
        described = _Described(route, schemas)
        tags[described.tag] = {"name": described.tag}
        paths.setdefault(described.path, {})[route.method.lower()] = described.operation()
    schemas.of(Refusals)
    schemas.of(Fault)
    return {
        "openapi": VERSION,
        "info": {
            "title": "Load Balancer API v2",
            "version": metadata.version("hydria"),
            "description": _INTRODUCTION.strip(),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "tags": [{"name": "Service"}, *tags.values()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.components.items())),
            "responses": {str(status): _fault(status) for status in _FAULTS},
            "headers": {"request-id": {"description": "Names the request in logs.", "schema": {"type": "string"}}},
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}},
        },
    }


class _Described:
    """One route, in the words of OpenAPI."""

    def __init__(self, route: Route, schemas: Schemas) -> None:
        self.route, self._schemas = route, schemas
        self.path = re.sub(r":\w+}", "}", route.path)
        self.name: str = route.action.__name__
        owner = getattr(route.action, "__self__", None)
        self.collection: Collection[Any] | None = owner if isinstance(owner, Collection) else None
        self.said = route.operation or Operation()
        name = type(owner).__name__ if self.collection else route.action.__module__.rpartition(".")[2].capitalize()
        self.tag = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
        self.standard = self.collection is not None and self.name in _STANDARD

    @property
    def since(self) -> str:
        return self.said.since or (self.collection.since if self.collection else "v2.0")

    @property
    def summary(self) -> str:
        if self.said.summary or self.collection is None or not self.standard:
            return self.said.summary
        title = _uncapitalized(self.collection.title)
        article = "an" if re.match("[aeio]|L7", title) else "a"
        return _STANDARD[self.name].format(many=_uncapitalized(self.tag), one=f"{article} {title}")

    def operation(self) -> Schema:
        found: Schema = {
            "operationId": f"{self.route.method.lower()}{re.sub(r'[^A-Za-z0-9]+', '_', self.path)}".rstrip("_"),
            "tags": [self.tag],
            "summary": self.summary,
            "parameters": [*self._in_path(), *self._in_query()],
            "responses": self._responses(),
            "x-since": self.since,
        }
        if self.said.extension or (self.collection and self.collection.extension):
            found |= {"x-extension": True, "description": "An extension: Octavia has no such call."}
            del found["x-since"]
        if (body := self._body()) is not None:
            found["requestBody"] = {"required": True, "content": {_JSON: {"schema": body}}}
        return found

    def _in_path(self) -> list[Schema]:
        return [
            {"name": name, "in": "path", "required": True, "schema": self._path_schema(name)}
            for name in re.findall(r"{(\w+)}", self.path)
        ]

    def _path_schema(self, name: str) -> Schema:
        if name == "provider":
            return {"type": "string", "enum": list(PROVIDERS)}
        if name == "id" and self.collection is not None and (known_by := key(self.collection.resource)) != "id":
            resource: type[msgspec.Struct] = self.collection.resource
            (found,) = (field for field in fields(resource) if field.name == known_by)
            return {"minLength": 1, **self._schemas.of(found.type)}
        return self._schemas.of(Uuid)

    def _in_query(self) -> list[Schema]:
        found: list[Schema] = [parameters.flag(name, text) for name, text in self.said.flags.items()]
        if self._listed is not None:
            scope = {*re.findall(r"{(\w+_id)}", self.path)}
            if self.said.lists is not None and self.collection is not None:
                scope.add(f"{self.collection.singular}_id")
            found += parameters.of_list(self._listed, without=scope)
        found += [parameters.attribute(name) for name in self.said.filters]
        shows = self.route.method == "GET" and (self.standard or self.said.filters or self.said.lists)
        return [*found, parameters.FIELDS] if shows else found

    @property
    def _listed(self) -> type[msgspec.Struct] | None:
        if self.collection is not None and self.name == "index":
            return self.collection.resource
        return self.said.lists

    def _body(self) -> Schema | None:
        if self.collection is None:
            return None
        if self.said.members:
            member = self._schemas.create(_ALL[self.collection.resource])
            return _object({self.collection.plural: {"type": "array", "items": member}})
        if self.name == "create":
            form = _ALL.get(self.collection.resource, Form(self.collection.resource, self.collection.singular))
            return _object({self.collection.singular: self._schemas.create(form)})
        if self.name == "update":
            return _object({self.collection.singular: self._schemas.update(self.collection)})
        return None

    def _responses(self) -> Schema:
        status = self.said.status or {"POST": 201, "DELETE": 204}.get(self.route.method, 200)
        schema = self._answer()
        success: Schema = {"description": _SUCCESS[status], "headers": _HEADERS}
        if schema is not None:
            success["content"] = {_JSON: {"schema": schema}}
        return {str(status): success, **{str(code): _ref("responses", code) for code in self._faults()}}

    def _answer(self) -> Schema | None:
        """None: no body."""
        if self.said.answer is not None:
            return self._schemas.of(self.said.answer)
        if self.said.lists is not None:
            row = {"type": "object", "properties": self._schemas.shown(self.said.lists), "additionalProperties": False}
            self._schemas.components.setdefault(self.said.lists.__name__, row)
            return self._page(self.path.rpartition("/")[2], ref(self.said.lists.__name__))
        if self.collection is None or not self.standard or self.name == "delete":
            return None
        if self.name == "create" and self.said.parts:
            return _object({self.collection.singular: self._schemas.whole(self.collection, self.said.parts)})
        row = self._schemas.answer(self.collection)
        if self.name == "index":
            return self._page(self.collection.plural, row, self.collection.links)
        return _object({self.collection.singular: row})

    def _page(self, key: str, row: Schema, links: str | None = None) -> Schema:
        several = {key: {"type": "array", "items": row}}
        link = {"type": "array", "items": self._schemas.of(Link)}
        return {**_object({**several, links or f"{key}_links": link}), "required": [key]}

    def _faults(self) -> list[int]:
        """Which refusals it may answer."""
        codes = {400, 401, 403, 406, 503}
        if "{" in self.path or self.route.method == "POST":
            codes.add(404)
        if self.route.method != "GET":
            codes |= {409, 413, 500, 501}
        return sorted(codes)


_SUCCESS: Final[Mapping[int, str]] = {
    200: "As it is now.",
    201: "Created.",
    202: "Accepted.",
    204: "Accepted; there is no body.",
}
_HEADERS: Final = {"x-openstack-request-id": {"$ref": "#/components/headers/request-id"}}


def _uncapitalized(words: str) -> str:
    return " ".join(word if word.startswith("L7") else word.lower() for word in words.split())


def _public(schemas: Schemas, path: str, answer: type[msgspec.Struct], summary: str) -> Schema:
    content = {_JSON: {"schema": schemas.of(answer)}}
    return {
        "operationId": f"get{path.replace('/', '_').rstrip('_') or '_versions'}",
        "tags": ["Service"],
        "summary": summary,
        "security": [],
        "responses": {
            "200": {"description": _SUCCESS[200], "headers": _HEADERS, "content": content},
            "406": _ref("responses", 406),
        },
        "x-since": "v2.0",
    }


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _ref(section: str, name: object) -> Schema:
    return {"$ref": f"#/components/{section}/{name}"}


def _fault(status: int) -> Schema:
    schema = _ref("schemas", Refusals.__name__ if status == 406 else Fault.__name__)
    headers: Schema = dict(_HEADERS)
    if status == 503:
        headers["Retry-After"] = {"description": "Seconds.", "schema": {"type": "string"}}
    return {"description": _FAULTS[status], "headers": headers, "content": {_JSON: {"schema": schema}}}
