"""What can be known to be wrong with a build before it begins: nothing is made for it, and it says so at once."""

import os
from pathlib import Path

from hydria.base.errors import Invalid
from hydria.image import prerequisites
from hydria.image.options import Options

BASES = ("debian-minimal", "debian")
"""`debian`, in diskimage-builder a ready-made cloud image, means the same here: a minimal Debian."""
RELEASES = ("bookworm",)
ARCHITECTURES = ("amd64",)
SIZES = range(1, 1025)
"""GiB."""


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
    if options.root_password is not None and (not options.root_password or "\n" in options.root_password):
        raise Invalid("Building an image: root's password is not one line of text.", field="root_password")
    prerequisites.check_space(options)


def _elements(options: Options) -> None:
    for directory in options.elements_path:
        if not directory.is_dir():
            raise Invalid(
                f"Building an image: elements path {directory}: there is no such directory.", field="elements_path"
            )


def _writable(what: str, directory: Path) -> None:
    if not directory.is_dir():
        raise Invalid(
            f"Building an image: {what}: there is no directory {directory.absolute()}.", field=what.replace(" ", "_")
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise Invalid(
            f"Building an image: {what}: directory {directory.absolute()} cannot be written to.",
            field=what.replace(" ", "_"),
        )
