"""Which providers a query of GET /resource_providers asks for. Pure."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence

from hydria.base.errors import Invalid
from hydria.cloud.resource_providers.providers import Provider

Test = Callable[[Provider], bool]

SINCE = {"name": 0, "uuid": 0, "member_of": 3, "resources": 4, "in_tree": 14, "required": 18}
"""Parameter → the N of the version 1.N that brought it."""


def matching(providers: Sequence[Provider], query: Mapping[str, Sequence[str]], version: int) -> list[Provider]:
    """Raises Invalid: a filter that is not understood must not look as if everything matched it."""
    for name in query:
        if name not in SINCE or version < SINCE[name]:
            raise Invalid(
                "Invalid query string parameters: "
                f"Additional properties are not allowed ('{name}' was unexpected). They are {', '.join(SINCE)}."
            )
    tests = [test for name, values in query.items() for value in values for test in _tests(name, value, providers)]
    return [provider for provider in providers if all(test(provider) for test in tests)]


def _tests(name: str, value: str, providers: Sequence[Provider]) -> Iterator[Test]:
    match name:
        case "name":
            yield lambda provider: provider.name == value
        case "uuid":
            wanted = _uuid(name, value)
            yield lambda provider: provider.uuid == wanted
        case "in_tree":
            wanted = _uuid(name, value)
            roots = {provider.root for provider in providers if provider.uuid == wanted}
            yield lambda provider: provider.root in roots
        case "member_of":
            wanted_any = {_uuid(name, one) for one in value.removeprefix("in:").split(",")}
            yield lambda provider: not wanted_any.isdisjoint(provider.aggregates)
        case "resources":
            for resource_class, amount in _amounts(value):
                yield lambda provider, r=resource_class, a=amount: provider.has(r, a)  # type: ignore[misc]
        case "required":
            for trait in value.split(","):
                yield lambda provider, t=trait: (t.lstrip("!") in provider.traits) != t.startswith("!")  # type: ignore[misc]


def _amounts(value: str) -> Iterator[tuple[str, int]]:
    for part in value.split(","):
        name, _, amount = part.partition(":")
        if not name or not (amount.isascii() and amount.isdigit()) or int(amount) < 1:
            raise Invalid(f"Badly formed resources parameter. Expected resources query string parameter in form: "
                          f"?resources=VCPU:2,MEMORY_MB:1024. Got: {value}.")  # fmt: skip
        yield name, int(amount)


def _uuid(name: str, value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError as error:
        raise Invalid(f"Invalid query string parameters: '{value}' of {name} is not a UUID.") from error
