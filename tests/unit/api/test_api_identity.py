"""Tokens checked by an identity service that answers over HTTP."""

import datetime as dt
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from hydria.api.identity import Keystone
from hydria.base.config import Identity
from hydria.base.errors import Retryable, Unauthorized

PASSWORD = "s3cret"


def token(project: Any = "demo", seconds: int = 3600):
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    return {
        "methods": ["password"],
        "user": {"id": "u1", "name": "demo", "domain": {"id": "default", "name": "Default"}},
        "roles": [{"id": "1", "name": "reader"}, {"id": "2", "name": "member"}],
        "expires_at": expires.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "issued_at": "2026-01-01T00:00:00.000000Z",
        **({"project": {"id": project, "name": project}} if project else {}),
    }


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tokens = {"good": token(), "unscoped": token(project=None), "old": token(seconds=-1)}
        self.asked = []
        self.own = "ours-1"
        self.broken = False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any):
        pass

    def answer(self, status: int, body: Any, **headers: Any):
        content = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        good = body["auth"]["identity"]["password"]["user"]["password"] == PASSWORD
        if not good:
            self.answer(401, {"error": {"code": 401, "message": "no"}})
        else:
            self.answer(201, {"token": {**token("service"), "catalog": []}}, X_Subject_Token=self.server.own)

    def do_GET(self):
        subject = self.headers["X-Subject-Token"]
        self.server.asked.append(subject)
        if self.server.broken:
            self.answer(500, {"error": {"code": 500, "message": "database"}})
        elif self.headers["X-Auth-Token"] != self.server.own:
            self.answer(401, {"error": {"code": 401, "message": "who are you"}})
        elif subject not in self.server.tokens:
            self.answer(404, {"error": {"code": 404, "message": "no such token"}})
        else:
            self.answer(200, {"token": self.server.tokens[subject]})


@pytest.fixture
def server():
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def keystone(server: Server):
    made = keystone_at(server)
    yield made
    made.close()


def keystone_at(server: Server, **values: Any):
    url = f"http://127.0.0.1:{server.server_address[1]}/identity/v3"
    return Keystone(Identity(**{"auth_url": url, "password": PASSWORD, **values}))


def test_a_good_token_and_its_cache(server: Server, keystone: Keystone):
    for _ in range(3):
        demo = keystone.caller("good")
    assert (demo.user_id, demo.project_id, demo.roles) == ("u1", "demo", ("member", "reader"))
    assert server.asked == ["good"]
    assert keystone.caller("unscoped").project_id is None


@pytest.mark.parametrize("text", [None, "", "bad", "old", "smörgås"])
def test_a_token_that_is_no_good(keystone: Keystone, text: str | None):
    for _ in range(2):
        with pytest.raises(Unauthorized, match="requires authentication"):
            keystone.caller(text)


def test_our_own_token_is_renewed(server: Server, keystone: Keystone):
    keystone.caller("good")
    server.own = "ours-2"
    assert keystone.caller("unscoped").user_id == "u1"


def test_a_remembered_token_ends_with_its_own_time(server: Server, keystone: Keystone):
    server.tokens["brief"] = token(seconds=1)
    assert keystone.caller("brief").project_id == "demo"
    deadline = dt.datetime.fromisoformat(server.tokens["brief"]["expires_at"])
    threading.Event().wait(max(0.0, (deadline - dt.datetime.now(dt.UTC)).total_seconds()))
    with pytest.raises(Unauthorized):
        keystone.caller("brief")


def test_a_broken_identity_is_no_verdict(server: Server, keystone: Keystone):
    keystone.caller("good")
    server.broken = True
    assert keystone.caller("good").project_id == "demo"
    with pytest.raises(Retryable, match="answered 500"):
        keystone.caller("unscoped")


def test_an_identity_that_is_not_there():
    made = Keystone(Identity(auth_url="http://127.0.0.1:9/identity/v3"))
    with pytest.raises(Retryable, match="does not check tokens"):
        made.caller("good")
    made.close()


def test_our_own_password_being_wrong_is_not_the_callers_fault(server: Server):
    made = keystone_at(server, password="wrong")
    with pytest.raises(Retryable):
        made.caller("good")
    made.close()
