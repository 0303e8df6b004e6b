"""A spec in the words of another version, so that controller and agent need not be upgraded at the same time.

Pure. One function per step and direction; docs/design/0044-spec-versions.md says when a version is due.
"""

from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from hydria.base.errors import Invalid, Terminal
from hydria.model.spec import VERSION, VERSIONS, Fault, Spec

Json = dict[str, Any]


class Document(Struct, kw_only=True, frozen=True):
    """A spec as one agent takes it."""

    amphora_id: str
    version: int
    body: bytes
    losses: tuple[Fault, ...] = ()
    """What was asked for and cannot be said in that version: it is left out of the body."""


class NoCommonVersion(Terminal):
    """Controller and agent are too far apart."""


class Step(NamedTuple):
    """Between a version and the next one. Both change the document in place, all but its `version`."""

    up: Callable[[Json], None]
    down: Callable[[Json], Iterable[Fault]]
    """What cannot be kept and changes what a user asked for is taken out whole, and named."""


def _1_to_2(document: Json) -> None:
    document["threads"] = None


def _2_to_1(document: Json) -> Iterable[Fault]:
    # Nobody asked for a number of threads: HAProxy serves the same with its own choice.
    document.pop("threads", None)
    return ()


STEPS = {1: Step(up=_1_to_2, down=_2_to_1)}
"""The older version → the step to the next one."""


def agreed(amphora_id: str, versions: Collection[int]) -> int:
    """The highest that is both among `versions`, those of its Info, and ours. Raises NoCommonVersion."""
    common = set(versions) & set(VERSIONS)
    if not common:
        raise NoCommonVersion(_too_far_apart(amphora_id, versions))
    return max(common)


def for_agent(spec: Spec, versions: Collection[int]) -> Document:
    """In the version that is `agreed`. Raises NoCommonVersion."""
    version = agreed(spec.amphora_id, versions)
    body = msgspec.json.encode(spec)
    losses: list[Fault] = []
    if version != VERSION:
        document = msgspec.json.decode(body, type=Json)
        for older in range(VERSION - 1, version - 1, -1):
            losses += STEPS[older].down(document)
        body = msgspec.json.encode({**document, "version": version})
    return Document(amphora_id=spec.amphora_id, version=version, body=body, losses=tuple(losses))


def read(body: bytes) -> Spec:
    """A document of any version that we know, as a spec of today's. Raises Invalid."""
    try:
        version = msgspec.json.decode(body, type=_Versioned).version
        if version not in VERSIONS:
            raise Invalid(f"Spec of version {version}: this agent knows {_list(VERSIONS)}", field="version")
        if version == VERSION:
            return msgspec.json.decode(body, type=Spec)
        document = msgspec.json.decode(body, type=Json)
        for older in range(version, VERSION):
            STEPS[older].up(document)
        return msgspec.convert({**document, "version": VERSION}, Spec)
    except msgspec.MsgspecError as error:
        raise Invalid(f"Not a spec: {error}") from error


class _Versioned(Struct):
    version: int = 1
    """The first version let it be left out."""


def _too_far_apart(amphora_id: str, versions: Collection[int]) -> str:
    if max(versions, default=0) < min(VERSIONS):
        cure = "Upload an amphora image of this version of Hydria and fail the amphora over"
    else:
        cure = "Upgrade the controller, or upload an amphora image of its version and fail the amphora over"
    return (
        f"The agent of amphora {amphora_id} takes specs of {_list(versions)}, and this controller makes "
        f"{_list(VERSIONS)}. {cure}."
    )


def _list(versions: Collection[int]) -> str:
    *others, last = map(str, sorted(versions)) if versions else ["none"]
    return f"versions {', '.join(others)} and {last}" if others else f"version {last}"
