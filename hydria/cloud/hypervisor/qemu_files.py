"""The files of a QEMU server: what it boots from, its disk, its sockets. Starts nothing but qemu-img."""

import contextlib
import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from hydria.base import process
from hydria.base.errors import Terminal
from hydria.cloud.hypervisor.guest import BootImage, Guest, started_at
from hydria.cloud.hypervisor.qemu_program import IMAGE_PROGRAM

QEMU_IMG_TIMEOUT = 60.0


class Boot(msgspec.Struct, frozen=True):
    """Of the image: what is not in a file of its own."""

    format: Literal["qcow2", "raw"]
    has_kernel: bool = False
    """Then it is started without the image's boot loader."""
    has_ramdisk: bool = False
    command_line: str = ""


@dataclass(frozen=True)
class Files:
    """Where a server's own files lie on the host."""

    root: Path

    @property
    def user_data(self) -> Path:
        return self.root / "user_data"

    @property
    def boot(self) -> Path:
        return self.root / "boot.json"

    @property
    def image(self) -> Path:
        """The image's data, not to be written: a hard link, so that nothing is lost with the image."""
        return self.root / "image"

    @property
    def kernel(self) -> Path:
        return self.root / "kernel"

    @property
    def ramdisk(self) -> Path:
        return self.root / "ramdisk"

    @property
    def disk(self) -> Path:
        """What the server has written."""
        return self.root / "disk.qcow2"

    @property
    def config_drive(self) -> Path:
        return self.root / "config-drive.iso"

    @property
    def console(self) -> Path:
        return self.root / "console.log"

    @property
    def log(self) -> Path:
        """What QEMU itself says."""
        return self.root / "qemu.log"

    @property
    def qmp(self) -> Path:
        return self.root / "qmp"

    @property
    def lock(self) -> Path:
        """Held open by the server's QEMU from its first moment, so that it is found whoever has forgotten it."""
        return self.root / "lock"

    def read_boot(self) -> Boot:
        """Raises Terminal."""
        try:
            return msgspec.json.decode(self.boot.read_bytes(), type=Boot)
        except (OSError, msgspec.MsgspecError) as error:
            raise Terminal(f"Reading {self.boot}: {error}. Was the server made by another hypervisor?") from error


def keep(files: Files, user_data: bytes, image: BootImage) -> None:
    """All that is needed for every boot to come, also when the image is deleted. May run twice.

    Raises FileNotFoundError when the image's data is gone.
    """
    files.root.mkdir(exist_ok=True, mode=0o700)
    for source, target in ((image.disk, files.image), (image.kernel, files.kernel), (image.ramdisk, files.ramdisk)):
        if source is not None:
            _link(source, target)
    _write_private(files.user_data, user_data)
    boot = Boot(image.format, image.kernel is not None, image.ramdisk is not None, image.command_line)
    _write_private(files.boot, msgspec.json.encode(boot))


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except FileNotFoundError:
        raise
    except OSError:  # another file system
        shutil.copyfile(source, target)


def _write_private(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)


def ensure_disk(files: Files, gib: int) -> None:
    """An empty layer above the image, of the flavor's size or (0) the image's. One that is there stays."""
    if files.disk.exists():
        return
    new = files.disk.with_name(f"{files.disk.name}.new")
    argv = [IMAGE_PROGRAM, "create", "-q", "-f", "qcow2", "-F", files.read_boot().format, "-b", files.image.name]
    size = [f"{gib}G"] if gib else []
    try:
        process.run([*argv, str(new), *size], timeout=QEMU_IMG_TIMEOUT)
    except process.ProcessFailed as error:
        raise Terminal(f"Making disk {files.disk}: {error.message}") from error
    new.chmod(0o600)
    new.replace(files.disk)


def users(path: Path) -> list[Guest]:
    """Other processes that hold the lock file open, such as a QEMU whose maker died before it could tell of it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file = os.fstat(descriptor)
        pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
        holders = [pid for pid in pids if pid != os.getpid() and _has_open(pid, (file.st_dev, file.st_ino))]
        return [Guest(pid, birth) for pid in holders if (birth := started_at(pid)) is not None]
    finally:
        os.close(descriptor)
    return []


def _has_open(pid: int, file: tuple[int, int]) -> bool:
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found = entry.stat()
                if (found.st_dev, found.st_ino) == file:
                    return True
    return False
