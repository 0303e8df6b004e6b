"""What is installed in an image: STEM.packages, JSON of `Packages`, which the bill of materials is made of.

Read from the image's own files, by whoever has them: the build its tree, `hydria image inspect` the file system.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

DPKG_STATUS = "/var/lib/dpkg/status"
COPYRIGHTS = "/usr/share/doc"
"""PACKAGE/copyright below it."""
AGENT_LIBRARY = "/opt/hydria/lib"
"""Hydria's agent and what it imports, each with its *.dist-info/METADATA."""

_METADATA = "*.dist-info/METADATA"
_INSTALLED = "installed"
_MACHINE_READABLE = "copyright-format/1.0"
_LICENSE = re.compile(r"^License:[ \t]*(\S.*)$", re.MULTILINE)


class DebianPackage(Struct, kw_only=True, frozen=True, omit_defaults=True):
    name: str
    version: str
    architecture: str
    """As dpkg's: amd64, all."""
    source: str = ""
    """Name of the source package where that is another."""
    section: str = ""
    maintainer: str = ""
    homepage: str = ""
    summary: str = ""
    licenses: tuple[str, ...] = ()
    """Short names of its copyright file (GPL-2+, Expat); empty where that is missing or not machine-readable."""
    sha256: str = ""
    """Of the .deb, where the build still knows it."""


class PythonPackage(Struct, kw_only=True, frozen=True, omit_defaults=True):
    name: str
    version: str
    license: str = ""
    """License-Expression of its METADATA (an SPDX expression), else its License."""
    homepage: str = ""
    author: str = ""
    summary: str = ""
    sha256: str = ""
    """Of the wheel, where the build still knows it."""


class Packages(Struct, kw_only=True, frozen=True):
    """Sorted by name, so that the same image gives the same document."""

    debian: tuple[DebianPackage, ...] = ()
    python: tuple[PythonPackage, ...] = ()


def encode(packages: Packages) -> bytes:
    return msgspec.json.format(msgspec.json.encode(packages), indent=2) + b"\n"


def decode(document: bytes) -> Packages:
    """Raises msgspec.ValidationError or DecodeError."""
    return msgspec.json.decode(document, type=Packages)


def of_tree(root: Path, *, sha256: Mapping[str, str] | None = None) -> Packages:
    """Of an unpacked image at `root`. `sha256`: by NAME_VERSION_ARCH.deb and by NAME-VERSION (Python), if known."""
    status = (root / DPKG_STATUS.lstrip("/")).read_text(encoding="utf-8", errors="replace")
    metadata = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in (root / AGENT_LIBRARY.lstrip("/")).glob(_METADATA)
    ]
    docs = root / COPYRIGHTS.lstrip("/")

    def copyright_of(name: str) -> str:
        file = docs / name / "copyright"
        if not file.resolve().is_relative_to(root.resolve()):  # a link that would lead to this machine's file
            return ""
        try:
            return file.read_text(encoding="utf-8", errors="replace")
        except OSError:  # Slim images leave it out.
            return ""

    known = sha256 or {}
    debian = tuple(
        msgspec.structs.replace(
            package,
            licenses=licenses(copyright_of(package.name)),
            sha256=known.get(f"{package.name}_{package.version}_{package.architecture}.deb", ""),
        )
        for package in debian_packages(status)
    )
    python = tuple(
        msgspec.structs.replace(package, sha256=known.get(f"{package.name}-{package.version}", ""))
        for package in python_packages(metadata)
    )
    return Packages(debian=debian, python=python)


def debian_packages(status: str) -> tuple[DebianPackage, ...]:
    """Of dpkg's status file: those that are installed, sorted by name and architecture."""
    found = (
        DebianPackage(
            name=stanza["Package"],
            version=stanza["Version"],
            architecture=stanza["Architecture"],
            source=stanza.get("Source", "").partition(" ")[0],
            section=stanza.get("Section", ""),
            maintainer=stanza.get("Maintainer", ""),
            homepage=stanza.get("Homepage", ""),
            summary=stanza.get("Description", "").partition("\n")[0],
        )
        for stanza in _stanzas(status)
        if stanza.get("Status", "").split()[-1:] == [_INSTALLED]
    )
    return tuple(sorted(found, key=lambda package: (package.name, package.architecture)))


def python_packages(metadata: Iterable[str]) -> tuple[PythonPackage, ...]:
    """Of the METADATA files' texts, sorted by name."""
    found = (
        PythonPackage(
            name=its["Name"],
            version=its["Version"],
            license=its.get("License-Expression", "") or its.get("License", "").partition("\n")[0],
            homepage=_homepage(its),
            author=its.get("Author-email", "") or its.get("Author", "") or its.get("Maintainer-email", ""),
            summary=its.get("Summary", ""),
        )
        for its in map(HeaderParser().parsestr, metadata)
    )
    return tuple(sorted(found, key=lambda package: package.name))


def is_metadata(path: str) -> bool:
    """Whether that file of an image describes a Python package of the agent's."""
    return PurePosixPath(path).match(f"{AGENT_LIBRARY}/{_METADATA}")


def licenses(copyright_file: str) -> tuple[str, ...]:
    """The short names that a copyright file of Debian's format 1.0 gives, sorted; of another none can be told."""
    if _MACHINE_READABLE not in copyright_file.partition("\n\n")[0]:
        return ()
    return tuple(sorted({name.strip() for name in _LICENSE.findall(copyright_file)}))


def _stanzas(text: str) -> Iterator[Message]:
    parser = HeaderParser()
    for stanza in text.split("\n\n"):
        if stanza.strip():
            yield parser.parsestr(stanza.lstrip("\n"))


def _homepage(metadata: Message) -> str:
    for line in metadata.get_all("Project-URL", []):
        label, _, url = line.partition(",")
        if label.strip().lower() == "homepage":
            return str(url).strip()
    return str(metadata.get("Home-page", ""))
