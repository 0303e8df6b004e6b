"""Runs disk-image-create with our elements: a tree of files comes out. No disk: `pack` makes that.

It runs in mount and process namespaces of its own: however it ends, neither a mount nor a process of it is left.
"""

import contextlib
import os
import re
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import BinaryIO, NamedTuple

from hydria.base import process
from hydria.base.errors import HydriaError, Retryable, Terminal
from hydria.image.options import Options

_KEPT_LINES, _QUOTED_LINES = 250, 25
"""Of the log's end: where the cause is looked for, and what the error quotes."""
_TIMESTAMP = re.compile(r"^[0-9-]{10} [0-9:.]{8,} \| ")


class Stage(NamedTuple):
    mark: str
    """What the log says when it begins."""
    name: str
    fraction: float
    """Of the whole, that is done by then."""


STAGES = (
    Stage("I: running apt-get update", "minimal Debian", 0.0),
    Stage("I: installing essential packages", "minimal Debian: essential packages", 0.2),
    Stage("I: installing remaining packages", "minimal Debian: other packages", 0.35),
    Stage("/pre-install.d", "Debian's package lists", 0.45),
    Stage("/install.d/01-package-installs", "packages", 0.55),
    Stage("Setting up linux-image", "kernel", 0.75),
    Stage("/install.d/50-hydria", "agent", 0.85),
    Stage("/finalise.d", "finishing the tree", 0.95),
)

_NO_SPACE = "No space left on device"
_NO_NETWORK = re.compile(
    r"Temporary failure resolving|Could not resolve|Could not connect|Failed to fetch|Unable to connect"
    r"|Connection timed out|Connection refused|Network is unreachable"
)


def element_names(options: Options) -> list[str]:
    names = ["hydria-base", "hydria-amphora"]
    names += ["hydria-nftables"] if options.nftables else []
    names += ["hydria-sshd"] if options.sshd else []
    names += ["hydria-pinning"] if options.pinning else []
    # no-final-image: it is told to stop before a disk is made of the tree.
    return [*names, *options.elements, "no-final-image"]


def argv(options: Options, image: Path) -> list[str]:
    """Without -n there would be the element `base`, which brings cloud-init and more. No secret is in it."""
    program = _program()
    trace = ["-x"] if options.trace else []
    return [program, "-n", "-a", options.architecture, *trace, "-t", "raw", "-o", str(image), *element_names(options)]


def environment(options: Options, work: Path, cache: Path, *, epoch: int, given: Mapping[str, str]) -> dict[str, str]:
    """For disk-image-create; `given` is our own. Directories below `work` are made by `make_tree`."""
    elements_path = os.pathsep.join(str(path) for path in (work / "elements", *options.elements_path))
    return {
        "PATH": os.pathsep.join((str(work / "bin"), str(Path(_program()).parent), given.get("PATH", os.defpath))),
        "ELEMENTS_PATH": elements_path,
        "DIB_RELEASE": options.release,
        "DIB_IMAGE_CACHE": str(cache),
        "DIB_LOCKFILES": str(work / "locks"),
        "DIB_MANIFEST_SAVE_DIR": str(work / "manifests"),
        # Keeps what apt has fetched in the cache directory for the next build.
        "DIB_DISABLE_APT_CLEANUP": "1",
        "DIB_NO_TMPFS": "1",
        "TMP_DIR": str(work / "build"),
        "TMPDIR": str(work / "build"),
        "HYDRIA_TREE": str(work / "tree"),
        "HYDRIA_AGENT": str(work / "agent"),
        "HYDRIA_APT_SOURCES": str(work / "sources.list"),
        "SOURCE_DATE_EPOCH": str(epoch),
    }


def make_tree(
    options: Options,
    work: Path,
    cache: Path,
    *,
    epoch: int,
    log: BinaryIO,
    report: Callable[[str, float], None],
) -> Path:
    """`work` holds `agent` and `sources.list`; everything else is made in it. Gives the tree's directory.

    report(stage, fraction of this step). Raises Terminal, or Retryable where a mirror did not answer.
    """
    for name in ("bin", "build", "tree", "locks"):
        (work / name).mkdir()
    write_elements(work / "elements")
    # It asks for sudo at each step. We are root: what comes after sudo's own options is run as it stands.
    sudo = work / "bin" / "sudo"
    sudo.write_text('#!/bin/sh\nwhile [ "${1#-}" != "$1" ]; do shift; done\nexec "$@"\n')
    sudo.chmod(0o755)
    isolated = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    last, ahead = deque[str](maxlen=_KEPT_LINES), deque(STAGES)
    running = process.start(
        [*isolated, "--", *argv(options, work / "image")],
        stdout=process.PIPE,
        stderr=process.STDOUT,
        environment=environment(options, work, cache, epoch=epoch, given=os.environ),
        new_session=True,
        cwd=str(work),
    )
    with _ended(running):
        for line in _lines(running, log):
            last.append(line)
            if ahead and ahead[0].mark in line:
                report(ahead[0].name, ahead[0].fraction)
                ahead.popleft()
        status = running.wait()
    if status != 0:
        raise failure(last, status, options.log_file)
    shutil.rmtree(work / "build")
    return work / "tree"


def failure(last: Iterable[str], status: int, log_file: Path | None) -> HydriaError:
    """`last`: the log's last lines."""
    lines = list(last)
    text, quoted = "\n".join(lines), "\n".join(lines[-_QUOTED_LINES:])
    where = f"the whole log is in {log_file}" if log_file else "name a log file to keep the whole log"
    if _NO_SPACE in text:
        return Terminal(f"Building an image: no space was left in the work or cache directory ({where}):\n{quoted}")
    if _NO_NETWORK.search(text):
        return Retryable(f"Building an image: a mirror of Debian did not answer ({where}):\n{quoted}")
    return Terminal(
        f"Building an image: disk-image-create ended with status {status} ({where}); its last words:\n{quoted}"
    )


@contextlib.contextmanager
def _ended(running: process.Process) -> Iterator[None]:
    """Whatever happens here (Ctrl-C, a full disk), it does not go on building."""
    try:
        yield
    finally:
        if running.poll() is None:
            running.kill()  # unshare's --kill-child takes the whole process namespace with it.
            running.wait()
        if running.stdout is not None:
            running.stdout.close()


def _lines(running: process.Process, log: BinaryIO) -> Iterator[str]:
    if running.stdout is None:
        return
    for line in running.stdout:
        log.write(line)
        yield _TIMESTAMP.sub("", line.decode(errors="replace").rstrip())


def write_elements(directory: Path) -> None:
    """A copy: the package may lie in an archive, and neither git nor installers keep modes as the image needs them."""
    with resources.as_file(resources.files("hydria.image") / "elements") as elements:
        shutil.copytree(elements, directory, symlinks=True)
    for path in [directory, *directory.rglob("*")]:
        if path.is_symlink():
            continue
        program = path.is_dir() or path.read_bytes().startswith(b"#!")
        path.chmod(0o755 if program else 0o644)


def _program() -> str:
    # Beside this Python, whether or not its directory is on the PATH.
    search = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    if found := shutil.which("disk-image-create", path=search):
        return found
    raise Terminal("Image build: disk-image-create is not there; install Hydria with its extra `image`.")
