"""`limit` and `marker` of the Compute API's lists."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import urlencode

from hydria.base.errors import Invalid
from hydria.cloud.web import AnyRequest, own_url

MAX_LIMIT = 1000


class Identified(Protocol):
    id: str


T = TypeVar("T", bound=Identified)


def page(request: AnyRequest, items: Sequence[T], name: str) -> tuple[list[T], dict[str, Any]]:
    """The page asked for and, where there is a next one, the `<name>_links` that lead to it. Raises Invalid."""
    parameters = dict(request.query_params.items())
    limit = _limit(parameters.get("limit"))
    start = 0
    if (marker := parameters.get("marker")) is not None:
        ids = [item.id for item in items]
        if marker not in ids:
            raise Invalid(f"marker [{marker}] not found", field="marker")
        start = ids.index(marker) + 1
    found = list(items[start : start + limit])
    if start + limit >= len(items) or not found:
        return found, {}
    query = urlencode({**parameters, "limit": limit, "marker": found[-1].id})
    return found, {f"{name}_links": [{"rel": "next", "href": f"{own_url(request, request.url.path)}?{query}"}]}


def _limit(text: str | None) -> int:
    if text is None:
        return MAX_LIMIT
    if not text.isascii() or not text.isdigit():
        raise Invalid(f"Invalid input for query parameters limit. Value: {text}. limit must be >= 0", field="limit")
    return min(int(text), MAX_LIMIT)
