"""The Compute API's routes over a world of tests, without a port; and what several of its tests send."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
from compute_world import ADMIN, World, until
from litestar import Litestar, Router
from litestar.di import Provide
from litestar.testing import TestClient

from hydria.cloud import faults
from hydria.cloud.context import Context
from hydria.cloud.web import AnyRequest

MEMBER = Context(user_id="u2", project_id="2" * 32, roles=frozenset({"member"}))
NOBODY = "00000000-0000-4000-8000-000000000000"
VERSION = "OpenStack-API-Version"


@contextlib.contextmanager
def served(world: World, router: Router) -> Iterator[TestClient[Litestar]]:
    """The token is the user: admin or member."""

    def context(request: AnyRequest) -> Context:
        return {"admin": ADMIN, "member": MEMBER}[request.headers["X-Auth-Token"]]

    app = Litestar(
        [router],
        dependencies={
            "context": Provide(context, sync_to_thread=False),
            "compute": Provide(lambda: world.compute, sync_to_thread=False),
        },
        exception_handlers={Exception: faults.to_response},
        openapi_config=None,
    )
    with TestClient(app) as client:
        yield client


class ComputeClient:
    def __init__(self, client: TestClient[Litestar]) -> None:
        self._client = client

    def __call__(
        self, method: str, path: str, body: Any = None, *, version: str = "2.100", user: str = "admin"
    ) -> httpx.Response:
        headers = {"X-Auth-Token": user, VERSION: f"compute {version}"}
        return self._client.request(method, f"/compute/v2.1{path}", json=body, headers=headers)

    def ok(self, method: str, path: str, body: Any = None, **options: str) -> Any:
        answer = self(method, path, body, **options)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    def fault(self, method: str, path: str, body: Any = None, **options: str) -> tuple[int, str, str]:
        answer = self(method, path, body, **options)
        ((name, fault),) = answer.json().items()
        assert fault["code"] == answer.status_code
        return answer.status_code, name, fault["message"]


def flavor_body(**values: Any) -> dict[str, Any]:
    return {"flavor": {"name": "small", "ram": 64, "vcpus": 1, "disk": 0, **values}}


def create(call: ComputeClient, world: World, **values: Any) -> str:
    """A server on the management network, waited for."""
    if not call.ok("GET", "/flavors")["flavors"]:
        call.ok("POST", "/flavors", flavor_body(id="f"))
    networks = [{"uuid": world.networks["mgmt"]}, *values.pop("ports", ())]
    values.setdefault("imageRef", world.image())
    server = {"name": "amphora-1", "flavorRef": "f", "networks": networks, **values}
    answer = call("POST", "/servers", {"server": server})
    assert answer.status_code == 202, answer.text
    server_id = answer.json()["server"]["id"]
    assert answer.headers["Location"].endswith(f"/compute/v2.1/servers/{server_id}")
    until(lambda: call.ok("GET", f"/servers/{server_id}")["server"]["OS-EXT-STS:task_state"] is None)
    return server_id
