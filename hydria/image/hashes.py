"""SHA-256 of what an image was made of, as `packages.of_tree` asks for them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

LISTS = Path("var/lib/apt/lists")


def of_debs(tree: Path) -> dict[str, str]:
    """By NAME_VERSION_ARCHITECTURE.deb, from apt's package lists: what apt has compared each package with."""
    return {name: value for path in sorted((tree / LISTS).glob("*_Packages")) for name, value in _stanzas(path)}


def _stanzas(path: Path) -> Iterator[tuple[str, str]]:
    fields: dict[str, str] = {}
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in [*lines, "\n"]:
            key, colon, value = line.partition(": ")
            if colon and key in ("Package", "Version", "Architecture", "SHA256"):
                fields[key] = value.strip()
            elif line == "\n":
                if len(fields) == 4:
                    yield f"{fields['Package']}_{fields['Version']}_{fields['Architecture']}.deb", fields["SHA256"]
                fields = {}


def of_wheel(wheel: Path) -> dict[str, str]:
    """By NAME-VERSION."""
    return {"-".join(wheel.name.split("-")[:2]): hashlib.sha256(wheel.read_bytes()).hexdigest()}
