"""What stands around the API: proxies before it, web pages that call it, probes, ids that the log has, too."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_world import World, a_world

from hydria.api.policy import Policy
from hydria.base.config import Api

BEHIND = Api(enable_proxy_headers_parsing=True, cors_allowed_origins=("https://console.example.org",))


@contextlib.contextmanager
def a_front(directory: Path, empty_database: Path, default_policy: Policy, api: Api) -> Iterator[World]:
    with a_world(directory, empty_database, default_policy, api) as made:
        yield made


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, default_policy: Policy) -> Iterator[World]:
    with a_front(tmp_path_factory.mktemp("front"), empty_database, default_policy, BEHIND) as made:
        for _ in range(2):
            made.load_balancer()
        yield made


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        pytest.param({}, "http://testserver.local", id="no proxy"),
        pytest.param({"X-Forwarded-Proto": "https"}, "https://testserver.local", id="TLS ends at the proxy"),
        pytest.param({"X-Forwarded-Host": "lb.example.org"}, "http://lb.example.org", id="host"),
        pytest.param(
            {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.org, b.org", "X-Forwarded-Prefix": "/load-balancer/"},
            "https://a.org/load-balancer",
            id="two proxies, a prefix",
        ),
        pytest.param(
            {"X-Forwarded-Host": "a.org", "X-Forwarded-Port": "8443", "X-Forwarded-Proto": "https"},
            "https://a.org:8443",
            id="port",
        ),
        pytest.param(
            {"X-Forwarded-Host": "[2001:db8::1]", "X-Forwarded-Port": "81"}, "http://[2001:db8::1]:81", id="IPv6"
        ),
        pytest.param(
            {"Forwarded": 'for=192.0.2.1;proto=https;host="a.org:444", for=x;host=b.org'}, "https://a.org:444", id="RFC"
        ),
        pytest.param({"X-Forwarded-Host": 'a"><script>'}, "http://testserver.local", id="no host"),
        pytest.param({"X-Forwarded-Proto": "javascript"}, "http://testserver.local", id="no scheme"),
    ],
)
def test_links_carry_the_url_that_the_client_used(behind: World, headers: Any, base: str):
    asked = {"X-Auth-Token": "demo", **headers}
    (link,) = behind.client.get("/v2.0/loadbalancers?limit=1", headers=asked).json()["loadbalancers_links"]
    assert link["href"].startswith(f"{base}/v2.0/loadbalancers?limit=1&marker=")
    first = behind.client.get("/", headers=headers).json()["versions"][0]
    assert first["links"] == [{"rel": "self", "href": f"{base}/v2"}]


def test_without_a_proxy_nobody_is_believed(shared_world: World):
    headers = {"X-Forwarded-Host": "evil.example.org", "Forwarded": "host=evil.example.org"}
    assert "evil" not in shared_world.client.get("/", headers=headers).text


def test_a_web_page_of_an_allowed_origin_may_call(behind: World):
    headers = {"Origin": "https://console.example.org"}
    asks = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "X-Auth-Token"}
    preflight = behind.client.options("/v2/lbaas/loadbalancers", headers={**headers, **asks})
    assert preflight.status_code in {200, 204}
    assert preflight.headers["access-control-allow-origin"] == "https://console.example.org"
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    assert "x-auth-token" in preflight.headers["access-control-allow-headers"].lower()
    for path in ("/v2/lbaas/loadbalancers", "/v2/lbaas/nothing"):  # a script has to be able to read refusals, too
        answer = behind.client.get(path, headers={**headers, "X-Auth-Token": "demo"})
        assert answer.headers["access-control-allow-origin"] == "https://console.example.org"
        assert "x-openstack-request-id" in answer.headers["access-control-expose-headers"].lower()


@pytest.mark.parametrize("origin", ["https://evil.example.org", "null"])
def test_any_other_origin_may_not(behind: World, origin: str):
    answer = behind.client.get("/v2/lbaas/loadbalancers", headers={"Origin": origin, "X-Auth-Token": "demo"})
    assert "access-control-allow-origin" not in answer.headers


def test_without_configuration_there_is_no_cors(shared_world: World):
    answer = shared_world.client.get("/", headers={"Origin": "https://console.example.org"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("method", "status"), [("GET", 200), ("HEAD", 200), ("POST", 405), ("PUT", 405), ("DELETE", 405)]
)
def test_healthcheck(shared_world: World, method: str, status: int):
    assert shared_world.client.request(method, "/healthcheck").status_code == status


def test_healthcheck_can_be_switched_off(tmp_path: Path, empty_database: Path, default_policy: Policy):
    with a_front(tmp_path, empty_database, default_policy, Api(healthcheck_enabled=False)) as world:
        world.refused(world.client.get("/healthcheck"), 404, "")


def test_the_log_of_an_error_has_the_id_that_the_answer_has(
    shared_world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(*_: object) -> Any:
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(type(shared_world.services.identity), "caller", broken)
    with caplog.at_level(logging.ERROR):
        answer = shared_world.client.get("/v2/lbaas/pools", headers={"X-Auth-Token": "demo"})
    shared_world.refused(answer, 500, "request's id")
    assert "secret" not in answer.text
    assert answer.headers["x-openstack-request-id"] in caplog.text


@pytest.mark.parametrize("path", ["/v2/lbaas/pools/%00", "/v2/lbaas/pools/a%00b/members"])
def test_an_id_that_no_database_holds(shared_world: World, path: str):
    shared_world.refused(shared_world.client.get(path, headers={"X-Auth-Token": "demo"}), 404, "")


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded", ""],
)
def test_a_body_is_json_whatever_it_is_called(shared_world: World, kind: str):
    """As Octavia has it: clients that name no content type are served."""
    headers = {"X-Auth-Token": "demo", **({"Content-Type": kind} if kind else {})}
    body = b'{"loadbalancer": {"vip_subnet_id": "%s"}}' % shared_world.public.encode()
    assert shared_world.client.post("/v2/lbaas/loadbalancers", content=body, headers=headers).status_code == 201
