"""Logs in and checks tokens. A token says who it was given to; whether he still may is looked up in the books."""

import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cachetools import LRUCache
from msgspec import UNSET, Struct, UnsetType
from sqlalchemy import Connection, select

from hydria.base.config import Cloud
from hydria.base.errors import NotFound
from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.identity import resources
from hydria.cloud.identity.errors import missing, unauthorized
from hydria.cloud.identity.login import ApplicationCredentialMethod, Login, ProjectReference, UserReference
from hydria.cloud.identity.passwords import matches
from hydria.cloud.identity.resources import DOMAIN_ID, DOMAIN_NAME, ApplicationCredential, Project, Role, User
from hydria.cloud.identity.tokens import Cipher, Payload, new_audit_id, stamp, utc_now
from hydria.cloud.rows import Rows

IMPLIED_ROLES = {"admin": "manager", "manager": "member", "member": "reader"}
"""Who has the one has the other, as Keystone's bootstrap makes it."""

DOMAIN = {"id": DOMAIN_ID, "name": DOMAIN_NAME}
CACHED_TOKENS = 4096

_projects = Rows(resources.projects, Project)
_users = Rows(resources.users, User)
_roles = Rows(resources.roles, Role)
_application_credentials = Rows(resources.application_credentials, ApplicationCredential)


class Token(Struct, kw_only=True, frozen=True):
    """What GET /auth/tokens shows."""

    methods: list[str]
    user: dict[str, Any]
    audit_ids: list[str]
    expires_at: str
    issued_at: str
    project: dict[str, Any] | UnsetType = UNSET
    is_domain: bool | UnsetType = UNSET
    roles: list[dict[str, str]] | UnsetType = UNSET
    catalog: list[dict[str, Any]] | UnsetType = UNSET
    application_credential: dict[str, Any] | UnsetType = UNSET


class Checked(Struct, kw_only=True, frozen=True):
    """A token that was good when it was looked at, with what it allows."""

    payload: Payload
    token: Token
    context: Context
    may_delegate: bool
    """False for an application credential that may make no further ones."""


class Authentication:
    def __init__(self, config: Cloud, database: Database, catalog: list[dict[str, Any]]) -> None:
        self._lifetime = timedelta(seconds=config.token_seconds)
        self._database = database
        self._catalog = catalog
        self._cipher = Cipher(Path(config.state_dir))
        self._checked: LRUCache[str, Checked] = LRUCache(CACHED_TOKENS)
        self._lock = threading.Lock()
        self._generation = 0

    def forget(self) -> None:
        """The books changed: look every token up again."""
        with self._lock:
            self._generation += 1
            self._checked.clear()

    def login(self, login: Login) -> tuple[str, Checked]:
        """A new token. Raises Unauthorized without a word about what was wrong."""
        with self._database.read() as connection:
            payload = self._payload(connection, login)
            try:
                checked = self._look_up(connection, payload)
            except NotFound as error:
                raise unauthorized() from error
        return self._cipher.encode(payload), checked

    def check(self, text: str) -> Checked:
        """Raises NotFound for a token that is not ours, expired or revoked, or whose user or project is gone."""
        with self._lock:
            checked, generation = self._checked.get(text), self._generation
        if checked is None:
            payload = self._cipher.decode(text)
            with self._database.read() as connection:
                checked = self._look_up(connection, payload)
            with self._lock:
                if generation == self._generation:
                    self._checked[text] = checked
        if checked.payload.expires_at <= utc_now():
            raise missing("token", "expired")
        return checked

    def revoke(self, text: str) -> None:
        checked, table = self.check(text), resources.revoked_tokens
        with self._database.begin() as connection:
            # A revoked token needs to be remembered no longer than it would have lived.
            connection.execute(table.delete().where(table.c.expires_at < stamp(utc_now())))
            values = {"audit_id": checked.payload.audit_id, "expires_at": stamp(checked.payload.expires_at)}
            connection.execute(table.insert().values(values))
        self.forget()

    def _payload(self, connection: Connection, login: Login) -> Payload:
        methods, now = login.identity, utc_now()
        user_id, project_id, credential_id, expires_at = None, None, None, now + self._lifetime
        if methods.password is not None and "password" in methods.methods:
            user_id = _user_with_password(connection, methods.password.user)
        elif methods.token is not None and "token" in methods.methods:
            earlier = self._rescoped(methods.token.id)
            # A token got for a token lives no longer than that: else a stolen one could be renewed for ever.
            user_id, expires_at = earlier.user_id, min(expires_at, earlier.expires_at)
        elif methods.application_credential is not None:
            credential = _credential_with_secret(connection, methods.application_credential)
            user_id, project_id, credential_id = credential.user_id, credential.project_id, credential.id
            if credential.expires_at is not None:
                expires_at = min(expires_at, datetime.fromisoformat(credential.expires_at))
        if user_id is None:
            raise unauthorized()
        if credential_id is None:
            project_id = _scope(connection, login, user_id)
        return Payload(user_id, project_id, methods.methods, now, expires_at, new_audit_id(), credential_id)

    def _rescoped(self, text: str) -> Payload:
        try:
            payload = self.check(text).payload
        except NotFound as error:
            raise unauthorized() from error
        if payload.application_credential_id is not None:
            # Else its restriction to some roles could be shed.
            raise unauthorized()
        return payload

    def _look_up(self, connection: Connection, payload: Payload) -> Checked:
        user = _users.get(connection, payload.user_id)
        if user is None or not user.enabled or _voided(connection, payload):
            raise missing("token", "its user may no longer log in or it was revoked")
        token = Token(
            methods=payload.methods,
            user={"domain": DOMAIN, "id": user.id, "name": user.name, "password_expires_at": None},
            audit_ids=[payload.audit_id],
            expires_at=stamp(payload.expires_at),
            issued_at=stamp(payload.issued_at),
        )
        context = Context(user_id=user.id, user_name=user.name)
        if payload.project_id is None:
            return Checked(payload=payload, token=token, context=context, may_delegate=True)
        return self._scoped(connection, payload, token, context)

    def _scoped(self, connection: Connection, payload: Payload, token: Token, context: Context) -> Checked:
        project = _projects.get(connection, payload.project_id or "")
        roles = roles_of(connection, payload.user_id, payload.project_id or "")
        credential = None
        if payload.application_credential_id is not None:
            credential = _application_credentials.get(connection, payload.application_credential_id)
            granted = {role["id"] for role in credential.roles} if credential else set()
            roles = [role for role in roles if role.id in granted]
        if project is None or not project.enabled or not roles:
            raise missing("token", "its user has no role on its project")
        shown: dict[str, Any] = {
            "project": {"domain": DOMAIN, "id": project.id, "name": project.name},
            "is_domain": False,
            "roles": [{"id": role.id, "name": role.name} for role in roles],
            "catalog": self._catalog,
        }
        if credential is not None:
            keys = ("id", "name", "unrestricted")
            shown["application_credential"] = {key: getattr(credential, key) for key in keys}
        return Checked(
            payload=payload,
            token=_with(token, shown),
            context=Context(
                user_id=context.user_id,
                user_name=context.user_name,
                project_id=project.id,
                project_name=project.name,
                roles=frozenset(role.name for role in roles),
            ),
            may_delegate=credential is None or credential.unrestricted,
        )


def _with(token: Token, shown: dict[str, Any]) -> Token:
    return Token(**{name: getattr(token, name) for name in token.__struct_fields__} | shown)


def roles_of(connection: Connection, user_id: str, project_id: str) -> list[Role]:
    """The user's roles on the project, with those that they imply."""
    table = resources.role_assignments
    every = _roles.select(connection)
    assigned = select(table.c.role_id).where(table.c.user_id == user_id, table.c.project_id == project_id)
    ids = set(connection.execute(assigned).scalars())
    names = {role.name for role in every if role.id in ids}
    for name, implied in IMPLIED_ROLES.items():
        if name in names:
            names.add(implied)
    return [role for role in every if role.name in names]


def _find_user(connection: Connection, reference: UserReference) -> User | None:
    if reference.id is not None:
        return _users.get(connection, reference.id)
    if reference.name is None or (reference.domain is not None and not reference.domain.known):
        return None
    return next(iter(_users.select(connection, {"name": [reference.name]})), None)


def _user_with_password(connection: Connection, reference: UserReference) -> str | None:
    user, table = _find_user(connection, reference), resources.passwords
    query = select(table.c.hash).where(table.c.user_id == (user.id if user else ""))
    right = matches(reference.password, connection.execute(query).scalar_one_or_none())
    return user.id if user is not None and right else None


def _credential_with_secret(connection: Connection, method: ApplicationCredentialMethod) -> ApplicationCredential:
    credential, table = None, resources.application_credential_secrets
    if method.id is not None:
        credential = _application_credentials.get(connection, method.id)
    elif method.name is not None and method.user is not None:
        user = _find_user(connection, method.user)
        filters = {"name": [method.name], "user_id": [user.id if user else ""]}
        credential = next(iter(_application_credentials.select(connection, filters)), None)
    query = select(table.c.hash).where(table.c.application_credential_id == (credential.id if credential else ""))
    right = matches(method.secret, connection.execute(query).scalar_one_or_none())
    if credential is None or not right or _expired(credential):
        raise unauthorized()
    return credential


def _expired(credential: ApplicationCredential) -> bool:
    return credential.expires_at is not None and credential.expires_at <= stamp(utc_now())


def _scope(connection: Connection, login: Login, user_id: str) -> str | None:
    """The project asked for, else the user's default project if he still has a role there, else none."""
    reference = login.project
    if reference is not None:
        project = _find_project(connection, reference)
        if project is None:
            raise unauthorized()
        return project.id
    user = _users.get(connection, user_id)
    default = user.default_project_id if user is not None and not login.unscoped else None
    return default if default is not None and roles_of(connection, user_id, default) else None


def _find_project(connection: Connection, reference: ProjectReference) -> Project | None:
    if reference.id is not None:
        return _projects.get(connection, reference.id)
    if reference.name is None or (reference.domain is not None and not reference.domain.known):
        return None
    return next(iter(_projects.select(connection, {"name": [reference.name]})), None)


def _voided(connection: Connection, payload: Payload) -> bool:
    """Revoked, or older than the user's password; an application credential outlives a change of password."""
    table, passwords = resources.revoked_tokens, resources.passwords
    if connection.execute(select(table.c.audit_id).where(table.c.audit_id == payload.audit_id)).first():
        return True
    if payload.application_credential_id is not None:
        return False
    query = select(passwords.c.changed_at).where(passwords.c.user_id == payload.user_id)
    changed_at: str = connection.execute(query).scalar_one_or_none() or ""
    return stamp(payload.issued_at) < changed_at
