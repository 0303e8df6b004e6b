"""The Image API v2 as far as amphora images need it: plain JSON through a keystoneauth adapter."""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from keystoneauth1 import exceptions
from keystoneauth1.adapter import Adapter

from hydria.base.errors import Forbidden, HydriaError, NotFound, Retryable, Terminal, Unauthorized

Json = dict[str, Any]
Sent = Callable[[int], None]
"""Bytes, since the last call."""

_PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
_BLOCK = 1 << 20
_SHARED = {"raise_exc": False}


class ImageService:
    """Of one project, on behalf of which it is called."""

    def __init__(self, adapter: Adapter, project_id: str) -> None:
        self._adapter, self.project_id = adapter, project_id

    def find(self, **query: str) -> list[Json]:
        """The newest first, all pages. Raises HydriaError."""
        found: list[Json] = []
        path, asked = "/images", {"sort": "created_at:desc", **query}
        while path:
            page = self._call(f"Listing images ({query})", "GET", path, params=asked)
            found += page["images"]
            # The link to the next page holds the query, and the version as the service names it.
            path, asked = str(page.get("next") or "").removeprefix("/v2"), {}
        return found

    def create(self, values: Mapping[str, Any]) -> Json:
        return self._call(f"Creating image {values['name']}", "POST", "/images", json=values)

    def upload(self, image_id: str, path: Path, sent: Sent) -> None:
        with path.open("rb") as file:
            self._call(
                f"Uploading {path} as image {image_id}",
                "PUT",
                f"/images/{image_id}/file",
                data=_Counted(file, path.stat().st_size, sent),
                headers={"Content-Type": "application/octet-stream"},
            )

    def show(self, image_id: str) -> Json:
        return self._call(f"Looking at image {image_id}", "GET", f"/images/{image_id}")

    def patch(self, image_id: str, operations: Sequence[Mapping[str, Any]]) -> Json:
        return self._call(f"Changing image {image_id}", "PATCH", f"/images/{image_id}", json=operations, headers=_PATCH)

    def delete(self, image_id: str) -> None:
        """May run twice."""
        with contextlib.suppress(NotFound):
            self._call(f"Deleting image {image_id}", "DELETE", f"/images/{image_id}")

    def _call(self, what: str, method: str, path: str, **more: Any) -> Json:
        with as_errors(what):
            answer = self._adapter.request(path, method, **_SHARED, **more)
        if answer.status_code >= 400:
            raise _error(answer.status_code)(f"{what}: {answer.status_code} {_text(answer)}")
        return answer.json() if answer.content else {}


@contextlib.contextmanager
def as_errors(what: str) -> Iterator[None]:
    """What a cloud's client raises, in our words: `what` was attempted."""
    try:
        yield
    except exceptions.Unauthorized as error:
        raise Unauthorized(f"{what}: the cloud does not accept the login ({error})") from error
    except exceptions.ConnectionError as error:
        raise Retryable(f"{what}: the cloud does not answer ({error})") from error
    except exceptions.ClientException as error:
        raise Terminal(f"{what}: {error}") from error


def newest_active(images: Sequence[Json]) -> Json | None:
    """Of those with the tag, the newest first: the one that new amphorae boot from, as in Octavia."""
    return next((image for image in images if image["status"] == "active"), None)


def same_content(image: Json, path: Path) -> bool:
    """By the algorithm that this image service uses."""
    if image.get("size") != path.stat().st_size or not image.get("os_hash_value"):
        return False
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, image["os_hash_algo"])
    return bool(digest.hexdigest() == image["os_hash_value"])


class _Counted:
    """A file as `requests` sends it: read in blocks, its length known before, begun anew where that is needed."""

    def __init__(self, file: BinaryIO, length: int, sent: Sent) -> None:
        self._file, self.len, self._sent = file, length, sent

    def read(self, count: int = -1) -> bytes:
        block = self._file.read(count)
        self._sent(len(block))
        return block

    def __iter__(self) -> Iterator[bytes]:
        while block := self.read(_BLOCK):
            yield block

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        self._sent(offset - self._file.tell())
        return self._file.seek(offset, whence)


def _error(status: int) -> type[HydriaError]:
    return {401: Unauthorized, 403: Forbidden, 404: NotFound}.get(status, Retryable if status >= 500 else Terminal)


def _text(answer: Any) -> str:
    """Glance answers in JSON, or in HTML."""
    try:
        body = answer.json()
        return str(body.get("message") or body.get("title") or body)
    except (ValueError, AttributeError):
        return " ".join(answer.text.split())[:300]
