"""What the agent keeps on disk: the last good spec and its counters. Written atomically, for root only."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from hydria.base import log
from hydria.base.errors import Invalid
from hydria.model import spec_versions
from hydria.model.spec import Spec

logger = log.Logger(__name__)

S = TypeVar("S", bound=Struct)

_SPEC = "spec"


class State:
    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory

    def load_spec(self) -> Spec | None:
        """Also that of another version of the agent, whose place we took."""
        return self._load(_SPEC, spec_versions.read)

    def save_spec(self, spec: Spec) -> None:
        self.save(_SPEC, spec)

    def load(self, name: str, type_: type[S]) -> S | None:
        """None if it was never saved, or cannot be read: the controller will say it again."""
        return self._load(name, msgspec.json.Decoder(type_).decode)

    def _load(self, name: str, read: Callable[[bytes], S]) -> S | None:
        path = self._path(name)
        try:
            return read(path.read_bytes())
        except FileNotFoundError:
            return None
        except (msgspec.MsgspecError, Invalid) as error:
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
