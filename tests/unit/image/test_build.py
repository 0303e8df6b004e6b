"""What a build leaves, whether it ends well or not. What it makes is told by tests/image."""

import errno
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hydria.base.errors import Invalid, Retryable, Terminal
from hydria.base.process import ProcessFailed
from hydria.image import agent_library, apt_sources, build, diskimage_builder, prerequisites
from hydria.image.options import Options


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "hydria-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, year in (("hydria/__init__.py", 2020), ("hydria/agent/__main__.py", 2025)):
            archive.writestr(zipfile.ZipInfo(name, (year, 1, 2, 3, 4, 6)), "")
    return path


@pytest.fixture
def options(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    """Of a build that comes as far as diskimage-builder, on any machine."""
    monkeypatch.delenv(build.SOURCE_DATE_EPOCH, raising=False)
    for name in ("out", "work"):
        (tmp_path / name).mkdir()
    for module, name in ((prerequisites, "check_machine"), (prerequisites, "check_space"), (agent_library, "install")):
        monkeypatch.setattr(module, name, lambda *_: None)
    monkeypatch.setattr(apt_sources, "read", lambda *_: "deb http://mirror.example/debian bookworm main\n")
    return Options(
        output=tmp_path / "out" / "amphora.qcow2",
        work_directory=tmp_path / "work",
        cache_directory=tmp_path / "cache",
        log_file=tmp_path / "log",
        wheel=wheel,
    )


def fails(error: BaseException) -> Callable[..., Path]:
    """diskimage-builder that ends in the middle of its work."""

    def make_tree(_options: Options, work: Path, *_: Any, log: Any, **__: Any) -> Path:
        (work / "tree" / "etc").mkdir(parents=True)
        (work / "tree" / "etc" / "passwd").write_text("root:x:0:0::/root:/bin/sh\n")
        log.write(b"what it said\n")
        raise error

    return make_tree


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        pytest.param(Retryable("no mirror"), Retryable, "no mirror", id="mirror"),
        pytest.param(OSError(errno.ENOSPC, "No space left", "/w/x"), Terminal, "no space was left .* /w/x", id="space"),
        pytest.param(OSError(errno.EROFS, "Read-only", "/w/x"), Terminal, "/w/x: Read-only", id="other error"),
        pytest.param(
            ProcessFailed(["mke2fs", "-q"], 1, "Could not allocate block"),
            Terminal,
            "mke2fs -q .*allocate",
            id="program",
        ),
        pytest.param(KeyboardInterrupt("typed"), KeyboardInterrupt, "typed", id="Ctrl-C"),
        pytest.param(SystemExit(143), SystemExit, "143", id="SIGTERM"),
    ],
)
def test_of_a_build_that_fails_the_log_is_left(
    options: Options, monkeypatch: pytest.MonkeyPatch, error: BaseException, kind: type[BaseException], words: str
) -> None:
    options.output.write_text("the last image")
    mask = os.umask(0o077)
    monkeypatch.setattr(diskimage_builder, "make_tree", fails(error))
    try:
        with pytest.raises(kind, match=words):
            build.build(options, lambda _step, _done: None)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(mask)
    assert [path.name for path in options.output.parent.iterdir()] == ["amphora.qcow2"]
    assert options.output.read_text() == "the last image"
    assert not list(options.work_directory.iterdir())
    assert options.log_file is not None
    assert options.log_file.read_text() == "what it said\n"


def test_source_date_is_of_the_youngest_file(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(build.SOURCE_DATE_EPOCH, raising=False)
    assert build.source_date(wheel) == 1_735_787_046
    monkeypatch.setenv(build.SOURCE_DATE_EPOCH, "1700000000")
    assert build.source_date(wheel) == 1_700_000_000


def test_source_date_that_is_none(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(build.SOURCE_DATE_EPOCH, "yesterday")
    with pytest.raises(Invalid, match="yesterday"):
        build.build(options, lambda _step, _done: None)
    assert options.log_file is not None
    assert not options.log_file.exists()
