"""What the agent keeps on disk: the last good spec and its counters. Written atomically, for root only."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from hydria.base import log, private_file
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
        """On the disk when this returns: a machine whose power fails in the next moment comes back with it."""
        self.save(_SPEC, spec, durable=True)

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

    def save(self, name: str, value: Struct, *, durable: bool = False) -> None:
        private_file.write(self._path(name), msgspec.json.encode(value), durable=durable)

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.json"
