"""What is the same for every request: paths, headers, discovery, and the shape of errors."""

import re
from typing import Any

import pytest
from api_world import World

from hydria.api import app, asgi, versions


@pytest.fixture(scope="module")
def world(shared_world: World) -> World:
    return shared_world


@pytest.fixture(scope="module")
def pool(world: World):
    return world.pool(world.load_balancer())


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        ("/", "/"),
        ("/v2", "/v2"),
        ("/v2.0/", "/v2"),
        ("/v2/lbaas/listeners", "/v2/lbaas/listeners"),
        ("/v2.0/lbaas/listeners/", "/v2/lbaas/listeners"),
        ("/v2.0/listeners", "/v2/lbaas/listeners"),
        ("/v2/listeners.json", "/v2/lbaas/listeners"),
        ("/v2/lbaas/listeners/4f.json", "/v2/lbaas/listeners/4f"),
        ("/v2.0/octavia/amphorae", "/v2/octavia/amphorae"),
        ("/v1/x", "/v1/x"),
        ("/healthcheck", "/healthcheck"),
    ],
)
def test_normalize(path: str, normal: str):
    assert asgi.normalize(path) == normal
    assert asgi.normalize(normal) == normal


@pytest.mark.parametrize(
    "path", ["/v2/lbaas/pools", "/v2.0/lbaas/pools", "/v2/pools", "/v2.0/pools", "/v2/pools.json", "/v2/lbaas/pools/"]
)
def test_every_spelling_leads_to_the_same_place(world: World, pool: Any, path: str):
    answer = world.client.get(path, headers={"X-Auth-Token": "demo"})
    assert [item["id"] for item in answer.json()["pools"]] == [pool["id"]]


@pytest.mark.parametrize("path", ["/", "/v2", "/v2.0/"])
def test_discovery_needs_no_token(world: World, path: str):
    listed = world.client.get(path).json()["versions"]
    assert [item["id"] for item in listed] == [f"v2.{number}" for number in range(31)]
    assert [item["status"] for item in listed] == ["SUPPORTED"] * 30 + ["CURRENT"]
    assert listed[28] == {
        "id": "v2.28",
        "status": "SUPPORTED",
        "updated": "2023-11-08T00:00:00Z",
        "links": [{"href": "http://testserver.local/v2", "rel": "self"}],
    }
    assert len(versions.VERSIONS) == 31


def test_healthcheck(world: World):
    assert world.client.get("/healthcheck").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "/v2/lbaas/nothing", 404, id="unknown path"),
        pytest.param("GET", "/v3", 404, id="unknown version"),
        pytest.param("PATCH", "/v2/lbaas/pools", 405, id="wrong method"),
        pytest.param("DELETE", "/v2/lbaas/pools", 405, id="no delete of a collection"),
        pytest.param("POST", "/v2/octavia/amphorae", 405, id="amphorae are read"),
    ],
)
def test_where_nothing_is(world: World, method: str, path: str, status: int):
    answer = world.client.request(method, path, headers={"X-Auth-Token": "demo"})
    world.refused(answer, status, "")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"{", "not JSON", id="cut off"),
        pytest.param(b"\xff\xfe", "not JSON", id="no UTF-8"),
        pytest.param(b"[" * 100_000, "not JSON", id="too deep"),
        pytest.param(b"[]", "key 'listener'", id="a list"),
        pytest.param(b'{"pool": {}}', "key 'listener'", id="another key"),
        pytest.param(b'{"listener": {}, "more": 1}', "Unknown attribute for argument body: more", id="one key more"),
        pytest.param(b'{"listener": []}', "must be an object", id="not an object"),
        pytest.param(b'{"listener": {"name": "a\\u0000b"}}', "U+0000", id="NUL"),
    ],
)
def test_a_body_that_is_none(world: World, body: Any, text: str):
    answer = world.client.post("/v2/lbaas/listeners", content=body, headers={"X-Auth-Token": "demo"})
    world.refused(answer, 400, text)


def test_a_body_too_large(world: World):
    answer = world.client.post(
        "/v2/lbaas/listeners", content=b"x" * (app.MAX_BODY + 1), headers={"X-Auth-Token": "demo"}
    )
    world.refused(answer, 413, "")


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (None, 200),
        ("*/*", 200),
        ("application/*", 200),
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ("text/html, application/json;q=0.9", 200),
        ("text/html", 406),
        ("application/xml", 406),
    ],
)
def test_accept(world: World, accept: Any, status: int):
    headers = {"X-Auth-Token": "demo"} | ({} if accept is None else {"Accept": accept})
    request = world.client.build_request("GET", "/v2/lbaas/pools", headers=headers)
    if accept is None:
        del request.headers["accept"]
    answer = world.client.send(request)
    assert answer.status_code == status
    if status == 406:
        (error,) = answer.json()["errors"]
        assert error["request_id"] == answer.headers["x-openstack-request-id"]
        assert (error["status"], error["title"]) == (406, "Not Acceptable")


@pytest.mark.parametrize("path", ["/", "/v2/lbaas/pools", "/v2/nothing"])
def test_every_answer_has_a_request_id(world: World, path: str):
    ids = {world.client.get(path).headers["x-openstack-request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(re.fullmatch(r"req-[0-9a-f-]{36}", id_) for id_ in ids)


@pytest.mark.parametrize("headers", [{}, {"X-Auth-Token": "nobody's"}, {"X-Auth-Token": ""}])
def test_without_a_token_nothing_is_shown(world: World, headers: Any):
    world.refused(world.client.get("/v2/lbaas/pools", headers=headers), 401, "requires authentication")
