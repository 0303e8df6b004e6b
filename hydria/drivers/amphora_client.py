"""AmphoraClient over HTTPS: one connection per amphora, kept open."""

import http.client
import socket
import ssl
import threading
from typing import TypeVar

import msgspec
from cachetools import LRUCache

from hydria.base.errors import Retryable, Terminal
from hydria.model.spec import PORT, Info, Observed
from hydria.model.spec_versions import Document

_CONNECT_TIMEOUT = 0.5
"""Polling an agent that boots must be quick, and the management network is local."""
_ANSWER_TIMEOUT = 60.0
"""A spec of thousands of members takes the agent seconds on a small machine."""
_OPEN_CONNECTIONS = 512

T = TypeVar("T")


class _Connection(http.client.HTTPSConnection):
    """Connects to an address, and demands a certificate for the amphora's id."""

    def __init__(self, amphora_id: str, address: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(address, port, timeout=_CONNECT_TIMEOUT, context=context)
        self._amphora_id = amphora_id
        self._tls = context
        self.lock = threading.Lock()

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), _CONNECT_TIMEOUT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._amphora_id)
        except BaseException:
            plain.close()
            raise
        self.sock.settimeout(_ANSWER_TIMEOUT)


class _Connections(LRUCache[tuple[str, str], _Connection]):
    """The least recently used connection is closed when there are too many."""

    def popitem(self) -> tuple[tuple[str, str], _Connection]:
        key, connection = super().popitem()
        connection.close()
        return key, connection


class HttpsAmphoraClient:
    """drivers.amphora.AmphoraClient. Threads may share it."""

    def __init__(self, context: ssl.SSLContext, *, port: int = PORT) -> None:
        self._context = context
        self._port = port
        self._connections = _Connections(_OPEN_CONNECTIONS)
        self._lock = threading.Lock()

    def info(self, amphora_id: str, address: str) -> Info:
        return self._call("GET", "/v1/info", Info, amphora_id=amphora_id, address=address)

    def put_spec(self, address: str, document: Document) -> Observed:
        id_, body = document.amphora_id, document.body
        return self._call("PUT", "/v1/spec", Observed, amphora_id=id_, address=address, body=body)

    def observed(self, amphora_id: str, address: str) -> Observed:
        return self._call("GET", "/v1/observed", Observed, amphora_id=amphora_id, address=address)

    def close(self) -> None:
        with self._lock:
            while self._connections:
                self._connections.popitem()

    def _call(
        self, method: str, path: str, kind: type[T], *, amphora_id: str, address: str, body: bytes | None = None
    ) -> T:
        what = f"{method} {path} at amphora {amphora_id} ({address})"
        connection = self._connection(amphora_id, address)
        try:
            with connection.lock:
                status, answer = _exchange(connection, method, path, body)
        except (OSError, http.client.HTTPException) as error:
            raise Retryable(f"{what}: {str(error) or type(error).__name__}") from error
        if status == 200:
            try:
                return msgspec.json.decode(answer, type=kind)
            except msgspec.DecodeError as error:
                raise Terminal(f"{what}: an answer that cannot be read: {error}") from error
        text = f"{what}: {status} {answer.decode(errors='replace')[:1000]}"
        if status == 409:
            # The agent has a newer generation: so does the database, and it is there to be read at once.
            raise Retryable(text, after=0)
        raise Retryable(text) if status >= 500 else Terminal(text)

    def _connection(self, amphora_id: str, address: str) -> _Connection:
        with self._lock:
            key = (amphora_id, address)
            connection = self._connections.get(key)
            if connection is None:
                connection = _Connection(amphora_id, address, self._port, self._context)
                self._connections[key] = connection
            return connection


def _exchange(connection: _Connection, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
    """One request. An idle connection that the agent closed is opened again, once: every call can be repeated."""
    kept = connection.sock is not None
    try:
        return _request(connection, method, path, body)
    except (http.client.RemoteDisconnected, ConnectionError, ssl.SSLError):
        if not kept:
            raise
        return _request(connection, method, path, body)


def _request(connection: _Connection, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read()
    except BaseException:
        connection.close()
        raise
