"""What an amphora image is and whether it is sound, found in the file itself."""

from pathlib import Path

import msgspec
from msgspec import Struct

from hydria.base.errors import Invalid
from hydria.image import checks, facts, packages
from hydria.image.checks import Check
from hydria.image.disk import Disk, opened
from hydria.image.facts import Facts
from hydria.image.filesystem import Entry, FileSystem


class Inspection(Struct, kw_only=True, frozen=True):
    disk: Disk
    label: str
    facts: Facts
    kernels: tuple[str, ...]
    debian_packages: int
    python_packages: int
    units: tuple[str, ...]
    """That start with it."""
    checks: tuple[Check, ...]
    files: tuple[Entry, ...]

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


def inspect(path: Path) -> Inspection:
    """Raises Invalid for what is no amphora image, Terminal where a program is missing."""
    with opened(path) as (disk, files):
        told = _facts(path, files)
        status = files.read([packages.DPKG_STATUS]).get(packages.DPKG_STATUS, b"").decode(errors="replace")
        metadata = [name for name in files.entries if packages.is_metadata(name)]
        return Inspection(
            disk=disk,
            label=files.label,
            facts=told,
            kernels=checks.kernels(files),
            debian_packages=len(packages.debian_packages(status)),
            python_packages=len(metadata),
            units=checks.enabled_units(files),
            checks=checks.check(files, told, has_label=bool(disk.partitions)),
            files=tuple(files.entries.values()),
        )


def _facts(path: Path, files: FileSystem) -> Facts:
    content = files.read([facts.PATH]).get(facts.PATH)
    if content is None:
        raise Invalid(f"Image {path} is no amphora image: it has no {facts.PATH}.", field="file")
    try:
        return msgspec.json.decode(content, type=Facts)
    except msgspec.MsgspecError as error:
        raise Invalid(f"Image {path}: its {facts.PATH} cannot be understood ({error}).", field="file") from error
