"""JSON Schemas of what the API takes and answers, made of the resources' structs. Knows no paths."""

import ast
import functools
import inspect
import itertools
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct

from hydria.api.collection import Collection
from hydria.api.forms import Form, PoolName
from hydria.api.route import Parts
from hydria.model.field import Access, Field, creatable, fields, updatable
from hydria.store.relations import RELATIONS, Relation

Schema = dict[str, Any]
_REF = "#/components/schemas/{name}"
_NULL: Schema = {"type": "null"}
_TENANT = {"type": "string", "maxLength": 36, "description": "The same as project_id, under its older name."}
DATE = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$", "description": "UTC, without zone."}


class Schemas:
    """Collects the components that its answers refer to."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def of(self, type_: Any) -> Schema:
        """Of any type that msgspec can decode."""
        (schema,), found = msgspec.json.schema_components([type_], ref_template=_REF)
        self.components |= {name: _closed(component) for name, component in found.items()}
        portable: Schema = _portable(schema)
        return portable

    def create(self, form: Form) -> Schema:
        """What a POST may hold below its root key."""
        if form.name not in self.components:
            own = [field for field in creatable(form.resource) if field.name not in form.without]
            self.of(PoolName)
            self.components[form.name] = self._request(form.resource, own, extra=fields(form.parts))
        return ref(form.name)

    def update(self, collection: Collection[Any]) -> Schema:
        """What a PUT may hold below its root key: everything may be left out."""
        resource: type[Struct] = collection.resource
        name = f"{resource.__name__}Update"
        if name not in self.components:
            schema = self._request(resource, updatable(resource))
            for older, present in collection.older_names.items():
                schema["properties"][older] = schema["properties"][present]
            self.components[name] = {key: value for key, value in schema.items() if key != "required"}
        return ref(name)

    def answer(self, collection: Collection[Any]) -> Schema:
        """Of one row. Nothing is required here: `fields` chooses."""
        resource: type[Struct] = collection.resource
        if resource.__name__ not in self.components:
            self.components[resource.__name__] = {
                "type": "object",
                **_described(vars(resource).get("__doc__")),
                "properties": self.shown(resource, without=(collection.parent,), older_names=collection.older_names),
                "additionalProperties": False,
            }
        return ref(resource.__name__)

    def whole(self, collection: Collection[Any], parts: Parts) -> Schema:
        """Of one row with what is below it in full, all of it."""
        name = f"{collection.resource.__name__}Whole"
        if name not in self.components:
            self.answer(collection)
            properties = dict(self.components[collection.resource.__name__]["properties"])
            for part, (below, many) in parts.get(collection.singular, {}).items():
                schema = self.whole(below(), parts)
                properties[part] = {"type": "array", "items": schema} if many else {"anyOf": [schema, _NULL]}
            required = sorted(properties)
            self.components[name] = {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": False,
            }
        return ref(name)

    def shown(
        self,
        resource: type[Struct],
        *,
        without: Iterable[str | None] = (),
        older_names: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[str, Schema]:
        """The properties of a row in answers."""
        public = [field for field in fields(resource) if field.public and field.name not in without]
        shown = {field.name: self._property(resource, field, nullable=field.nullable) for field in public}
        if "project_id" in shown:
            shown["tenant_id"] = _TENANT
        for older, present in older_names.items():
            shown[older] = {**shown[present], "description": f"The same as {present}, under its older name."}
        return shown | {name: _related(relation) for name, relation in RELATIONS.get(resource, {}).items()}

    def _request(self, resource: type[Struct], own: Iterable[Field], *, extra: Iterable[Field] = ()) -> Schema:
        given = [*own, *extra]
        properties = {field.name: self._property(resource, field, nullable=not field.required) for field in given}
        for field in own:
            if not field.required and (default := msgspec.to_builtins(field.default_value())) is not None:
                properties[field.name] = {**properties[field.name], "default": default}
        if "project_id" in properties:
            properties["tenant_id"] = {**_TENANT, "type": ["string", "null"]}
        required = [field.name for field in given if field.required]
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": False,
        }

    def _property(self, resource: type[Struct], field: Field, *, nullable: bool) -> Schema:
        schema = DATE if field.name in _dates(resource) else self.of(field.type)
        if nullable and _NULL not in schema.get("anyOf", ()):
            schema = {"anyOf": [schema, _NULL]}
        text = _documented(resource).get(field.name)
        return {**schema, "description": text} if text else schema


def ref(name: str) -> Schema:
    return {"$ref": _REF.format(name=name)}


def _related(relation: Relation) -> Schema:
    if relation.single:
        return {"type": ["string", "null"]}
    id_ = {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}
    return {"type": "array", "items": {**id_, "additionalProperties": False}}


def _dates(resource: type[Struct]) -> frozenset[str]:
    return frozenset(field.name for field in fields(resource) if "datetime" in str(field.type))


def _described(text: str | None) -> Schema:
    return {"description": " ".join(text.split())} if text else {}


def _closed(schema: Any) -> Any:
    """Objects with just the properties that are named: neither requests nor answers have others."""
    schema = _portable(schema)
    if isinstance(schema, dict) and "properties" in schema:
        return {**schema, "additionalProperties": False}
    return schema


def _portable(schema: Any) -> Any:
    r"""Patterns in the words of JSON Schema; Python's \Z is not one of them."""
    if isinstance(schema, Mapping):
        return {
            key: value.replace(r"\Z", "$") if key == "pattern" and isinstance(value, str) else _portable(value)
            for key, value in schema.items()
        }
    return [_portable(item) for item in schema] if isinstance(schema, list) else schema


@functools.cache
def _documented(resource: type[Struct]) -> Mapping[str, str]:
    """Field → the string that follows it in its class, those of the bases too."""
    found: dict[str, str] = {}
    for kind in reversed(resource.__mro__):
        if kind is Struct or not issubclass(kind, Struct):
            continue
        (class_,) = ast.parse(inspect.getsource(kind)).body
        body = class_.body if isinstance(class_, ast.ClassDef) else []
        for node, following in itertools.pairwise(body):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
            ):
                found[node.target.id] = " ".join(str(following.value.value).split())
    internal = {field.name for field in fields(resource) if field.access is Access.INTERNAL}
    return {name: text for name, text in found.items() if name not in internal}
