"""Where a guest's own directories and the installation it runs lie over each other."""

import sys
from pathlib import Path

import pytest

from hydria.cloud.hypervisor import sandbox


@pytest.mark.parametrize("prefix", ["/tmp/hydria/.venv", "/var/lib/hydria/.venv", "/run/hydria/.venv"])  # noqa: S108 - only a name
def test_an_installation_anywhere_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: str):
    monkeypatch.setattr(sys, "prefix", prefix)
    words = sandbox.arguments(sandbox.Files(tmp_path), "guest", ["agent"], info_fd=3)
    top = "/" + prefix.split("/")[1]
    mounts = [position for position in range(len(words)) if words[position] == top]
    assert mounts
    assert words.index(prefix) > max(mounts)
    assert words.index(prefix) < words.index("--remount-ro")
