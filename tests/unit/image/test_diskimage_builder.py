"""How disk-image-create is called, and what its end means."""

import os
import re
import stat
from pathlib import Path

import pytest

from hydria.base import process
from hydria.base.errors import Retryable, Terminal
from hydria.image import diskimage_builder
from hydria.image.options import Options

PASSWORD = "correct horse battery"


@pytest.mark.parametrize(
    ("asked", "there", "missing"),
    [
        pytest.param({}, {"hydria-base", "hydria-amphora", "hydria-nftables"}, {"hydria-sshd"}, id="default"),
        pytest.param({"nftables": False}, set(), {"hydria-nftables"}, id="without nftables"),
        pytest.param({"sshd": True}, {"hydria-sshd"}, {"hydria-pinning"}, id="sshd"),
        pytest.param({"pinning": True}, {"hydria-pinning"}, {"hydria-sshd"}, id="pinning"),
        pytest.param({"elements": ("mine",)}, {"mine"}, set(), id="an operator's own"),
    ],
)
def test_elements(asked: dict[str, object], there: set[str], missing: set[str]) -> None:
    names = diskimage_builder.element_names(Options(**asked))
    assert there <= set(names)
    assert not missing & set(names)
    assert names[-1] == "no-final-image"


def test_every_element_of_ours_is_there() -> None:
    elements = Path(diskimage_builder.__file__).parent / "elements"
    asked = Options(nftables=True, sshd=True, pinning=True)
    ours = {name for name in diskimage_builder.element_names(asked) if name.startswith("hydria-")}
    assert ours == {path.name for path in elements.iterdir()}


def test_no_secret_in_command_or_environment(tmp_path: Path) -> None:
    options = Options(root_password=PASSWORD)
    argv = diskimage_builder.argv(options, tmp_path / "image")
    environment = diskimage_builder.environment(options, tmp_path, tmp_path / "cache", epoch=1, given={"PATH": "/bin"})
    assert not any(PASSWORD in text for text in (*argv, *environment.values()))


def test_the_shim_of_sudo_comes_before_all_other_programs(tmp_path: Path) -> None:
    environment = diskimage_builder.environment(Options(), tmp_path, tmp_path, epoch=1, given={"PATH": "/usr/bin"})
    path = environment["PATH"].split(":")
    assert path[0] == str(tmp_path / "bin")
    assert path[-1] == "/usr/bin"


def test_operators_elements_are_looked_for_after_ours(tmp_path: Path) -> None:
    options = Options(elements_path=(Path("/srv/elements"),))
    environment = diskimage_builder.environment(options, tmp_path, tmp_path, epoch=1, given={})
    assert environment["ELEMENTS_PATH"] == f"{tmp_path}/elements:/srv/elements"


@pytest.mark.parametrize(
    ("line", "kind", "words"),
    [
        pytest.param(
            "dpkg: error: cannot write: No space left on device", Terminal, "no space was left", id="disk is full"
        ),
        pytest.param(
            "E: Failed to fetch http://mirror.example/a.deb  Temporary failure resolving 'mirror.example'",
            Retryable,
            "mirror of Debian did not answer",
            id="no network",
        ),
        pytest.param("E: Unable to locate package nosuch", Terminal, "ended with status 7", id="anything else"),
    ],
)
@pytest.mark.parametrize("log_file", [None, Path("/var/log/image.log")], ids=["no log file", "log file"])
def test_a_failure_quotes_the_log(line: str, kind: type[Exception], words: str, log_file: Path | None) -> None:
    error = diskimage_builder.failure(["before", line], 7, log_file)
    assert type(error) is kind
    assert words in error.message
    assert line in error.message
    assert ("/var/log/image.log" in error.message) is (log_file is not None)


@pytest.fixture
def elements(tmp_path: Path) -> Path:
    """As they are given to disk-image-create, by one whose files are private."""
    mask = os.umask(0o077)
    try:
        diskimage_builder.write_elements(tmp_path / "elements")
    finally:
        os.umask(mask)
    return tmp_path / "elements"


def test_modes_in_the_image_depend_neither_on_git_nor_on_umask(elements: Path) -> None:
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in elements.rglob("*") if not path.is_symlink()}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o755}
    assert modes[elements / "hydria-base" / "root.d" / "08-hydria-base"] == 0o755
    assert modes[elements / "hydria-pinning" / "static" / "usr" / "local" / "sbin" / "haproxy"] == 0o755
    assert (
        modes[elements / "hydria-amphora" / "static" / "etc" / "systemd" / "system" / "hydria-agent.service"] == 0o644
    )


def test_no_hook_is_passed_over(elements: Path) -> None:
    """dib-run-parts runs what is executable and named so, and is silent about the rest."""
    hooks = [path for path in elements.glob("*/*.d/*") if path.parent.name != "environment.d"]
    assert hooks
    for hook in hooks:
        assert re.fullmatch(r"[0-9A-Za-z_-]+", hook.name), hook
        assert os.access(hook, os.X_OK), hook


def test_scripts_are_sound(elements: Path) -> None:
    for path in elements.rglob("*"):
        first = path.read_bytes().partition(b"\n")[0] if path.is_file() else b""
        if first.endswith(b"/sh"):
            process.run(["dash", "-n", str(path)])
        elif first.endswith(b"bash") or path.suffix == ".bash":
            process.run(["bash", "-n", str(path)])
        elif first.endswith(b"python3"):
            compile(path.read_bytes(), str(path), "exec")
        else:
            assert not first.startswith(b"#!"), f"{path} is run by something else"
