"""Whether an amphora boots from what a new one of its load balancer would boot from. Pure."""

from collections.abc import Iterable, Mapping

from msgspec import Struct


class Amphora(Struct, kw_only=True, frozen=True):
    id: str
    loadbalancer_id: str
    status: str
    role: str | None = None
    image_id: str | None = None
    """None: its server is yet to be made."""


class Image(Struct, kw_only=True, frozen=True):
    id: str
    name: str = ""
    version: str = ""
    """Of Hydria, whose agent is in it: its property hydria_version."""

    def __str__(self) -> str:
        named = " ".join(part for part in (self.name, self.version) if part)
        return f"{named} ({self.id})" if named else self.id


class Judged(Struct, kw_only=True, frozen=True):
    amphora: Amphora
    image: Image | None
    """What it was booted from; of one that was deleted since, only the id is known."""
    outdated: bool
    why: str


def judge(
    amphorae: Iterable[Amphora],
    tags: Mapping[str, str],
    newest: Mapping[str, Image | None],
    images: Mapping[str, Image],
) -> tuple[Judged, ...]:
    """`tags`: load balancer → tag of its image. `newest`: by tag, None where there is none. `images`: by id."""
    return tuple(
        _judged(amphora, tags[amphora.loadbalancer_id], newest[tags[amphora.loadbalancer_id]], images)
        for amphora in amphorae
    )


def _judged(amphora: Amphora, tag: str, newest: Image | None, images: Mapping[str, Image]) -> Judged:
    if amphora.image_id is None:
        return Judged(amphora=amphora, image=None, outdated=False, why="it is being started")
    image = images.get(amphora.image_id, Image(id=amphora.image_id))
    if newest is None:
        why = f"no active image has the tag {tag}, so another could not be started"
        return Judged(amphora=amphora, image=image, outdated=False, why=why)
    if image.id == newest.id:
        return Judged(amphora=amphora, image=image, outdated=False, why=f"the newest with the tag {tag}")
    return Judged(amphora=amphora, image=image, outdated=True, why=f"new ones boot from {newest}")
