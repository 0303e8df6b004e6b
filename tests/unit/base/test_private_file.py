"""Files that only their owner reads."""

import errno
import os
from pathlib import Path

import pytest

from hydria.base import private_file


@pytest.mark.parametrize("durable", [True, False], ids=["durable", "not durable"])
def test_a_private_file_replaces_a_readable_one(tmp_path: Path, durable: bool):
    path = tmp_path / "clouds.yaml"
    path.write_text("old")
    path.chmod(0o644)
    for _ in range(2):
        private_file.write(path, b"new", durable=durable)
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)
        assert [left.name for left in tmp_path.iterdir()] == ["clouds.yaml"]


def test_the_old_content_stays_where_the_new_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "ca.key"
    private_file.write(path, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            private_file.write(path, b"new")
    assert path.read_bytes() == b"old"
    # What was left of the attempt does not keep the next one from succeeding.
    private_file.write(path, b"newer")
    assert path.read_bytes() == b"newer"
