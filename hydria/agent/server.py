"""The agent's API, HTTP/1.1 over mutual TLS: GET /v1/info, PUT /v1/spec, GET /v1/observed. Decides nothing else.

The standard library's server, because it listens before any other would be imported (docs/design/0003-agent-server.md).
"""

import socket
import ssl
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

import msgspec

from hydria.agent import firewall, haproxy
from hydria.agent.amphora import Amphora
from hydria.base import log, tls
from hydria.base.errors import Forbidden, HydriaError, Invalid, NotFound, RequestError
from hydria.model import spec_versions
from hydria.model.spec import AgentConfig, Info

logger = log.Logger(__name__)

_MAX_BODY = 64 * 1024 * 1024
_HANDSHAKE_SECONDS = 5.0
_IDLE_SECONDS = 300.0
"""Controllers keep their connections."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET

    def __init__(self, config: AgentConfig, amphora: Amphora) -> None:
        self.amphora = amphora
        self._tls = tls.server_context(Path(config.ca_certificate), Path(config.certificate))
        self._info: Info | None = None
        super().__init__(("", config.bind_port), _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # HTTPServer's own would look up this machine's name, and wait for a DNS server that is not there.
        TCPServer.server_bind(self)

    def info(self) -> Info:
        """Looked up once: it cannot change while we run."""
        if self._info is None:
            self._info = Info(
                agent_version=_version(), haproxy_version=haproxy.version(), nftables=firewall.is_available()
            )
        return self._info

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: a client that dawdles in the handshake delays nobody."""
        request.settimeout(_HANDSHAKE_SECONDS)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            connection = self._tls.wrap_socket(request, server_side=True)
        except OSError as error:
            logger.warning("connection refused", client=client_address[0], error=error)
            return
        with connection:
            _Handler(connection, client_address, self)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the base class's signature
        logger.warning("connection broken", client=client_address[0], error=sys.exception())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    server: Server
    connection: ssl.SSLSocket

    def do_GET(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        try:
            status, result = 200, self._route()
        except RequestError as error:
            status, result = error.status, {"message": error.message}
        except HydriaError as error:
            status, result = 503, {"message": error.message}
        except Exception as error:
            logger.exception("request failed", method=self.command, path=self.path)
            status, result = 500, {"message": f"{type(error).__name__}: {error}"}
        body = msgspec.json.encode(result)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _route(self) -> Any:
        # A certificate of our CA is not enough: every amphora has one (CVE-2019-17134).
        name = tls.peer_name(self.connection)
        if name != tls.CONTROLLER_NAME:
            self.close_connection = True
            raise Forbidden(f"Only {tls.CONTROLLER_NAME} may call, not {name}")
        # Read in any case: what stays unread would be taken for the next request.
        body = self._body()
        match self.command, self.path:
            case "GET", "/v1/info":
                return self.server.info()
            case "GET", "/v1/observed":
                return self.server.amphora.observed()
            case "PUT", "/v1/spec":
                return self.server.amphora.apply(spec_versions.read(body))
            case _:
                raise NotFound(f"No {self.command} {self.path} here")

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > _MAX_BODY or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            raise Invalid(f"A body needs a Content-Length of at most {_MAX_BODY} bytes")
        return self.rfile.read(int(length))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        logger.debug("request", line=format % args)


def _version() -> str:
    # Imported here because it takes 15 ms, and nobody waits for the version.
    from importlib import metadata  # noqa: PLC0415

    try:
        return metadata.version("hydria")
    except metadata.PackageNotFoundError:
        return "unknown"
