"""One request, as the resources' modules see it: who calls, what with, and what there is to work with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from hydria.api.faults import body_error
from hydria.api.identity import Caller, Identity
from hydria.api.policy import Policy
from hydria.base.config import Config
from hydria.base.errors import Invalid
from hydria.drivers.cloud import Cloud
from hydria.model.served import AMPHORA, Served
from hydria.store.database import Database
from hydria.store.queue import Queue
from hydria.store.wake import WakeSender


@dataclass(frozen=True)
class Services:
    """Made once per process."""

    config: Config
    database: Database
    queue: Queue
    identity: Identity
    policy: Policy
    cloud: Cloud
    """With the service's own rights: for what it makes itself, and what tenants never name."""
    wake: WakeSender
    """To be told, after a commit, that there is work."""
    served: Served = AMPHORA


@dataclass(frozen=True)
class Call:
    services: Services
    caller: Caller
    cloud: Cloud
    """As the caller sees it: for whatever a request names there."""
    url: str
    """Without query, as the client wrote it."""
    path: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: bytes

    def authorize(self, rule: str, project_id: str | None) -> None:
        """Raises Forbidden."""
        self.services.policy.check(self.caller, rule, project_id)

    def allows(self, rule: str, project_id: str | None) -> bool:
        return self.services.policy.allows(self.caller, rule, project_id)

    def flag(self, name: str) -> bool:
        return self.query.get(name, ("false",))[-1].lower() in ("true", "1", "yes", "on", "t", "y")

    def content(self, root: str) -> Any:
        """What the body holds under its only key."""
        value = parse(self.body)
        if not isinstance(value, dict) or root not in value:
            raise body_error(f"It must be a JSON object with the key '{root}'.")
        if unknown := next((key for key in value if key != root), None):
            raise Invalid(f"Unknown attribute for argument body: {unknown}", field=unknown)
        return value[root]

    def form(self, root: str) -> dict[str, Any]:
        return resource_body(self.content(root), root)


@dataclass(frozen=True)
class Answer:
    content: Any = None
    status: int = 200


def parse(body: bytes) -> Any:
    """Raises Invalid."""
    if b"\\u0000" in body:  # PostgreSQL's text cannot hold it, and no name needs it.
        raise body_error("It must not hold the character U+0000.")
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise body_error(f"It is not JSON: {error}.") from error


def resource_body(value: Any, name: str) -> dict[str, Any]:
    """A resource's attributes, with tenant_id under its present name. Raises Invalid."""
    if not isinstance(value, dict):
        raise body_error(f"{name} must be an object.")
    if "tenant_id" not in value:
        return value
    if value.get("project_id") not in (None, value["tenant_id"]):
        raise Invalid("project_id and tenant_id are the same attribute and must not differ.", field="tenant_id")
    return {**{key: item for key, item in value.items() if key != "tenant_id"}, "project_id": value["tenant_id"]}
