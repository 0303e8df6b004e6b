"""Secrets, containers, ACLs and consumers as answers: with references for ids. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from hydria.cloud.key_manager.collection import consumer_identity
from hydria.cloud.key_manager.listing import Limits, Page
from hydria.cloud.key_manager.resources import Acl, Consumer, Container, Kept, Secret
from hydria.cloud.web import Query

Document = dict[str, Any]
T = TypeVar("T")

CONSUMERS_SINCE = 1
"""The microversion that shows a secret's consumers with it."""

DEFAULT_ACL: Mapping[str, Any] = {"read": {"project-access": True}}
_KEPT = ("name", "status", "creator_id", "created", "updated")


def shown_secret(url: str, secret: Secret, minor: int) -> Document:
    document = _shown(secret, "secret_type", "algorithm", "bit_length", "mode", "expiration")
    document["secret_ref"] = f"{url}/secrets/{secret.id}"
    if secret.content_type is not None:
        document["content_types"] = {"default": secret.content_type}
    if minor >= CONSUMERS_SINCE:
        document["consumers"] = [consumer_identity(one) for one in secret.consumers]
    return document


def shown_container(url: str, container: Container, minor: int) -> Document:  # noqa: ARG001 - all show it alike
    document = _shown(container, "type")
    document["container_ref"] = f"{url}/containers/{container.id}"
    document["secret_refs"] = [
        {"name": reference.name, "secret_ref": f"{url}/secrets/{reference.secret_id}"}
        for reference in container.secret_refs
    ]
    document["consumers"] = [consumer_identity(one) for one in container.consumers]
    return document


def shown_acl(acl: Acl | None) -> Document:
    return {"read": msgspec.to_builtins(acl)} if acl else dict(DEFAULT_ACL)


def shown_consumer(consumer: Consumer) -> Document:
    times = {"created": consumer.created, "updated": consumer.updated, "status": consumer.status}
    return {**consumer_identity(consumer), **times}


def shown_page(url: str, name: str, page: Page[T], shown: Callable[[T], Document], query: Query) -> Document:
    """`name`: what the list is called; `url`: the list's own."""
    document: Document = {name: [shown(one) for one in page.found], "total": page.total}
    offset, limit = page.limits
    if offset > 0:
        document["previous"] = _link(url, query, Limits(max(0, offset - limit), limit))
    if page.total > offset + limit:
        document["next"] = _link(url, query, Limits(offset + limit, limit))
    return document


def _link(url: str, query: Query, limits: Limits) -> str:
    filters = {name: values for name, values in query.items() if name not in {"limit", "offset"}}
    return f"{url}?{urlencode({'limit': limits.limit, 'offset': limits.offset, **filters}, doseq=True)}"


def _shown(kept: Kept, *names: str) -> Document:
    return {name: getattr(kept, name) for name in (*_KEPT, *names)}
