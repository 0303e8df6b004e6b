"""The files of an image, read without mounting it: an ext4 file system by debugfs, or a tar. Writes nothing into it.

Links are not followed: what a path names is what lies there.
"""

import enum
import re
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol

from msgspec import Struct

from hydria.base import process
from hydria.base.errors import Invalid

_SECONDS = 120.0
"""A debugfs that reads a whole image's directories needs less than one."""
_ROOT_INODE = 2
_LISTED = re.compile(r"^/(\d+)/([0-7]{6})/(\d+)/(\d+)/(.*)/(\d*)/$")
"""A line of debugfs's `ls -p`: inode, mode, owner, group, name, size."""
_COMMAND = "debugfs: "
_LINK_TARGET = re.compile(r'^Fast link dest: "(.*)"$', re.MULTILINE)


class Kind(enum.StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    LINK = "link"
    OTHER = "other"
    """Device, FIFO or socket."""


class Entry(Struct, kw_only=True, frozen=True):
    path: str
    kind: Kind
    mode: int
    """Permission bits, with set-user-ID and the like."""
    uid: int
    gid: int
    size: int = 0
    """Bytes; 0 for what is no file."""


class FileSystem(Protocol):
    @property
    def label(self) -> str:
        """Empty: none."""
        ...

    @property
    def entries(self) -> Mapping[str, Entry]:
        """By absolute path, sorted; without the root directory itself."""
        ...

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        """Content of those that are files."""
        ...

    def targets(self, paths: Iterable[str]) -> Mapping[str, str]:
        """Of those that are links."""
        ...


class Ext4:
    """At `offset` bytes of a raw disk. Raises Invalid where there is none, or a broken one."""

    def __init__(self, disk: Path, offset: int = 0) -> None:
        self._disk, self._device = disk, f"{disk}?offset={offset}"
        self._inodes: dict[str, int] = {}
        self.label = self._label()
        self.entries: Mapping[str, Entry] = dict(sorted((entry.path, entry) for entry in self._walk()))

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        wanted = [path for path in paths if path in self.entries and self.entries[path].kind is Kind.FILE]
        with tempfile.TemporaryDirectory(prefix="hydria-image-") as directory:
            dumps = {path: Path(directory) / str(number) for number, path in enumerate(wanted)}
            self._debugfs(f"dump <{self._inodes[path]}> {dump}" for path, dump in dumps.items())
            missing = [path for path, dump in dumps.items() if not dump.exists()]
            if missing:
                raise Invalid(f"Reading {missing[0]} in image {self._disk}: debugfs cannot.")
            return {path: dump.read_bytes() for path, dump in dumps.items()}

    def targets(self, paths: Iterable[str]) -> Mapping[str, str]:
        links = [path for path in paths if path in self.entries and self.entries[path].kind is Kind.LINK]
        answers = self._debugfs(f"stat <{self._inodes[path]}>" for path in links)
        found = {path: _LINK_TARGET.search(answer) for path, answer in zip(links, answers, strict=True)}
        return {path: match[1] for path, match in found.items() if match}

    def _label(self) -> str:
        done = process.run(["debugfs", "-R", "show_super_stats -h", self._device], check=False, timeout=_SECONDS)
        name = re.search(r"^Filesystem volume name: +(.*)$", done.stdout, re.MULTILINE)
        if name is None:
            what = done.stderr.strip().splitlines()[-1:] or ["debugfs says nothing"]
            raise Invalid(f"Reading image {self._disk}: its partition holds no ext4 file system ({what[0]}).")
        return "" if name[1] == "<none>" else name[1]

    def _walk(self) -> Iterator[Entry]:
        """One debugfs per level: each is told all directories that the one before has found."""
        level, seen = {"": _ROOT_INODE}, {_ROOT_INODE}
        while level:
            answers = self._debugfs(f"ls -p <{inode}>" for inode in level.values())
            below: dict[str, int] = {}
            for directory, answer in zip(level, answers, strict=True):
                for inode, entry in _listed(directory, answer):
                    self._inodes[entry.path] = inode
                    if entry.kind is Kind.DIRECTORY and inode not in seen:  # a loop is a broken file system
                        seen.add(inode)
                        below[entry.path] = inode
                    yield entry
            level = below

    def _debugfs(self, commands: Iterable[str]) -> list[str]:
        """The answer of each command."""
        lines = list(commands)
        if not lines:
            return []
        done = process.run(["debugfs", "-f", "-", self._device], stdin="\n".join(lines) + "\n", timeout=_SECONDS)
        answers = re.split(rf"^{re.escape(_COMMAND)}.*\n", done.stdout, flags=re.MULTILINE)[1:]
        if len(answers) != len(lines):
            raise Invalid(f"Reading image {self._disk}: debugfs answers {len(answers)} of {len(lines)} commands.")
        return answers


def _listed(directory: str, answer: str) -> Iterator[tuple[int, Entry]]:
    for line in answer.splitlines():
        match = _LISTED.match(line)
        if match is None or match[5] in (".", ".."):
            continue
        inode, mode = int(match[1]), int(match[2], 8)
        kind = {0o040000: Kind.DIRECTORY, 0o100000: Kind.FILE, 0o120000: Kind.LINK}.get(mode & 0o170000, Kind.OTHER)
        yield (
            inode,
            Entry(
                path=f"{directory}/{match[5]}",
                kind=kind,
                mode=mode & 0o7777,
                uid=int(match[3]),
                gid=int(match[4]),
                size=int(match[6] or 0) if kind is Kind.FILE else 0,
            ),
        )


class Tar:
    """An image of type tar: the files alone. Raises Invalid where it cannot be read to its end."""

    label = ""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        try:
            with tarfile.open(archive) as tar:
                members = {_absolute(member.name): member for member in tar}
        except (tarfile.TarError, OSError, EOFError) as error:
            raise Invalid(f"Reading image {archive}: it is no whole tar archive ({error}).") from error
        self._members = {path: member for path, member in sorted(members.items()) if path != "/"}
        self.entries: Mapping[str, Entry] = {path: _entry(path, member) for path, member in self._members.items()}

    def read(self, paths: Iterable[str]) -> Mapping[str, bytes]:
        wanted = [path for path in paths if path in self.entries and self.entries[path].kind is Kind.FILE]
        contents = {}
        with tarfile.open(self._archive) as tar:
            for path in sorted(wanted, key=lambda path: self._members[path].offset):
                file = tar.extractfile(self._members[path])
                contents[path] = file.read() if file else b""
        return contents

    def targets(self, paths: Iterable[str]) -> Mapping[str, str]:
        links = [path for path in paths if path in self.entries and self.entries[path].kind is Kind.LINK]
        return {path: self._members[path].linkname for path in links}


def _absolute(name: str) -> str:
    return str(PurePosixPath("/", name))


def _entry(path: str, member: tarfile.TarInfo) -> Entry:
    kind = Kind.OTHER
    if member.isdir():
        kind = Kind.DIRECTORY
    elif member.issym():
        kind = Kind.LINK
    elif member.isfile() or member.islnk():
        kind = Kind.FILE
    return Entry(path=path, kind=kind, mode=member.mode, uid=member.uid, gid=member.gid, size=member.size)
