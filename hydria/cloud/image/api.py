"""The Image API v2."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, Router, delete, get, patch, post, put
from litestar.concurrency import sync_to_thread
from litestar.params import RawBody
from litestar.response import File

from hydria.base.errors import Invalid
from hydria.cloud.image.resources import CONTAINER_FORMATS, DISK_FORMATS
from hydria.cloud.image.service import Document, shown
from hydria.cloud.listing import ordered, page
from hydria.cloud.needs import Caller, ImageService, PathText
from hydria.cloud.web import AnyRequest, Query, document, own_url, query

VERSIONS = ("v2.9", "v2.7", "v2.6", "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0")
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@get(["/", "/versions"], status_code=300, sync_to_thread=False)
def versions(request: AnyRequest) -> dict[str, Any]:
    links = [{"rel": "self", "href": own_url(request, "/image/v2/")}]
    return {
        "versions": [
            {"id": id_, "status": "CURRENT" if id_ == VERSIONS[0] else "SUPPORTED", "links": links} for id_ in VERSIONS
        ]
    }


@get("/v2/images", sync_to_thread=True)
def list_images(request: AnyRequest, context: Caller, image: ImageService) -> dict[str, Any]:
    asked = query(request)
    found = [document for document in map(shown, image.find({}, context)) if _wanted(document, asked)]
    documents, more = page(ordered(found, _sorting(asked)), asked)
    answer = {"images": documents, "first": _page(asked, ""), "schema": "/v2/schemas/images"}
    return answer | ({"next": _page(asked, documents[-1]["id"])} if more and documents else {})


def _page(asked: Query, marker: str) -> str:
    rest = {key: values for key, values in asked.items() if key != "marker"} | ({"marker": [marker]} if marker else {})
    return f"/v2/images?{urlencode(rest, doseq=True)}" if rest else "/v2/images"


def _sorting(asked: Query) -> Query:
    """`sort=name:asc,created_at` in the words of sort_key and sort_dir."""
    if "sort" not in asked:
        return asked
    pairs = [pair.partition(":") for pair in asked["sort"][0].split(",")]
    return {"sort_key": [key for key, _, _ in pairs], "sort_dir": [direction or "desc" for _, _, direction in pairs]}


CONTROLS = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir", "member_status"})


def _wanted(image: Document, asked: Query) -> bool:
    if image["os_hidden"] != BOOLEANS.get(asked.get("os_hidden", ["false"])[0].lower()):
        return False
    for name, values in asked.items():
        if name in CONTROLS or name == "os_hidden":
            continue
        if name == "tag":
            if not set(values) <= set(image["tags"]):
                return False
        elif name in {"size_min", "size_max"}:
            size, bound = image["size"] or 0, _number(name, values[0])
            if size < bound if name == "size_min" else size > bound:
                return False
        elif name == "visibility" and values[0] == "all":
            continue
        elif not _equals(image.get(name), values[0]):
            return False
    return True


def _equals(value: object, text: str) -> bool:
    """`in:a,b` asks for one of several."""
    if isinstance(value, bool):
        return value == BOOLEANS.get(text.lower())
    choices = text.removeprefix("in:").split(",") if text.startswith("in:") else [text]
    return str(value) in [choice.strip('"') for choice in choices]


def _number(name: str, text: str) -> int:
    if not text.isdecimal():
        raise Invalid(f"Cannot convert filter value {name}={text} to an integer", field=name)
    return int(text)


@post("/v2/images", sync_to_thread=True)
def create_image(request: AnyRequest, context: Caller, image: ImageService, body: RawBody) -> Response[Document]:
    created = image.create(context, document(body))
    return Response(
        shown(created), status_code=201, headers={"Location": own_url(request, f"/image/v2/images/{created.id}")}
    )


@get("/v2/images/{image_id:str}", sync_to_thread=True)
def show_image(context: Caller, image: ImageService, image_id: PathText) -> Document:
    return shown(image.get(context, image_id))


@patch("/v2/images/{image_id:str}", sync_to_thread=True)
def update_image(context: Caller, image: ImageService, image_id: PathText, body: RawBody) -> Document:
    try:
        operations = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise Invalid(f"The body is not JSON: {error}") from error
    return shown(image.patch(context, image_id, operations))


@delete("/v2/images/{image_id:str}", sync_to_thread=True)
def delete_image(context: Caller, image: ImageService, image_id: PathText) -> None:
    image.delete(context, image_id)


# The one coroutine of ours: images are larger than memory, and only a coroutine gets a body piece by piece.
@put("/v2/images/{image_id:str}/file", status_code=204, request_max_body_size=None)
async def upload_image(request: AnyRequest, context: Caller, image: ImageService, image_id: PathText) -> None:
    with await sync_to_thread(image.upload, context, image_id) as upload:
        async for chunk in request.stream():
            await sync_to_thread(upload.write, chunk)


@get("/v2/images/{image_id:str}/file", sync_to_thread=True)
def download_image(context: Caller, image: ImageService, image_id: PathText) -> Response[Any]:
    found = image.get(context, image_id)
    if found.status != "active":
        return Response(None, status_code=204)
    headers = {"Content-MD5": found.checksum or ""}
    return File(image.path(image_id), media_type="application/octet-stream", headers=headers)


@put("/v2/images/{image_id:str}/tags/{tag:str}", status_code=204, sync_to_thread=True)
def add_tag(context: Caller, image: ImageService, image_id: PathText, tag: PathText) -> None:
    image.add_tag(context, image_id, tag)


@delete("/v2/images/{image_id:str}/tags/{tag:str}", sync_to_thread=True)
def remove_tag(context: Caller, image: ImageService, image_id: PathText, tag: PathText) -> None:
    image.remove_tag(context, image_id, tag)


def _schema() -> dict[str, Any]:
    formats: Mapping[str, tuple[str, ...]] = {"disk_format": DISK_FORMATS, "container_format": CONTAINER_FORMATS}
    choices = {name: {"type": ["null", "string"], "enum": [None, *known]} for name, known in formats.items()}
    texts = ("id", "name", "owner", "status", "visibility", "checksum", "os_hash_algo", "os_hash_value")
    properties = {name: {"type": ["null", "string"]} for name in texts} | choices
    return {"name": "image", "properties": properties, "additionalProperties": {"type": "string"}}


@get("/v2/schemas/image", sync_to_thread=False)
def show_schema(context: Caller) -> dict[str, Any]:  # noqa: ARG001 - asks for a login
    return _schema()


@get("/v2/schemas/images", sync_to_thread=False)
def show_list_schema(context: Caller) -> dict[str, Any]:  # noqa: ARG001 - asks for a login
    images = {"type": "array", "items": _schema()}
    return {"name": "images", "properties": {"images": images, "first": {"type": "string"}, "next": {"type": "string"}}}


@get("/v2/info/import", sync_to_thread=False)
def show_import(context: Caller) -> dict[str, Any]:  # noqa: ARG001 - asks for a login
    return {"import-methods": {"description": "Import methods available.", "type": "array", "value": []}}


router = Router(
    "/image",
    route_handlers=[
        versions,
        list_images,
        create_image,
        show_image,
        update_image,
        delete_image,
        upload_image,
        download_image,
        add_tag,
        remove_tag,
        show_schema,
        show_list_schema,
        show_import,
    ],
)
