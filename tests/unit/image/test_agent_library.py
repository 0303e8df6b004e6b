"""What of Hydria goes into an image."""

import zipfile
from pathlib import Path

import pytest

from hydria.base import process
from hydria.base.errors import Invalid
from hydria.image import agent_library

ROOT = Path(__file__).parents[3]


def test_requirements_are_those_of_uv_lock() -> None:
    """Else: scripts/uv export --frozen --no-dev --no-emit-project --no-annotate --no-header -o (that file)."""
    argv = ["export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-annotate", "--no-header"]
    locked = process.run([str(ROOT / "scripts" / "uv"), *argv, "--directory", str(ROOT)]).stdout
    assert (ROOT / "hydria" / "image" / agent_library.REQUIREMENTS).read_text() == locked


def test_packages_of_hydria_that_the_agent_imports_go_into_the_image() -> None:
    script = (
        "import sys, hydria.agent.__main__; print(*{m.split('.')[1] for m in sys.modules if m.startswith('hydria.')})"
    )
    imported = process.run([str(ROOT / ".venv" / "bin" / "python"), "-c", script]).stdout.split()
    assert set(imported) <= set(agent_library.NEEDED)


def test_a_wheel_tells_its_version(tmp_path: Path) -> None:
    wheel = tmp_path / "hydria-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("hydria/agent/__main__.py", "")
    assert agent_library.version_of(wheel) == "1.2.3"


@pytest.mark.parametrize("content", [b"", b"not a zip file"], ids=["empty", "other"])
def test_what_is_no_wheel(tmp_path: Path, content: bytes) -> None:
    wheel = tmp_path / "hydria-1.2.3-py3-none-any.whl"
    wheel.write_bytes(content)
    with pytest.raises(Invalid, match=r"can't be read as a wheel") as refused:
        agent_library.version_of(wheel)
    assert refused.value.field == "wheel"


def test_a_wheel_of_something_else(tmp_path: Path) -> None:
    wheel = tmp_path / "other-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("other/__init__.py", "")
    with pytest.raises(Invalid, match=r"no wheel of Hydria"):
        agent_library.version_of(wheel)


def test_installed_without_a_checkout_a_wheel_must_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent_library.hydria, "__file__", str(tmp_path / "site-packages" / "hydria" / "__init__.py"))
    with pytest.raises(Invalid, match=r"--wheel") as refused:
        agent_library.build_wheel(tmp_path / "wheel")
    assert refused.value.field == "wheel"
