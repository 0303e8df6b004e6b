"""Images as tables for people and as JSON for programs. Pure: what it shows it is given."""

import stat
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from hydria.image.checks import Check
from hydria.image.facts import from_properties
from hydria.image.filesystem import Entry, Kind
from hydria.image.inspect import Inspection

Json = dict[str, Any]

NONE = "-"
_UNITS = ("B", "KiB", "MiB", "GiB")
_LETTERS = {Kind.FILE: stat.S_IFREG, Kind.DIRECTORY: stat.S_IFDIR, Kind.LINK: stat.S_IFLNK, Kind.OTHER: 0}


def inspection(found: Inspection) -> Table:
    its = found.facts
    where = ", ".join(f"at {size(one.start)}, {size(one.size)}" for one in found.disk.partitions)
    facts = {
        "File": str(found.disk.path),
        "Format": found.disk.format,
        "File size": size(found.disk.file_size),
        "Virtual size": size(found.disk.virtual_size),
        "Partition": where or NONE,
        "Root file system": found.label or NONE,
        "Hydria": its.version,
        "Spec versions": ", ".join(map(str, its.spec_versions)),
        "Distribution": " ".join(filter(None, (its.distribution, its.architecture))),
        "Kernel": ", ".join(found.kernels) or NONE,
        "Kernel command line": its.command_line or NONE,
        "HAProxy": its.haproxy or NONE,
        "nftables": _yes(its.nftables),
        "sshd": _yes(its.sshd),
        "CPU pinning": _yes(its.pinning),
        "Created": its.created or NONE,
        "Packages": f"{found.debian_packages} Debian, {found.python_packages} Python",
        "Files": str(len(found.files)),
        "Units": ", ".join(found.units) or NONE,
    }
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        table.add_row(name, value)
    return table


def checks(found: tuple[Check, ...]) -> Table:
    table = Table("Check", "Result")
    for check in found:
        table.add_row(check.name, "[green]good[/]" if check.passed else f"[red]{escape(chr(10).join(check.wrong))}[/]")
    return table


def file_lines(files: tuple[Entry, ...]) -> Iterator[str]:
    """As `ls -l`, one line each."""
    for entry in files:
        mode = stat.filemode(entry.mode | _LETTERS[entry.kind])
        yield f"{mode} {entry.uid:5} {entry.gid:5} {entry.size:10} {entry.path}"


def inspection_json(found: Inspection, *, files: bool) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(found, enc_hook=str)
    document["passed"] = found.passed
    if not files:
        del document["files"]
    return document


def image_row(image: Json, *, current: bool, amphorae: int | None) -> Json:
    """`amphorae`: None where that is not known."""
    told = from_properties(image)
    return {
        "id": image["id"],
        "name": image["name"],
        "status": image["status"],
        "current": current,
        "created_at": image["created_at"],
        "size": image["size"],
        "amphorae": amphorae,
        "version": told.version if told else None,
        "spec_versions": list(told.spec_versions) if told else None,
        "nftables": told.nftables if told else None,
        "kernel_id": image.get("kernel_id"),
    }


def images(rows: Sequence[Json]) -> Table:
    table = Table(
        "ID", "Name", "Created", "Status", "Size", "Hydria", "Spec versions", "nftables", "Amphorae", "New ones"
    )
    for row in rows:
        spec_versions = ", ".join(map(str, row["spec_versions"] or ())) or NONE
        nftables = NONE if row["nftables"] is None else _yes(row["nftables"])
        table.add_row(
            row["id"], escape(row["name"] or NONE), row["created_at"], row["status"], size(row["size"]),
            row["version"] or NONE, spec_versions, nftables, NONE if row["amphorae"] is None else str(row["amphorae"]),
            "[green]boot from this[/]" if row["current"] else "",
        )  # fmt: skip
    return table


def size(count: int | None) -> str:
    if count is None:
        return NONE
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.4g} {_UNITS[unit]}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
