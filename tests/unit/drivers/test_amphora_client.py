"""Against a real TLS server on loopback that answers as an agent does."""

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from hydria.base import tls
from hydria.base.errors import Retryable, Terminal
from hydria.drivers.amphora_client import HttpsAmphoraClient
from hydria.drivers.certificates import Authority, ensure_ca
from hydria.model.spec import VERSIONS, Info, Observed, Spec
from hydria.model.spec_versions import for_agent

AMPHORA = "5b3f4a52-7d57-4f8e-9a39-f6a0f4b4f4a1"
OTHER = "f4b9f3c6-5bd8-4c9b-8f43-8d1c4c0c7a11"
DOCUMENT = for_agent(Spec(amphora_id=AMPHORA, load_balancer_id="lb", generation=3), VERSIONS)


class Agent(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.context = context
        self.status, self.body = 200, b"{}"
        self.seen: list[tuple[str, str, object, str | None]] = []
        self.connections = 0
        self.keep_alive = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A refused handshake is what some tests are about."""

    def finish_request(self, request, client_address) -> None:  # noqa: ANN001 - socketserver's own
        self.connections += 1
        with self.context.wrap_socket(request, server_side=True) as secure:
            self.name = tls.peer_name(secure)
            super().finish_request(secure, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Agent

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.seen.append((self.command, self.path, body, self.server.name))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)
        # Closed without a word, as an agent that restarts between two requests.
        self.close_connection = not self.server.keep_alive

    do_GET = do_PUT = answer  # noqa: N815 - http.server's own names

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return ensure_ca(tmp_path / "certificates")


@pytest.fixture
def agent(authority: Authority, tmp_path: Path) -> Iterator[Agent]:
    (tmp_path / "server.pem").write_text(authority.issue(AMPHORA, 1).pem)
    context = tls.server_context(authority.directory / "ca.pem", tmp_path / "server.pem")
    with Agent(context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(authority: Authority, agent: Agent) -> Iterator[HttpsAmphoraClient]:
    client = HttpsAmphoraClient(authority.client_context(), port=agent.server_port)
    yield client
    client.close()


def test_a_spec_goes_there_and_what_is_observed_comes_back(client: HttpsAmphoraClient, agent: Agent) -> None:
    agent.body = msgspec.json.encode(Observed(amphora_id=AMPHORA, generation=3))
    assert client.put_spec("127.0.0.1", DOCUMENT).generation == 3
    assert agent.seen == [("PUT", "/v1/spec", json.loads(DOCUMENT.body), "hydria-controller")]


def test_one_connection_serves_many_calls(client: HttpsAmphoraClient, agent: Agent) -> None:
    agent.body = msgspec.json.encode(Info(agent_version="1"))
    for _ in range(3):
        assert client.info(AMPHORA, "127.0.0.1").agent_version == "1"
    assert agent.connections == 1


def test_a_connection_that_the_agent_closed_is_opened_again(client: HttpsAmphoraClient, agent: Agent) -> None:
    agent.body = msgspec.json.encode(Info(agent_version="1"))
    agent.keep_alive = False
    client.info(AMPHORA, "127.0.0.1")
    client.info(AMPHORA, "127.0.0.1")
    assert agent.connections == 2


def test_another_amphoras_certificate_is_refused(client: HttpsAmphoraClient, agent: Agent) -> None:
    with pytest.raises(Retryable, match=f"amphora {OTHER}.*[Hh]ostname mismatch"):
        client.info(OTHER, "127.0.0.1")
    assert agent.seen == []


def test_a_client_of_another_ca_is_refused(agent: Agent, tmp_path: Path) -> None:
    stranger = ensure_ca(tmp_path / "other")
    context = tls.client_context(tmp_path / "certificates/ca.pem", stranger.directory / "client.pem")
    client = HttpsAmphoraClient(context, port=agent.server_port)
    with pytest.raises(Retryable):
        client.info(AMPHORA, "127.0.0.1")
    client.close()
    assert agent.seen == []


def test_nobody_there_is_retryable(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = HttpsAmphoraClient(authority.client_context(), port=port)
    with pytest.raises(Retryable, match=f"GET /v1/info at amphora {AMPHORA} .*refused"):
        client.info(AMPHORA, "127.0.0.1")


@pytest.mark.parametrize(
    ("status", "error", "after"),
    [(400, Terminal, None), (422, Terminal, None), (409, Retryable, 0), (500, Retryable, None), (503, Retryable, None)],
)
def test_what_the_agent_refuses(
    client: HttpsAmphoraClient, agent: Agent, status: int, error: type[Exception], after: float | None
) -> None:
    agent.status, agent.body = status, b'{"reason": "no NIC"}'
    with pytest.raises(error, match=f"{status} .*no NIC") as caught:
        client.put_spec("127.0.0.1", DOCUMENT)
    assert getattr(caught.value, "after", None) == after


def test_an_answer_that_is_none_is_terminal(client: HttpsAmphoraClient, agent: Agent) -> None:
    agent.body = b"<html>"
    with pytest.raises(Terminal, match="cannot be read"):
        client.info(AMPHORA, "127.0.0.1")
