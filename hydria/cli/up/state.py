"""The state directory of one `hydria up`: its files, who holds it, its configuration. Starts nothing."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hydria.base import private_file
from hydria.base.config import Config, ConfigError, dump, load
from hydria.base.errors import HydriaError


class InUse(HydriaError):
    """Another `hydria up` runs on this state directory."""


@dataclass(frozen=True)
class StateDirectory:
    root: Path

    @property
    def config(self) -> Path:
        return self.root / "hydria.toml"

    @property
    def clouds(self) -> Path:
        return self.root / "clouds.yaml"

    @property
    def ready(self) -> Path:
        return self.root / "ready"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def certificates(self) -> Path:
        return self.root / "certificates"

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Make it and hold it; `ready` does not exist before and after. Raises InUse."""
        for directory in (self.root, self.logs, self.certificates):
            try:
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(f"State directory {self.root}: {error}") from error
        lock = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, lock)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                holder = os.pread(lock, 32, 0).decode().strip()
                raise InUse(f"State directory {self.root} is in use by another hydria up, process {holder}.") from error
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            self.ready.unlink(missing_ok=True)
            stack.callback(self.ready.unlink, missing_ok=True)
            yield

    def load(self) -> Config | None:
        """What an earlier start left; None at the first."""
        return load(self.config, {}) if self.config.exists() else None

    def save(self, config: Config) -> None:
        private_file.write(self.config, f"# Written by hydria up. See docs/configuration.md.\n{dump(config)}".encode())
