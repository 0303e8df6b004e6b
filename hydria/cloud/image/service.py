"""The image service's books and files. Knows no HTTP."""

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import msgspec
from sqlalchemy import Connection, or_
from sqlalchemy.exc import IntegrityError

from hydria.base.config import Cloud
from hydria.base.errors import Conflict, Forbidden, Invalid, NotFound
from hydria.cloud.context import CLOUD, Context
from hydria.cloud.database import Database
from hydria.cloud.image import qcow2
from hydria.cloud.image.resources import CONTAINER_FORMATS, DISK_FORMATS, HASH_ALGORITHM, Image, images
from hydria.cloud.resource import Verb, changed, given, new_id, now
from hydria.cloud.rows import Rows

Document = dict[str, Any]

ATTRIBUTES = frozenset(field.encode_name for field in msgspec.structs.fields(Image)) - {"properties"}
DERIVED = frozenset({"self", "file", "schema"})


class Images:
    def __init__(self, config: Cloud, database: Database) -> None:
        self._directory = Path(config.state_dir) / "images"
        self._database = database
        self._rows = Rows(images, Image)

    def recover(self) -> None:
        """An upload that ended with the last process can be done again."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._database.begin() as connection:
            for image in self._rows.select(connection, {"status": ["saving"]}):
                self._partial(image.id).unlink(missing_ok=True)
                self._rows.replace(connection, changed(image, {"status": "queued"}))

    def find(self, equals: Mapping[str, Sequence[Any]], context: Context = CLOUD) -> list[Image]:
        """The newest first, as in Glance."""
        table = images.c
        visible = or_(table.visibility == "public", table.visibility == "community", table.owner == context.project_id)
        with self._database.read() as connection:
            return self._rows.select(connection, equals, *([] if context.is_admin else [visible]))[::-1]

    def get(self, context: Context, id_: str) -> Image:
        found = self.find({"id": [id_]}, context)
        if not found:
            raise NotFound(f"Failed to find image {id_}")
        return found[0]

    def create(self, context: Context, document: object) -> Image:
        _may_write(context, "add_image")
        values = _given(document, "create")
        moment = now()
        image = Image(id=new_id(), owner=context.project_id or "", created_at=moment, updated_at=moment)
        image = changed(image, values)
        _check(context, image, values)
        with self._database.begin() as connection:
            try:
                self._rows.insert(connection, image)
            except IntegrityError as error:
                raise Conflict(f"Image ID {image.id} already exists!") from error
        return image

    def patch(self, context: Context, id_: str, operations: object) -> Image:
        """`operations`: RFC 6902, of which the API has add, replace and remove of one attribute."""
        with self._database.begin() as connection:
            image = self._own(context, id_)
            document = shown(image)
            for operation in _operations(operations):
                _apply(document, operation)
            writable = {key: value for key, value in document.items() if key not in _read_only()}
            values = _given(writable, "update")
            values.setdefault("properties", {})
            _check(
                context,
                image,
                {key: value for key, value in values.items() if document.get(key) != getattr(image, key)},
            )
            return self._store(connection, changed(image, values))

    def delete(self, context: Context, id_: str) -> None:
        with self._database.begin() as connection:
            image = self._own(context, id_)
            if image.protected:
                raise Forbidden(f"Image {id_} is protected and cannot be deleted.")
            self._rows.delete(connection, id_)
        self.path(id_).unlink(missing_ok=True)

    def add_tag(self, context: Context, id_: str, tag: str) -> None:
        with self._database.begin() as connection:
            image = self._own(context, id_)
            self._store(connection, changed(image, {"tags": sorted({*image.tags, tag})}))

    def remove_tag(self, context: Context, id_: str, tag: str) -> None:
        with self._database.begin() as connection:
            image = self._own(context, id_)
            if tag not in image.tags:
                raise NotFound(f"No tag {tag} on image {id_}")
            self._store(connection, changed(image, {"tags": [other for other in image.tags if other != tag]}))

    def path(self, id_: str) -> Path:
        """Where the data of an active image is."""
        return self._directory / id_

    def upload(self, context: Context, id_: str) -> "Upload":
        """Use as a context manager; left without an error it makes the image active, else queued again."""
        with self._database.begin() as connection:
            image = self._own(context, id_)
            if image.status != "queued":
                raise Conflict(f"Image status transition from {image.status} to saving is not allowed")
            if image.disk_format is None or image.container_format is None:
                raise Invalid("Properties disk_format, container_format must be set prior to saving data.")
            self._store(connection, changed(image, {"status": "saving"}))
        return Upload(self, id_, self._partial(id_))

    def finish(self, id_: str, values: Mapping[str, Any]) -> None:
        """The end of an upload. An image deleted meanwhile stays deleted."""
        with self._database.begin() as connection:
            image = self._rows.get(connection, id_)
            if image is None:
                self._partial(id_).unlink(missing_ok=True)
                raise NotFound(
                    f"Image {id_} could not be found after upload. It may have been deleted during the upload."
                )
            if values.get("status") == "active":
                values = {**values, "virtual_size": _virtual_size(image, self._partial(id_))}
                self._partial(id_).replace(self.path(id_))
            else:
                self._partial(id_).unlink(missing_ok=True)
            self._store(connection, changed(image, values))

    def _partial(self, id_: str) -> Path:
        return self._directory / f"{id_}.partial"

    def _own(self, context: Context, id_: str) -> Image:
        image = self.get(context, id_)
        _may_write(context, "modify_image")
        if not context.sees(image.owner):
            raise Forbidden(f"You are not permitted to modify image {id_}.")
        return image

    def _store(self, connection: Connection, image: Image) -> Image:
        image.updated_at = now()
        self._rows.replace(connection, image)
        return image


class Upload:
    """Data on its way into the store; `write` may be called from any thread, one call at a time."""

    def __init__(self, service: Images, id_: str, path: Path) -> None:
        self._service, self._id, self._path = service, id_, path
        # MD5 is the API's `checksum`; what clients trust is os_hash_value.
        self._checksum = hashlib.md5(usedforsecurity=False)
        self._hash = hashlib.new(HASH_ALGORITHM)
        self._size = 0
        self._stack = contextlib.ExitStack()
        self._file: BinaryIO | None = None

    def write(self, chunk: bytes) -> None:
        if self._file is None:
            self._file = self._stack.enter_context(self._path.open("wb"))
        self._file.write(chunk)
        self._checksum.update(chunk)
        self._hash.update(chunk)
        self._size += len(chunk)

    def close(self) -> None:
        """Only the file: what it holds is not an image yet."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # An image may be empty: then this makes its file.
        self.write(b"")
        self.close()
        if kind is not None:
            self._service.finish(self._id, {"status": "queued"})
            return
        digests = {"checksum": self._checksum.hexdigest(), "os_hash_value": self._hash.hexdigest()}
        self._service.finish(
            self._id, {"status": "active", "size": self._size, "os_hash_algo": HASH_ALGORITHM, **digests}
        )


def _virtual_size(image: Image, path: Path) -> int | None:
    """Bytes that a machine sees; None where the format does not tell us, or the data is not of it."""
    if image.disk_format == "raw":
        return path.stat().st_size
    if image.disk_format != "qcow2":
        return None
    with path.open("rb") as file:
        try:
            return qcow2.parse(file.read(qcow2.HEADER_BYTES)).virtual_size
        except qcow2.NotQcow2:
            return None


def shown(image: Image) -> Document:
    """Attributes and the owner's properties side by side."""
    document: Document = msgspec.to_builtins(image)
    properties = document.pop("properties")
    links = {"self": f"/v2/images/{image.id}", "file": f"/v2/images/{image.id}/file", "schema": "/v2/schemas/image"}
    return {**properties, **document, **links}


def _may_write(context: Context, action: str) -> None:
    if not context.roles & {"admin", "manager", "member"}:
        raise Forbidden(f"You are not authorized to complete {action} action.")


def _given(document: object, verb: Verb) -> Document:
    if not isinstance(document, dict):
        raise Invalid("The body must be an object.")
    values = {key: value for key, value in document.items() if key in ATTRIBUTES}
    properties = {key: value for key, value in document.items() if key not in ATTRIBUTES}
    if refused := sorted(DERIVED & properties.keys()):
        raise Forbidden(f"Attribute '{refused[0]}' is read-only.")
    if properties:
        values["properties"] = properties
    checked = given(values, Image, verb)
    if "tags" in checked:
        checked["tags"] = sorted(set(checked["tags"]))
    return checked


def _read_only() -> frozenset[str]:
    return DERIVED | {
        "id",
        "status",
        "size",
        "virtual_size",
        "checksum",
        "os_hash_algo",
        "os_hash_value",
        "created_at",
        "updated_at",
    }


def _check(context: Context, image: Image, values: Mapping[str, Any]) -> None:
    if values.get("visibility") == "public" and not context.is_admin:
        raise Forbidden("You are not authorized to complete publicize_image action.")
    if values.get("owner", image.owner) != context.project_id and "owner" in values and not context.is_admin:
        raise Forbidden("You are not authorized to complete modify_image action.")
    for name, known in (("disk_format", DISK_FORMATS), ("container_format", CONTAINER_FORMATS)):
        value = values.get(name)
        if value is not None and value not in known:
            raise Invalid(
                f"Provided object does not match schema 'image': '{value}' is not one of {list(known)}", field=name
            )


def _operations(operations: object) -> Iterator[Mapping[str, Any]]:
    if not isinstance(operations, list):
        raise Invalid("Request body must be a JSON array of operation objects.")
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise Invalid("Operations must be JSON objects with a path.")
        if operation.get("op") not in {"add", "replace", "remove"}:
            raise Invalid("Operations must be add, remove, or replace.")
        if operation["op"] != "remove" and "value" not in operation:
            raise Invalid(f'Operation "{operation["op"]}" requires a member named "value".')
        yield operation


def _apply(document: Document, operation: Mapping[str, Any]) -> None:
    name = operation["path"].removeprefix("/").replace("~1", "/").replace("~0", "~")
    if name in _read_only():
        raise Forbidden(f"Attribute '{name}' is read-only.")
    if operation["op"] == "add" or (operation["op"] == "replace" and name in document):
        document[name] = operation["value"]
    elif operation["op"] == "replace":
        raise Conflict(f"Property {name} does not exist.")
    elif name in ATTRIBUTES:
        raise Forbidden(f"Property {name} may not be removed.")
    elif document.pop(name, None) is None:
        raise Conflict(f"Property {name} does not exist.")
