"""Whose a link is, written into its `ifalias`, where `ip link` shows it and no crash can lose it.

    hydria:FABRIC:KIND:ID[:DETAIL]

The kernel keeps the alias with the device while guests rename it and move it between namespaces.
"""

from typing import Literal, Self, get_args

from msgspec import Struct

from hydria.base.errors import invalid_field

Kind = Literal["fabric", "bridge", "management", "pf", "vf", "port", "host"]

_MAX = 255
"""IFALIASZ - 1."""


class Tag(Struct, frozen=True):
    fabric: str
    kind: Kind
    id: str
    detail: int | None = None
    """Of a PF: how many VFs it has. Of a VF or port: inode of the network namespace that it was handed to."""

    def __str__(self) -> str:
        parts = ["hydria", self.fabric, self.kind, self.id]
        text = ":".join(parts if self.detail is None else [*parts, str(self.detail)])
        if len(text.encode()) > _MAX or any(":" in part for part in parts):
            raise invalid_field("id", self.id, f"It does not fit into a link's alias: {text}")
        return text

    @classmethod
    def parse(cls, alias: str | None) -> Self | None:
        """None where the alias is not one of ours.

        >>> Tag.parse("hydria:hydria:pf:pf-public:8")
        Tag(fabric='hydria', kind='pf', id='pf-public', detail=8)
        >>> Tag.parse("uplink to rack 5")
        """
        match (alias or "").split(":"):
            case ["hydria", fabric, kind, id_] if known := _KINDS.get(kind):
                return cls(fabric, known, id_)
            case ["hydria", fabric, kind, id_, detail] if detail.isdecimal() and (known := _KINDS.get(kind)):
                return cls(fabric, known, id_, int(detail))
        return None

    def is_same(self, other: "Tag | None") -> bool:
        """The same thing, whatever the detail says of it."""
        return other is not None and (self.fabric, self.kind, self.id) == (other.fabric, other.kind, other.id)


_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
