"""What the handlers of all services share: bodies, query parameters, absolute links."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request

from hydria.base.errors import Invalid

AnyRequest = Request[Any, Any, Any]
Query = Mapping[str, list[str]]


def document(body: bytes, name: str | None = None) -> Any:
    """The JSON object of a body, or what it holds under `name`. Raises Invalid."""
    try:
        value = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Invalid(f"The body is not JSON: {error}") from error
    if not isinstance(value, dict) or (name is not None and name not in value):
        raise Invalid(f"The body must be an object{f' that holds {name}' if name else ''}.", field=name)
    return value if name is None else value[name]


def query(request: AnyRequest) -> dict[str, list[str]]:
    """Parameter → all of its values: the APIs let a parameter stand several times."""
    values: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        values.setdefault(name, []).append(value)
    return values


def own_url(request: AnyRequest, path: str) -> str:
    """Absolute, with the host that the caller reached us by."""
    return f"{str(request.base_url).rstrip('/')}{path}"
