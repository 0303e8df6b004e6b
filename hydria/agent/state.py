"""What the agent keeps on disk: the last good spec and its counters. Written atomically, for root only."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from hydria.base import log
from hydria.model.spec import Spec

logger = log.Logger(__name__)

S = TypeVar("S", bound=Struct)


class State:
    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory

    def load_spec(self) -> Spec | None:
        return self.load("spec", Spec)

    def save_spec(self, spec: Spec) -> None:
        self.save("spec", spec)

    def load(self, name: str, type_: type[S]) -> S | None:
        """None if it was never saved, or is of another version of the agent: the controller will say it again."""
        path = self._path(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=type_)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            logger.warning("state passed over", path=path, error=error)
            return None

    def save(self, name: str, value: Struct) -> None:
        path = self._path(name)
        written = path.with_suffix(".new")
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(value))
        written.replace(path)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"
