"""What can be known to be wrong with a build before it begins: nothing is made for it, and it says so at once."""

import os
import shutil
from pathlib import Path

from hydria.base.errors import Invalid, Terminal
from hydria.image.options import Options

BASES = ("debian-minimal",)
RELEASES = ("bookworm",)
ARCHITECTURES = ("amd64",)
SIZES = range(1, 1025)
"""GiB."""
_GIB = 1024**3
WORK_SPACE = 3 * _GIB
"""The tree, its disk and a compressed one, at the same time."""
OUTPUT_SPACE = 1 * _GIB


def check(options: Options) -> None:
    """Raises Invalid, naming the field of Options, and Terminal for what this machine lacks."""
    for field, value, known in (
        ("base", options.base, BASES),
        ("release", options.release, RELEASES),
        ("architecture", options.architecture, ARCHITECTURES),
    ):
        if value not in known:
            raise Invalid(f"Building an image: no {field} {value}. There is {', '.join(known)}.", field=field)
    if options.size not in SIZES:
        raise Invalid(
            f"Building an image: size {options.size} GB. It may be {SIZES.start} to {SIZES.stop - 1}.", field="size"
        )
    _elements(options)
    if options.wheel is not None and not options.wheel.is_file():
        raise Invalid(f"Building an image: wheel {options.wheel}: there is no such file.", field="wheel")
    _writable("output", options.output.parent)
    if options.output.is_dir():
        raise Invalid(f"Building an image: output {options.output} is a directory.", field="output")
    _writable("work directory", options.work_directory)
    if options.log_file is not None:
        _writable("log file", options.log_file.parent)
    _space("output", options.output.parent, OUTPUT_SPACE)
    _space("work directory", options.work_directory, WORK_SPACE)


def _elements(options: Options) -> None:
    for directory in options.elements_path:
        if not directory.is_dir():
            raise Invalid(
                f"Building an image: elements path {directory}: there is no such directory.", field="elements_path"
            )


def _writable(what: str, directory: Path) -> None:
    if not directory.is_dir():
        raise Invalid(f"Building an image: {what}: there is no directory {directory.absolute()}.", field=what)
    if not os.access(directory, os.W_OK | os.X_OK):
        raise Invalid(f"Building an image: {what}: directory {directory.absolute()} cannot be written to.", field=what)


def _space(what: str, directory: Path, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise Terminal(
            f"Building an image: {what}: {directory.absolute()} has {free / _GIB:.1f} GiB free, "
            f"and {needed / _GIB:.0f} GiB are needed."
        )
