"""Secrets, containers, consumers and ACLs as the Key Manager API v1 shows them, with their tables."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, field
from sqlalchemy import Column, ForeignKey, LargeBinary, String, Table

from hydria.cloud.database import metadata
from hydria.cloud.resource import GivenOnce, table

Name = Annotated[str, Meta(max_length=255)]
Word = Annotated[str, Meta(min_length=1, max_length=255)]


def moment() -> str:
    """Barbican's way to write a time: UTC, without saying so."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat()


class Acl(Struct, kw_only=True):
    """Who may read besides those that may anyway. Nothing but `read` can be given to anybody."""

    users: list[str] = []
    project_access: bool = field(default=True, name="project-access")
    """False: of the project only who made it, and the project's administrators."""
    created: str
    updated: str


class Consumer(Struct, kw_only=True):
    """Who said that he uses a secret or container. What a caller gives of it tells one from the other."""

    project_id: str
    status: str = "ACTIVE"
    created: str
    updated: str


class SecretConsumer(Consumer, kw_only=True):
    service: GivenOnce[Word]
    resource_type: GivenOnce[Word]
    resource_id: GivenOnce[Word]


class ContainerConsumer(Consumer, kw_only=True, rename={"url": "URL"}):
    name: GivenOnce[Word]
    url: GivenOnce[Word]


class Kept(Struct, kw_only=True):
    """What secrets and containers have in common."""

    id: str
    name: GivenOnce[Name | None] = None
    project_id: str
    creator_id: str
    status: str = "ACTIVE"
    acl: Acl | None = None
    consumers: Sequence[Consumer] = []
    created: str
    updated: str


SecretType = Literal["opaque", "certificate", "passphrase", "private", "public", "symmetric"]


class Secret(Kept, kw_only=True):
    secret_type: GivenOnce[SecretType] = "opaque"  # noqa: S105 - a kind of secret is none
    algorithm: GivenOnce[Name | None] = None
    bit_length: GivenOnce[Annotated[int, Meta(ge=1, le=32767)] | None] = None
    mode: GivenOnce[Name | None] = None
    expiration: GivenOnce[str | None] = None
    content_type: str | None = None
    """Of its payload; None: it has none yet."""
    consumers: list[SecretConsumer] = []


class Reference(Struct, kw_only=True):
    name: Name | None = None
    secret_id: str


class Container(Kept, kw_only=True):
    type: GivenOnce[Literal["generic", "rsa", "certificate"]]
    secret_refs: list[Reference] = []
    """A secret that is deleted stays named here, as in Barbican."""
    consumers: list[ContainerConsumer] = []


secrets = table("secrets", Secret, index=("project_id",))
containers = table("containers", Container, index=("project_id",))
payloads = Table(
    "secret_payloads",
    metadata,
    Column("secret_id", String, ForeignKey("secrets.id", ondelete="CASCADE"), primary_key=True),
    Column("key_id", String, nullable=False, index=True),
    Column("sealed", LargeBinary, nullable=False),
)
