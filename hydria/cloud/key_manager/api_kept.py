"""Routes that secrets and containers have alike: list, delete, ACL, consumers."""

from collections.abc import Callable
from typing import Any

from litestar import delete, get, patch, post, put
from litestar.handlers import HTTPRouteHandler
from litestar.params import RawBody

from hydria.cloud.key_manager import content, views
from hydria.cloud.key_manager.collection import Collection
from hydria.cloud.key_manager.service import KeyManager
from hydria.cloud.needs import Caller, KeyManagerService, Minor, PathText
from hydria.cloud.web import AnyRequest, document, query

Document = dict[str, Any]
Of = Callable[[KeyManager], Collection[Any]]
Shown = Callable[[str, Any, int], Document]


def lists(plural: str, of: Of, shown: Shown) -> list[HTTPRouteHandler]:
    path = f"/{plural}"

    @get(path, name=f"key-manager:list_{plural}", sync_to_thread=True)
    def list_(request: AnyRequest, context: Caller, key_manager: KeyManagerService, version: Minor) -> Document:
        asked, url = query(request), key_manager.url
        page = of(key_manager).page(context, asked)
        return views.shown_page(f"{url}{path}", plural, page, lambda one: shown(url, one, version), asked)

    return [list_]


def acls(plural: str, of: Of) -> list[HTTPRouteHandler]:
    path = f"/{plural}/{{id_:str}}/acl"

    def reference(key_manager: KeyManager, id_: str) -> Document:
        return {"acl_ref": f"{key_manager.url}/{plural}/{id_}/acl"}

    @get(path, name=f"key-manager:get_acl_of_{plural}", sync_to_thread=True)
    def show(context: Caller, key_manager: KeyManagerService, id_: PathText) -> Document:
        return views.shown_acl(of(key_manager).acl(context, id_))

    @put(path, name=f"key-manager:put_acl_of_{plural}", sync_to_thread=True)
    def replace(context: Caller, key_manager: KeyManagerService, id_: PathText, body: RawBody) -> Document:
        of(key_manager).set_acl(context, id_, document(body), keep=False)
        return reference(key_manager, id_)

    @patch(path, name=f"key-manager:patch_acl_of_{plural}", sync_to_thread=True)
    def change(context: Caller, key_manager: KeyManagerService, id_: PathText, body: RawBody) -> Document:
        of(key_manager).set_acl(context, id_, document(body), keep=True)
        return reference(key_manager, id_)

    @delete(path, name=f"key-manager:delete_acl_of_{plural}", status_code=200, sync_to_thread=True)
    def remove(context: Caller, key_manager: KeyManagerService, id_: PathText) -> None:
        of(key_manager).delete_acl(context, id_)

    return [show, replace, change, remove]


def consumers(plural: str, of: Of, shown: Shown) -> list[HTTPRouteHandler]:
    path = f"/{plural}/{{id_:str}}/consumers"
    limit = content.MAX_REQUEST_BYTES

    @get(path, name=f"key-manager:list_consumers_of_{plural}", sync_to_thread=True)
    def list_(request: AnyRequest, context: Caller, key_manager: KeyManagerService, id_: PathText) -> Document:
        asked = query(request)
        page = of(key_manager).consumers(context, id_, asked)
        url = f"{key_manager.url}/{plural}/{id_}/consumers"
        return views.shown_page(url, "consumers", page, views.shown_consumer, asked)

    @post(
        path,
        name=f"key-manager:add_consumer_of_{plural}",
        status_code=200,
        request_max_body_size=limit,
        sync_to_thread=True,
    )
    def add(context: Caller, key_manager: KeyManagerService, version: Minor, id_: PathText, body: RawBody) -> Document:
        return shown(key_manager.url, of(key_manager).add_consumer(context, id_, document(body)), version)

    @delete(
        path,
        name=f"key-manager:remove_consumer_of_{plural}",
        status_code=200,
        request_max_body_size=limit,
        sync_to_thread=True,
    )
    def remove(
        context: Caller, key_manager: KeyManagerService, version: Minor, id_: PathText, body: RawBody
    ) -> Document:
        return shown(key_manager.url, of(key_manager).remove_consumer(context, id_, document(body)), version)

    return [list_, add, remove]
