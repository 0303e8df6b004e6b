"""The guest's Python: the packages of uv.lock in a virtual environment of Debian's interpreter, and the project."""

import importlib.metadata
import shutil
import tomllib
from pathlib import Path

from hydria.base import process
from lab import layer

VERSION = "3.11"
"""Of Debian bookworm."""

VENV = Path("/opt/hydria/venv")
SOURCE = Path("/opt/hydria/src")
SITE_PACKAGES = VENV / "lib" / f"python{VERSION}" / "site-packages"

NOT_NEEDED = ("mypy", "ruff", "import-linter")
"""They look at code; the guest runs it."""

PROJECT = ("hydria", "lab", "tests", "bench", "pyproject.toml")

SCRIPT = """#!{venv}/bin/python
import sys
from {module} import {name}
sys.exit({name}())
"""


def build() -> Path:
    """A directory with `python.erofs`: all packages with their byte code, which takes TCG minutes to make."""
    made_from = (layer.ROOT / "uv.lock").read_text() + Path(__file__).read_text()
    return layer.cached("python", made_from, _make)


def _make(directory: Path) -> None:
    requirements = directory / "requirements.txt"
    without = (word for package in NOT_NEEDED for word in ("--prune", package))
    _uv("export", "--frozen", "--all-extras", "--all-groups", "--no-emit-project", *without, f"-o={requirements}")
    top = directory / "top"
    target = _inside(top, SITE_PACKAGES)
    _uv(
        *("pip", "install", f"--target={target}", f"--python-version={VERSION}", "--link-mode=copy", "--no-deps"),
        *("--python-platform=x86_64-manylinux_2_28", "--only-binary=:all:", "-r", str(requirements)),
    )
    # Its scripts name the interpreter that uv ran with, not the guest's.
    shutil.rmtree(target / "bin")
    programs = _inside(top, VENV / "bin")
    programs.mkdir()
    (programs / "python").symlink_to(f"/usr/bin/python{VERSION}")
    (_inside(top, VENV) / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
    for distribution in importlib.metadata.distributions(path=[str(target)]):
        for entry in distribution.entry_points.select(group="console_scripts"):
            _write_script(programs, entry.name, entry.value)
    _compile(target)
    layer.pack(top, directory / "python.erofs")
    shutil.rmtree(top)


def pack_project(image: Path) -> None:
    """The working tree as it is now, byte code included, as if it were installed there."""
    with layer.scratch("project") as top:
        source = _inside(top, SOURCE)
        for name in PROJECT:
            origin = layer.ROOT / name
            if origin.is_dir():
                # Byte code that is there already comes along: it is known by the source's time, which is kept.
                shutil.copytree(origin, source / name)
            else:
                shutil.copy2(origin, source / name)
        _compile(source)
        _register_project(top)
        top.chmod(0o755)
        layer.pack(top, image)


def _register_project(top: Path) -> None:
    project = tomllib.loads((layer.ROOT / "pyproject.toml").read_text())["project"]
    packages, programs = _inside(top, SITE_PACKAGES), _inside(top, VENV / "bin")
    packages.mkdir(parents=True)
    programs.mkdir()
    (packages / "hydria.pth").write_text(f"{SOURCE}\n")
    metadata = packages / f"hydria-{project['version']}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: hydria\nVersion: {project['version']}\n")
    for name, value in project["scripts"].items():
        _write_script(programs, name, value)


def _write_script(programs: Path, name: str, entry: str) -> None:
    module, _, function = entry.partition(":")
    script = programs / name
    script.write_text(SCRIPT.format(venv=VENV, module=module, name=function))
    script.chmod(0o755)


def _compile(directory: Path) -> None:
    """With an interpreter whose byte code is the guest's; what some packages carry for other versions fails."""
    python = process.run([str(layer.ROOT / "scripts" / "uv"), "python", "find", VERSION], timeout=300).stdout.strip()
    process.run([python, "-m", "compileall", "-q", "-j", "0", str(directory)], timeout=300, check=False)


def _uv(*arguments: str) -> None:
    process.run([str(layer.ROOT / "scripts" / "uv"), "--quiet", "--project", str(layer.ROOT), *arguments], timeout=600)


def _inside(top: Path, path: Path) -> Path:
    return top / path.relative_to("/")
