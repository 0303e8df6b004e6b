"""`hydria image`: builds the amphora image, looks into one, uploads it and says which one amphorae use."""

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console

from hydria.base.config import Config
from hydria.base.errors import Invalid
from hydria.cli.image import asked, tables
from hydria.cli.image.progress import steps
from hydria.image import preflight
from hydria.image.build import build as build_image
from hydria.image.inspect import inspect as look_into
from hydria.image.options import Format, Options

if TYPE_CHECKING:
    from hydria.cli.image.cloud import Cloud

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Build, look at and upload the image that amphorae boot from.",
)

DEFAULTS = Options()
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
ImageFile = Annotated[Path, typer.Argument(metavar="FILE", help="As `hydria image build` makes it.")]
OsCloud = Annotated[
    str | None, typer.Option("--os-cloud", metavar="NAME", help="Of clouds.yaml. [dim](variable OS_CLOUD)[/]")
]
TAG = Config().controller.image_tag
Tag = Annotated[str, typer.Option(metavar="TAG", help="By which the controller finds it (controller.image_tag).")]

_progress = Console(stderr=True)


def _option(*names: str, field: str, metavar: str | None = None, text: str) -> Any:
    """The default and the variable are told from where they stand; the value is None unless it was typed."""
    default = getattr(DEFAULTS, field)
    known = [f"variable {asked.VARIABLES[field]}"] if field in asked.VARIABLES else []
    told = ", ".join([*known, f"default {default}"] if isinstance(default, str | int | bool) else known)
    return typer.Option(*names, metavar=metavar, help=f"{text} [dim]({told})[/]" if told else text)


@app.command()
def build(
    *,
    output: Annotated[Path | None, _option("-o", "--output", field="output", metavar="FILE", text="The image.")] = None,
    type_: Annotated[Format | None, _option("-t", "--type", field="format", text="Its format.")] = None,
    size: Annotated[int | None, _option("-s", "--size", field="size", metavar="GB", text="Of its disk.")] = None,
    architecture: Annotated[
        str | None, _option("-a", "--architecture", field="architecture", metavar="NAME", text="Debian's name.")
    ] = None,
    base: Annotated[
        str | None, _option("-i", "--base", field="base", metavar="NAME", text="Base operating system.")
    ] = None,
    release: Annotated[
        str | None, _option("-d", "--release", field="release", metavar="NAME", text="Its release.")
    ] = None,
    nftables: Annotated[
        bool | None,
        _option("--nftables/--no-nftables", field="nftables", text="Without it no SR-IOV port is let onto an amphora."),
    ] = None,
    sshd: Annotated[bool | None, _option("--sshd/--no-sshd", field="sshd", text="An SSH server.")] = None,
    root_password_file: Annotated[
        Path | None,
        typer.Option(
            "--root-password-file",
            metavar="FILE",
            help=f"Its first line is root's password; - is standard input. Never give one to an image that is used. "
            f"[dim](variable {asked.VARIABLES['root_password']}, default none)[/]",
        ),
    ] = None,
    pinning: Annotated[
        bool | None,
        _option("-m", "--pinning/--no-pinning", field="pinning", text="All CPUs but the first for HAProxy."),
    ] = None,
    element: Annotated[
        list[str] | None,
        _option(
            "--element", field="elements", metavar="NAME", text="A diskimage-builder element more; repeat for more."
        ),
    ] = None,
    elements_path: Annotated[
        list[Path] | None,
        _option(
            "--elements-path", field="elements_path", metavar="DIRECTORY", text="Where those are; repeat for more."
        ),
    ] = None,
    work_directory: Annotated[
        Path | None,
        _option("-w", "--work-directory", field="work_directory", metavar="DIRECTORY", text="Where it is built."),
    ] = None,
    cache_directory: Annotated[
        Path | None,
        _option(
            "-c", "--cache-directory", field="cache_directory", metavar="DIRECTORY", text="For what is downloaded."
        ),
    ] = None,
    log_file: Annotated[
        Path | None, _option("-l", "--log-file", field="log_file", metavar="FILE", text="What the tools say.")
    ] = None,
    trace: Annotated[
        bool | None, _option("-x", "--trace", field="trace", text="Every command of the elements in the log.")
    ] = None,
    wheel: Annotated[
        Path | None, _option("--wheel", field="wheel", metavar="FILE", text="Hydria's own, instead of this checkout's.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be built, and build nothing.")] = False,
) -> None:
    """Build the amphora image. Beside it: kernel and initrd to boot directly, its facts, packages and an SPDX document.

    Variables are those of Octavia's diskimage-create.sh. Needs root. Nothing is left of a build that fails.
    """
    password = os.environ.pop(asked.VARIABLES["root_password"], "")  # no program that we start needs it
    typed = {
        "output": output, "format": type_, "size": size, "architecture": architecture, "base": base,
        "release": release, "nftables": nftables, "sshd": sshd, "pinning": pinning,
        "elements": tuple(element) if element else None,
        "elements_path": tuple(elements_path) if elements_path else None,
        "work_directory": work_directory, "cache_directory": cache_directory, "log_file": log_file, "trace": trace,
        "wheel": wheel, "root_password": _first_line(root_password_file) or password or None,
    }  # fmt: skip
    options = asked.options(typed, os.environ)
    preflight.check(options)
    if dry_run:
        shown = msgspec.to_builtins(options, enc_hook=str)
        print(json.dumps({**shown, "root_password": None if options.root_password is None else "(given)"}, indent=2))
        return
    _build(options)


@app.command()
def inspect(
    file: ImageFile,
    *,
    files: Annotated[bool, typer.Option("--files", help="The list of its files too.")] = False,
    as_json: Json = False,
) -> None:
    """What an image is, and whether it can do its work and holds nobody's secrets. Exit status 1 where it does not.

    It is read, not mounted: needs neither root nor loop devices, but room to unpack it (TMPDIR).
    """
    with _progress.status(f"Reading {file}"):
        found = look_into(file)
    if as_json:
        print(json.dumps(tables.inspection_json(found, files=files), indent=2))
    else:
        console = _console()
        console.print(tables.inspection(found), tables.checks(found.checks))
        if files:
            print("\n".join(tables.file_lines(found.files)))
    if not found.passed:
        sys.exit(1)


@app.command()
def upload(
    file: ImageFile,
    *,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="[dim](default: the file's)[/]")] = None,
    tag: Tag = TAG,
    public: Annotated[bool, typer.Option("--public", help="Not for the cloud's project alone. Needs admin.")] = False,
    direct_boot: Annotated[
        bool, typer.Option("--direct-boot/--disk-boot", help="Kernel and initrd too, where they lie beside the image.")
    ] = True,
    unchecked: Annotated[bool, typer.Option("--unchecked", help="Also an image that `inspect` finds unsound.")] = False,
    os_cloud: OsCloud = None,
    as_json: Json = False,
) -> None:
    """Upload an image; amphorae made from then on boot from it. Do it as the load balancer service's own project.

    Twice uploads once. Images that had the tag before keep it. Nothing is left of an upload that fails.
    """
    with _progress.status(f"Reading {file}"):
        found = look_into(file)
    if not (found.passed or unchecked):
        _progress.print(tables.checks(found.checks))
        raise Invalid(f"Image {file} is unsound and was not uploaded (hydria image inspect; --unchecked uploads it).")
    _end_on_sigterm()
    done = _cloud(os_cloud).upload(
        found, _progress, name=name or file.stem, tag=tag, public=public, direct_boot=direct_boot
    )
    if as_json:
        print(json.dumps(msgspec.to_builtins(done), indent=2))
        return
    print(f"Image {done.id} {'is uploaded' if done.new else 'was there already'}, with the tag {tag}.")
    if done.current == done.id:
        print("New amphorae boot from it.")
    else:
        print(f"New amphorae boot from {done.current}, which is newer: delete it, or take the tag {tag} from it.")


@app.command("list")
def list_(*, tag: Tag = TAG, os_cloud: OsCloud = None, as_json: Json = False) -> None:
    """The images that amphorae may boot from, the newest first, and how many amphorae each has."""
    cloud = _cloud(os_cloud)
    counts = cloud.count_amphorae()
    rows = [
        tables.image_row(image, current=current, amphorae=None if counts is None else counts.get(image["id"], 0))
        for image, current in cloud.images(tag)
    ]
    if as_json:
        print(json.dumps(rows, indent=2))
        return
    if not rows:
        print(f"There is no image with the tag {tag}: hydria image build, hydria image upload.")
        return
    _console().print(tables.images(rows))
    if counts is None:
        _progress.print("How many amphorae boot from each is not known: no load balancer API answers this user.")


def _cloud(name: str | None) -> "Cloud":
    from hydria.cli.image.cloud import Cloud  # noqa: PLC0415 - its libraries take most of a second

    return Cloud(name)


def _end_on_sigterm() -> None:
    """Ended by it, a command cleans up as after any other error."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _build(options: Options) -> None:
    _end_on_sigterm()
    with steps(_progress) as report:
        facts = build_image(options, report)
    print(f"{options.output}: Hydria {facts.version}, {facts.distribution}, kernel {facts.kernel}")


def _first_line(file: Path | None) -> str:
    """Raises Invalid without any of the content."""
    if file is None:
        return ""
    try:
        text = sys.stdin.readline() if str(file) == "-" else file.read_text(encoding="utf-8").partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Invalid(f"Reading root's password from {file}: {why}.", field="root_password") from None
    if not text.strip():
        raise Invalid(f"Reading root's password from {file}: its first line is empty.", field="root_password")
    return text.rstrip("\r\n")


def _console() -> Console:
    """What is piped somewhere is not cut to a terminal's width."""
    console = Console()
    return console if console.is_terminal else Console(width=200)
