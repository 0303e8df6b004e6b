"""Routes of role assignments and application credentials."""

from typing import Any

import msgspec
from litestar import HttpMethod, delete, get, post, put, route
from litestar.params import RawBody

from hydria.base.errors import Invalid
from hydria.cloud.identity.errors import missing, require, require_admin
from hydria.cloud.identity.records_api import listed, shown
from hydria.cloud.identity.resources import DOMAIN_ID, DOMAIN_NAME, ApplicationCredential
from hydria.cloud.identity.service import Identity
from hydria.cloud.needs import Caller, IdentityService, PathText
from hydria.cloud.resource import given
from hydria.cloud.web import AnyRequest, document, own_url, query

OF_USER = "/v3/projects/{project_id:str}/users/{user_id:str}/roles"
ASSIGNMENT = OF_USER + "/{role_id:str}"
CREDENTIALS = "/v3/users/{user_id:str}/application_credentials"


@get(OF_USER, sync_to_thread=True)
def list_roles_of_user(
    request: AnyRequest,
    context: Caller,
    identity: IdentityService,
    project_id: PathText,
    user_id: PathText,
) -> dict[str, Any]:
    require_admin(context, "identity:list_grants")
    held = {role for _, _, role in identity.assignments(project_id, user_id)}
    return listed(
        request, "roles", [shown(request, "roles", role) for role in identity.roles.list({}) if role.id in held]
    )


@put(ASSIGNMENT, status_code=204, sync_to_thread=True)
def assign_role(
    context: Caller,
    identity: IdentityService,
    project_id: PathText,
    user_id: PathText,
    role_id: PathText,
) -> None:
    require_admin(context, "identity:create_grant")
    identity.assign(project_id, user_id, role_id)


@delete(ASSIGNMENT, sync_to_thread=True)
def withdraw_role(
    context: Caller,
    identity: IdentityService,
    project_id: PathText,
    user_id: PathText,
    role_id: PathText,
) -> None:
    require_admin(context, "identity:revoke_grant")
    identity.withdraw(project_id, user_id, role_id)


@route(ASSIGNMENT, http_method=[HttpMethod.HEAD, HttpMethod.GET], status_code=204, sync_to_thread=True)
def check_role(
    context: Caller,
    identity: IdentityService,
    project_id: PathText,
    user_id: PathText,
    role_id: PathText,
) -> None:
    require_admin(context, "identity:check_grant")
    if not identity.assignments(project_id, user_id, role_id):
        raise missing("role assignment", f"with role {role_id}, user {user_id}, project {project_id}")


@get("/v3/role_assignments", sync_to_thread=True)
def list_role_assignments(request: AnyRequest, context: Caller, identity: IdentityService) -> dict[str, Any]:
    wanted = {key: values[0] for key, values in query(request).items()}
    user_id, project_id = wanted.get("user.id"), wanted.get("scope.project.id")
    require(context.is_admin or user_id == context.user_id, "identity:list_role_assignments")
    # Domains and the system have no assignments here, groups do not exist.
    elsewhere = {"scope.domain.id", "scope.system", "group.id"} & set(wanted)
    found = [] if elsewhere else identity.assignments(project_id, user_id, wanted.get("role.id"))
    names = _names(identity) if wanted.get("include_names", "false").lower() not in {"false", "0"} else None
    shown_ = [_assignment(request, *assignment, names) for assignment in found]
    return listed(request, "role_assignments", shown_)


def _names(identity: Identity) -> dict[str, str]:
    names = {project.id: project.name for project in identity.projects.list({})}
    names |= {user.id: user.name for user in identity.users.list({})}
    return names | {role.id: role.name for role in identity.roles.list({})}


def _assignment(
    request: AnyRequest, project_id: str, user_id: str, role_id: str, names: dict[str, str] | None
) -> dict[str, Any]:
    project: dict[str, Any] = {"id": project_id}
    user: dict[str, Any] = {"id": user_id}
    role = {"id": role_id}
    if names is not None:
        domain = {"id": DOMAIN_ID, "name": DOMAIN_NAME}
        project |= {"name": names[project_id], "domain": domain}
        user |= {"name": names[user_id], "domain": domain}
        role |= {"name": names[role_id]}
    path = f"/identity/v3/projects/{project_id}/users/{user_id}/roles/{role_id}"
    links = {"assignment": own_url(request, path)}
    return {"scope": {"project": project}, "user": user, "role": role, "links": links}


def _credential(request: AnyRequest, credential: ApplicationCredential) -> dict[str, Any]:
    path = f"/identity/v3/users/{credential.user_id}/application_credentials/{credential.id}"
    return {**msgspec.to_builtins(credential), "links": {"self": own_url(request, path)}}


def _may_delegate(request: AnyRequest, identity: Identity) -> bool:
    return identity.authentication.check(request.headers["X-Auth-Token"]).may_delegate


@get(CREDENTIALS, sync_to_thread=True)
def list_credentials(
    request: AnyRequest, context: Caller, identity: IdentityService, user_id: PathText
) -> dict[str, Any]:
    require(context.is_admin or user_id == context.user_id, "identity:list_application_credentials")
    found = identity.application_credentials(user_id, request.query_params.get("name"))
    return listed(request, "application_credentials", [_credential(request, credential) for credential in found])


@get(CREDENTIALS + "/{credential_id:str}", sync_to_thread=True)
def show_credential(
    request: AnyRequest,
    context: Caller,
    identity: IdentityService,
    user_id: PathText,
    credential_id: PathText,
) -> dict[str, Any]:
    require(context.is_admin or user_id == context.user_id, "identity:get_application_credential")
    credential = identity.application_credential(user_id, credential_id)
    return {"application_credential": _credential(request, credential)}


@post(CREDENTIALS, sync_to_thread=True)
def create_credential(
    request: AnyRequest, context: Caller, identity: IdentityService, user_id: PathText, body: RawBody
) -> dict[str, Any]:
    """Nobody makes one for somebody else, and its roles are among those of the token that asks for it."""
    require(user_id == context.user_id, "identity:create_application_credential")
    delegates = _may_delegate(request, identity) and context.project_id is not None
    require(delegates, "identity:create_application_credential")
    values = document(body, "application_credential")
    secret = values.pop("secret", None) if isinstance(values, dict) else None
    if secret is not None and not isinstance(secret, str):
        raise Invalid("Invalid input for field 'secret': it must be a string.", field="secret")
    credential, secret = identity.create_application_credential(
        user_id=user_id,
        project_id=context.project_id or "",
        held=[role for role in identity.roles.list({}) if role.name in context.roles],
        secret=secret,
        values=given(values, ApplicationCredential, "create"),
    )
    return {"application_credential": {**_credential(request, credential), "secret": secret}}


@delete(CREDENTIALS + "/{credential_id:str}", sync_to_thread=True)
def delete_credential(
    request: AnyRequest, context: Caller, identity: IdentityService, user_id: PathText, credential_id: PathText
) -> None:
    require(context.is_admin or user_id == context.user_id, "identity:delete_application_credential")
    require(_may_delegate(request, identity), "identity:delete_application_credential")
    identity.delete_application_credential(user_id, credential_id)


handlers = [
    list_roles_of_user,
    assign_role,
    withdraw_role,
    check_role,
    list_role_assignments,
    list_credentials,
    show_credential,
    create_credential,
    delete_credential,
]
