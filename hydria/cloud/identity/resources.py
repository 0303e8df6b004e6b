"""Projects, users, roles and what ties them, as the Identity API v3 shows them, with their tables."""

from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import Column, ForeignKey, String, Table, UniqueConstraint

from hydria.cloud.database import metadata
from hydria.cloud.resource import Given, GivenOnce, table

DOMAIN_ID = "default"
DOMAIN_NAME = "Default"
"""The only domain."""

Name = Annotated[str, Meta(min_length=1, max_length=255)]


class Project(Struct, kw_only=True):
    id: str
    name: Given[Name]
    domain_id: GivenOnce[str] = DOMAIN_ID
    description: Given[str] = ""
    enabled: Given[bool] = True
    parent_id: GivenOnce[str | None] = DOMAIN_ID
    is_domain: GivenOnce[bool] = False
    tags: Given[list[str]] = []
    options: Given[dict[str, Any]] = {}


class User(Struct, kw_only=True):
    id: str
    name: Given[Name]
    domain_id: GivenOnce[str] = DOMAIN_ID
    enabled: Given[bool] = True
    default_project_id: Given[str | None] = None
    email: Given[str | None] = None
    description: Given[str | None] = None
    password_expires_at: str | None = None
    options: Given[dict[str, Any]] = {}


class Role(Struct, kw_only=True):
    id: str
    name: Given[Name]
    domain_id: GivenOnce[str | None] = None
    description: Given[str | None] = None
    options: Given[dict[str, Any]] = {}


class ApplicationCredential(Struct, kw_only=True):
    """Lets a program log in as its user on one project without the user's password."""

    id: str
    name: GivenOnce[Name]
    user_id: str
    project_id: str
    description: GivenOnce[str | None] = None
    roles: GivenOnce[list[dict[str, Any]]] = []
    expires_at: GivenOnce[str | None] = None
    unrestricted: GivenOnce[bool] = False
    system: str | None = None


projects = table("projects", Project, UniqueConstraint("domain_id", "name"))
users = table("users", User, UniqueConstraint("domain_id", "name"))
roles = table("roles", Role, UniqueConstraint("name"))
application_credentials = table(
    "application_credentials",
    ApplicationCredential,
    UniqueConstraint("user_id", "name"),
    owners={"user_id": "users.id", "project_id": "projects.id"},
)


def _of(name: str, target: str) -> Column[str]:
    return Column(name, String, ForeignKey(target, ondelete="CASCADE"), primary_key=True)


passwords = Table(
    "passwords",
    metadata,
    _of("user_id", "users.id"),
    Column("hash", String, nullable=False),
    # Tokens issued before are void: a changed password ends the sessions of whoever knew the old one.
    Column("changed_at", String, nullable=False),
)
application_credential_secrets = Table(
    "application_credential_secrets",
    metadata,
    _of("application_credential_id", "application_credentials.id"),
    Column("hash", String, nullable=False),
)
role_assignments = Table(
    "role_assignments",
    metadata,
    _of("project_id", "projects.id"),
    _of("user_id", "users.id"),
    _of("role_id", "roles.id"),
)
revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("audit_id", String, primary_key=True),
    Column("expires_at", String, nullable=False),
)
