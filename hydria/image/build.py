"""Builds an amphora image: options in, files beside the output out, facts back. The order of steps stands here only."""

import contextlib
import datetime as dt
import errno
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from hydria.base.errors import Invalid, Terminal
from hydria.base.process import ProcessFailed
from hydria.image import (
    agent_library,
    apt_sources,
    diskimage_builder,
    hashes,
    kernel,
    pack,
    packages,
    preflight,
    prerequisites,
    sbom,
    tree,
)
from hydria.image.facts import Facts
from hydria.image.options import Format, Options

Report = Callable[[str, float], None]

SOURCE_DATE_EPOCH = "SOURCE_DATE_EPOCH"
FACTS, VMLINUX, INITRD, PACKAGES, SBOM = ".json", ".vmlinux", ".initrd", ".packages", ".spdx.json"
"""Suffixes of what lies beside the output."""


def build(options: Options, report: Report) -> Facts:
    """report(step, fraction of the whole, 0 to 1). Whatever stood at the output's paths is replaced at the very end.

    Raises Invalid (an option), Terminal (this machine, or a package that is not as expected) or Retryable (a mirror or
    PyPI did not answer). A build that fails leaves nothing but its log file.
    """
    preflight.check(options)
    prerequisites.check_machine()
    _given_date()
    version = agent_library.version_of(options.wheel) if options.wheel else ""
    with _as_errors(), contextlib.ExitStack() as stack:
        cache = prerequisites.cache_directory(options)
        cache.mkdir(parents=True, exist_ok=True)
        output = options.output.absolute()
        log = stack.enter_context(_log(options.log_file))
        mask = os.umask(0o022)  # the image's files must not depend on ours
        stack.callback(os.umask, mask)
        work = _directory(stack, options.work_directory.absolute(), "hydria-image-")
        finished = _directory(stack, output.parent, f".{output.name}.")

        report("Hydria's wheel", 0.0)
        wheel = options.wheel or agent_library.build_wheel(work / "wheel")
        version = version or agent_library.version_of(wheel)
        epoch = source_date(wheel)
        agent_library.install(wheel, work / "agent")
        (work / "sources.list").write_text(apt_sources.read(options.release, os.environ))
        made = diskimage_builder.make_tree(
            options, work, cache, epoch=epoch, log=log, report=lambda stage, part: report(stage, 0.03 + part * 0.6)
        )
        report("kernel modules, initramfs", 0.65)
        found = packages.of_tree(made, sha256={**hashes.of_debs(made), **hashes.of_wheel(wheel)})
        tree.finish(made, options, work=work, epoch=epoch)
        facts = tree.tell(made, options, version=version, created=_created(), packages=found)
        tree.set_times(made, epoch)
        _write_beside(finished, output.stem, made, facts, found)
        report("packing the disk, without loop devices", 0.72)
        _pack(options, made, finished / output.name, facts, epoch=epoch, work=work, report=report)
        # Who reads the image reads the password's hash.
        _publish(finished, output, mode=0o666 & ~mask if options.root_password is None else 0o600)
        report("done", 1.0)
        return facts


def _write_beside(finished: Path, stem: str, made: Path, facts: Facts, found: packages.Packages) -> None:
    (finished / f"{stem}{FACTS}").write_bytes(tree.encode(facts))
    (finished / f"{stem}{PACKAGES}").write_bytes(packages.encode(found))
    (finished / f"{stem}{SBOM}").write_bytes(sbom.encode(sbom.document(found, facts)))
    (finished / f"{stem}{VMLINUX}").write_bytes(kernel.vmlinux((made / "boot" / "vmlinuz").read_bytes()))
    shutil.copyfile(made / "boot" / "initrd.img", finished / f"{stem}{INITRD}")


def _pack(
    options: Options, made: Path, destination: Path, facts: Facts, *, epoch: int, work: Path, report: Report
) -> None:
    if options.format is Format.TAR:
        pack.make_tar(made, destination)
        return
    raw = work / "disk.raw"
    pack.make_raw(made, raw, size=options.size, command_line=facts.command_line, epoch=epoch, work=work)
    report(f"{options.format} of the disk", 0.85)
    pack.convert(raw, destination, options.format)


def _publish(finished: Path, output: Path, *, mode: int) -> None:
    """The image last: who finds it finds the rest too."""
    names = sorted((path.name for path in finished.iterdir()), key=lambda name: name == output.name)
    for name in names:
        (finished / name).chmod(mode)
        (finished / name).replace(output.parent / name)


def source_date(wheel: Path) -> int:
    """SOURCE_DATE_EPOCH, seconds since 1970: as given to us, else of the wheel's youngest file.

    https://reproducible-builds.org/specs/source-date-epoch/
    """
    if (given := _given_date()) is not None:
        return given
    with zipfile.ZipFile(wheel) as archive:
        youngest = max(dt.datetime(*info.date_time, tzinfo=dt.UTC) for info in archive.infolist())
    return int(youngest.timestamp())


def _given_date() -> int | None:
    given = os.environ.get(SOURCE_DATE_EPOCH, "")
    if given and not given.isdecimal():
        raise Invalid(f"{SOURCE_DATE_EPOCH} is {given!r}: it must be seconds since 1970.", field=SOURCE_DATE_EPOCH)
    return int(given) if given else None


def _created() -> str:
    given = _given_date()
    moment = dt.datetime.now(dt.UTC) if given is None else dt.datetime.fromtimestamp(given, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@contextlib.contextmanager
def _log(path: Path | None) -> Iterator[BinaryIO]:
    with (path or Path(os.devnull)).open("wb", buffering=0) as log:
        yield log


def _directory(stack: contextlib.ExitStack, parent: Path, prefix: str) -> Path:
    """A new one that is gone in the end."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    stack.callback(shutil.rmtree, path)
    return path


@contextlib.contextmanager
def _as_errors() -> Iterator[None]:
    """What the system refuses, in words of our own."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise Terminal(
                f"Building an image: no space was left on the device of {error.filename or 'a file'}."
            ) from error
        raise Terminal(f"Building an image: {error.filename or 'a file'}: {error.strerror}.") from error
    except ProcessFailed as error:
        raise Terminal(f"Building an image: {error.message}") from error
