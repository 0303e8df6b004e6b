"""Routes of projects, users and roles: five each, all alike."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import delete, get, patch, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody
from msgspec import Struct

from hydria.base.errors import Invalid
from hydria.cloud.context import Context
from hydria.cloud.identity.errors import require, require_admin
from hydria.cloud.identity.service import Identity, Records
from hydria.cloud.needs import Caller, IdentityService, PathText
from hydria.cloud.resource import Verb, given
from hydria.cloud.web import AnyRequest, document, own_url, query

HIDDEN_WHEN_UNSET = ("default_project_id", "email", "description")
"""Attributes of users that Keystone shows only where they were given."""


def shown(request: AnyRequest, plural: str, record: Struct) -> dict[str, Any]:
    values = msgspec.to_builtins(record)
    if plural == "users":
        values = {key: value for key, value in values.items() if value is not None or key not in HIDDEN_WHEN_UNSET}
    return {**values, "links": {"self": own_url(request, f"/identity/v3/{plural}/{values['id']}")}}


def listed(request: AnyRequest, plural: str, records: list[Any]) -> dict[str, Any]:
    links = {"next": None, "self": str(request.url), "previous": None}
    return {plural: records, "links": links}


def _owns(kind: str, context: Context, id_: str) -> bool:
    return {"user": context.user_id, "project": context.project_id}.get(kind) == id_


def _values(body: bytes, records: Records[Any], verb: Verb) -> tuple[dict[str, Any], str | None]:
    """What was given, the password apart: it must not lie about where a resource is printed."""
    values = document(body, records.kind)
    password = None
    if records.kind == "user" and isinstance(values, dict):
        password = values.pop("password", None)
        if password is not None and not isinstance(password, str):
            raise Invalid("Invalid input for field 'password': it must be a string.", field="password")
    return given(values, records.rows.resource, verb), password


def _crud(kind: str, of: Callable[[Identity], Records[Any]]) -> list[HTTPRouteHandler]:
    plural = f"{kind}s"

    @get(f"/v3/{plural}", name=f"identity:list_{plural}", sync_to_thread=True)
    def list_(request: AnyRequest, context: Caller, identity: IdentityService) -> dict[str, Any]:
        require_admin(context, f"identity:list_{plural}")
        records = of(identity).list(query(request))
        return listed(request, plural, [shown(request, plural, record) for record in records])

    @get(f"/v3/{plural}/{{id_:str}}", name=f"identity:get_{kind}", sync_to_thread=True)
    def show(request: AnyRequest, context: Caller, identity: IdentityService, id_: PathText) -> dict[str, Any]:
        require(context.is_admin or _owns(kind, context, id_), f"identity:get_{kind}")
        return {kind: shown(request, plural, of(identity).get(id_))}

    @post(f"/v3/{plural}", name=f"identity:create_{kind}", sync_to_thread=True)
    def create(request: AnyRequest, context: Caller, identity: IdentityService, body: RawBody) -> dict[str, Any]:
        require_admin(context, f"identity:create_{kind}")
        values, password = _values(body, of(identity), "create")
        record = identity.create_user(values, password) if kind == "user" else of(identity).create(values)
        return {kind: shown(request, plural, record)}

    @patch(f"/v3/{plural}/{{id_:str}}", name=f"identity:update_{kind}", sync_to_thread=True)
    def update(
        request: AnyRequest, context: Caller, identity: IdentityService, id_: PathText, body: RawBody
    ) -> dict[str, Any]:
        require_admin(context, f"identity:update_{kind}")
        values, password = _values(body, of(identity), "update")
        record = identity.update_user(id_, values, password) if kind == "user" else of(identity).update(id_, values)
        return {kind: shown(request, plural, record)}

    @delete(f"/v3/{plural}/{{id_:str}}", name=f"identity:delete_{kind}", sync_to_thread=True)
    def remove(context: Caller, identity: IdentityService, id_: PathText) -> None:
        require_admin(context, f"identity:delete_{kind}")
        of(identity).delete(id_)

    return [list_, show, create, update, remove]


@post("/v3/users/{user_id:str}/password", status_code=204, sync_to_thread=True)
def change_password(identity: IdentityService, user_id: PathText, body: RawBody) -> None:
    """Needs no token but the old password, as in Keystone."""
    values = document(body, "user")
    old, new = (values.get(key) for key in ("original_password", "password"))
    if not isinstance(old, str) or not isinstance(new, str):
        raise Invalid("Expecting to find original_password and password in user.", field="password")
    identity.change_password(user_id, old, new)


@get("/v3/users/{user_id:str}/projects", sync_to_thread=True)
def list_projects_of_user(
    request: AnyRequest, context: Caller, identity: IdentityService, user_id: PathText
) -> dict[str, Any]:
    require(context.is_admin or user_id == context.user_id, "identity:list_user_projects")
    own = {project_id for project_id, _, _ in identity.assignments(user_id=user_id)}
    records = [project for project in identity.projects.list(query(request)) if project.id in own]
    return listed(request, "projects", [shown(request, "projects", record) for record in records])


handlers = [
    *_crud("project", lambda identity: identity.projects),
    *_crud("user", lambda identity: identity.users),
    *_crud("role", lambda identity: identity.roles),
    change_password,
    list_projects_of_user,
]
