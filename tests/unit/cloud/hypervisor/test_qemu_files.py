"""What is kept for the boots to come, and who has a lock file open."""

import fcntl
import os
from pathlib import Path

import pytest

from hydria.base import process
from hydria.base.errors import Terminal
from hydria.cloud.hypervisor import guest, qemu_files
from hydria.cloud.hypervisor.guest import BootImage
from hydria.cloud.hypervisor.qemu_files import Boot, Files


@pytest.fixture
def image(tmp_path: Path) -> BootImage:
    for name in ("disk", "kernel"):
        (tmp_path / name).write_text(name)
    return BootImage(tmp_path / "disk", "raw", kernel=tmp_path / "kernel", command_line="quiet")


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "server")


def test_image_outlives_its_deletion_and_takes_no_room_twice(files: Files, image: BootImage):
    for _ in range(2):
        qemu_files.keep(files, b"user data", image)
    assert files.image.stat().st_ino == image.disk.stat().st_ino
    image.disk.unlink()
    assert files.image.read_text() == "disk"
    assert (files.kernel.read_text(), files.ramdisk.exists()) == ("kernel", False)
    assert files.read_boot() == Boot("raw", has_kernel=True, command_line="quiet")
    assert files.root.stat().st_mode & 0o777 == 0o700
    assert files.user_data.stat().st_mode & 0o777 == 0o600


def test_image_on_another_file_system_is_copied(files: Files, image: BootImage, monkeypatch: pytest.MonkeyPatch):
    def refuse(_self: Path, _target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    qemu_files.keep(files, b"", image)
    assert files.image.read_text() == "disk"


def test_image_that_is_gone(files: Files, image: BootImage):
    image.disk.unlink()
    with pytest.raises(FileNotFoundError):
        qemu_files.keep(files, b"", image)


@pytest.mark.parametrize("content", [pytest.param(None, id="none"), pytest.param(b"{", id="broken")])
def test_server_of_another_hypervisor(files: Files, content: bytes | None):
    files.root.mkdir()
    if content is not None:
        files.boot.write_bytes(content)
    with pytest.raises(Terminal, match="another hypervisor"):
        files.read_boot()


def test_who_holds_a_lock_file(tmp_path: Path):
    path = tmp_path / "lock"
    assert qemu_files.users(path) == []
    path.touch()
    assert qemu_files.users(path) == []
    descriptor = os.open(path, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    child = process.start(["sleep", "infinity"], pass_fds=(descriptor,))
    os.close(descriptor)
    try:
        assert qemu_files.users(path) == [guest.Guest(child.pid, guest.started_at(child.pid) or 0)]
    finally:
        child.kill()
        child.wait()
    assert qemu_files.users(path) == []
