"""What /opt/hydria/lib of an amphora holds: Hydria's agent from a wheel, and what it imports as uv.lock has it.

agent-requirements.txt lies in Hydria's wheel, so that an installed Hydria, which has no uv.lock, builds the same.
"""

import os
import shutil
import sys
import zipfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import hydria
from hydria.base import process
from hydria.base.errors import Invalid, Retryable, Terminal
from hydria.base.process import ProcessFailed

REQUIREMENTS = "agent-requirements.txt"
"""With the hash of every file. Made by: uv export --frozen --no-dev --no-emit-project --no-annotate --no-header"""
PYTHON = "3.11"
"""bookworm's."""
PLATFORM = "x86_64-manylinux_2_28"
NEEDED = frozenset({"__init__.py", "agent", "base", "model", "render"})
"""Of the package hydria: what the agent may import (import-linter holds it to that). The rest is left out."""
PRIVATE = ("direct_url.json", "uv_cache.json", "REQUESTED", "RECORD")
"""Of a *.dist-info: they tell paths of the build machine, or list what has been left out."""


def build_wheel(directory: Path) -> Path:
    """From the checkout that this program runs from, into `directory`."""
    checkout = Path(hydria.__file__).parents[1]
    if not (checkout / "pyproject.toml").is_file():
        raise Invalid(
            "wheel: this Hydria is installed, not run from a checkout, so it can't build its own wheel; "
            "name one with --wheel, for example by `pip download --no-deps hydria`.",
            field="wheel",
        )
    argv = ["build", "--quiet", "--wheel", "--out-dir", str(directory), str(checkout)]
    _uv("building Hydria's wheel", argv, {"SOURCE_DATE_EPOCH": _commit_date(checkout)})
    (wheel,) = directory.glob("*.whl")
    return wheel


def version_of(wheel: Path) -> str:
    """Raises Invalid where it is no wheel of Hydria."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            has_agent = "hydria/agent/__main__.py" in archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise Invalid(f"wheel: {wheel} can't be read as a wheel: {error}", field="wheel") from error
    if not has_agent:
        raise Invalid(f"wheel: {wheel} is no wheel of Hydria: it has no hydria/agent.", field="wheel")
    return wheel.name.split("-")[1]


def install(wheel: Path, directory: Path) -> None:
    """Make `directory`. Needs PyPI, or uv's cache."""
    into = ["pip", "install", "--quiet", "--no-deps", "--link-mode", "copy", "--target", str(directory)]
    into += ["--python-version", PYTHON, "--python-platform", PLATFORM]
    with resources.as_file(resources.files("hydria.image") / REQUIREMENTS) as requirements:
        locked = ["--require-hashes", "--only-binary", ":all:", "--requirements", str(requirements)]
        _uv("installing what the agent imports", [*into, *locked])
    _uv("installing the agent", [*into, str(wheel)])
    for path in (directory / "hydria").iterdir():
        if path.name not in NEEDED:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in PRIVATE:
        for path in directory.glob(f"*.dist-info/{name}"):
            path.unlink()
    shutil.rmtree(directory / "bin", ignore_errors=True)
    (directory / ".lock").unlink(missing_ok=True)


def _commit_date(checkout: Path) -> str:
    """Seconds since 1970, of all files in the wheel."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return given
    try:
        return process.run(["git", "-C", str(checkout), "log", "-1", "--format=%ct"]).stdout.strip()
    except ProcessFailed:  # An unpacked source archive: its youngest source file's.
        return str(int(max(path.stat().st_mtime for path in (checkout / "hydria").rglob("*.py"))))


def _uv(attempt: str, argv: list[str], environment: Mapping[str, str] | None = None) -> None:
    try:
        process.run([_program(), *argv], timeout=600, environment={"UV_NO_PROGRESS": "1", **(environment or {})})
    except ProcessFailed as error:
        text = error.output.strip()[-2000:]
        if any(
            word in text for word in ("error sending request", "dns error", "Failed to fetch", "Failed to download")
        ):
            raise Retryable(f"Image build, {attempt}: PyPI did not answer: {text}") from error
        raise Terminal(f"Image build, {attempt}: {text}") from error


def _program() -> str:
    # Beside this Python: the `uv` of the extra `image`, whether or not its directory is on the PATH.
    search = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    if found := shutil.which("uv", path=search):
        return found
    raise Terminal("Image build: uv is not there; install Hydria with its extra `image`.")
