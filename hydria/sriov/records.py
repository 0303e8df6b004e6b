"""What a VF was before we took it: one file per VF, so that whoever finds it after a crash can put it back.

Below /run: like the settings of a VF they do not outlive the machine. Knows nothing of how a VF is changed.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from hydria.base.errors import Retryable
from hydria.base.log import Logger
from hydria.sriov.netlink.vfs import VfState

log = Logger(__name__)

DIRECTORY = Path("/run/hydria/sriov")


class Record(Struct, frozen=True, kw_only=True):
    """Of one VF, from before the first change until after the last thing was put back."""

    vf: str
    """PF/INDEX, for people and for a VF that is gone together with its PF."""
    pf_index: int
    """ifindex of the PF: another one, and the PF was made anew, its VFs with it."""
    incarnation: int
    """Of the VF, as sysfs has it."""
    before: VfState
    netdev: str | None = None
    driver: str | None = None
    override: str | None = None
    mtu: int | None = None
    holder: str = ""
    fabric: str = ""
    """Which Hydria on this machine took it."""
    guest: int | None = None
    """Inode of the network namespace that it was handed to; None: it went to vfio-pci."""
    left: tuple[str, ...] = ()
    """It was taken back, but for these settings, which the PF's driver did not take."""


class Records:
    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory

    @contextlib.contextmanager
    def locked(self, pf: str) -> Iterator[None]:
        """One process and thread at a time changes VFs of the PF at this address. A crash frees the lock."""
        file = self._made() / f"{pf}.lock"
        fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Each open file has a lock of its own, so this also holds between threads.
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def is_locked(self, pf: str) -> bool:
        """Whether somebody changes VFs of this PF right now."""
        try:
            fd = os.open(self._directory / f"{pf}.lock", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # nobody has yet changed any
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def read(self, address: str) -> Record | None:
        """That of the VF at this address."""
        file = self._file(address)
        try:
            return msgspec.json.decode(file.read_bytes(), type=Record)
        except (FileNotFoundError, PermissionError):
            # Who may not read them may look at the NICs nevertheless: `hydria sriov list` of anybody.
            return None
        except msgspec.DecodeError as error:
            # Written atomically, so nobody but a person can have spoilt it. It must not block the VF for good.
            log.warning("record of a VF cannot be read: its settings from before are lost", file=file, reason=error)
            return None

    def write(self, address: str, record: Record) -> None:
        """All or nothing, and nobody else's to read: a guest's MAC and VLAN are its own business."""
        unfinished = self._made() / f".{address}.new"
        fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, msgspec.json.encode(record))
        finally:
            os.close(fd)
        # No fsync: what a power failure loses, it loses together with the settings.
        unfinished.replace(self._file(address))

    def drop(self, address: str) -> None:
        """May run twice."""
        self._file(address).unlink(missing_ok=True)

    def of(self, vf: str) -> dict[str, Record]:
        """Those of a VF whose address nobody knows any more."""
        return {address: record for address, record in self._all().items() if record.vf == vf}

    def of_fabric(self, fabric: str) -> frozenset[str]:
        """VFs that it has taken and not given back, as PF/INDEX."""
        return frozenset(record.vf for record in self._all().values() if record.fabric == fabric)

    def _all(self) -> dict[str, Record]:
        found = {file.stem: self.read(file.stem) for file in self._directory.glob("*.json")}
        return {address: record for address, record in found.items() if record is not None}

    def _file(self, address: str) -> Path:
        return self._directory / f"{address}.json"

    def _made(self) -> Path:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Retryable(f"Making {self._directory} for the records of VFs: {error.strerror}") from error
        return self._directory
