"""The network around one amphora: bridges in a namespace of their own, clients, backends.

fabric     bridges mgmt (198.18.0.1/24), public, members: nothing of it is in the machine's own namespace
client     203.0.113.10/24, 2001:db8:1::10/64 on public; stranger: .66
b1 b2 b3   192.0.2.11-13/24, 2001:db8:2::11-13/64 on members, an HTTP server each that says who it is
"""

import contextlib
import http.client
import itertools
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

from hydria.agent.namespace import Namespace
from hydria.base import process
from hydria.cli.demo.stage import PATIENCE

T = TypeVar("T")

CONTROLLER = ("198.18.0.1", 5555)
_numbers = itertools.count()

SHORT = 0.2 + 0.1 * PATIENCE
"""Seconds that what is dropped is waited for."""


def ip(*arguments: str, netns: str | None = None, check: bool = True) -> str:
    where = ["-n", netns] if netns else []
    return process.run(["ip", *where, *arguments], check=check).stdout


def eventually(condition: Callable[[], T], timeout: float = 10.0) -> T:
    """Looks again every 20 ms, for what no event tells of; gives what `condition` gave when it was truthy."""
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (result := condition()):
        assert time.monotonic() < deadline, f"{condition} did not become true within {timeout} s"
        pause.wait(0.02)
    return result


class Host:
    """A namespace with a NIC on one bridge."""

    def __init__(self, world: "World", name: str, bridge: str, addresses: tuple[str, ...]) -> None:
        self.name = f"{world.prefix}-{name}"
        ip("netns", "add", self.name)
        world.stack.callback(ip, "netns", "delete", self.name)
        self.namespace = Namespace(self.name)
        world.plug(bridge, "eth0", netns=self.name)
        ip("link", "set", "lo", "up", netns=self.name)
        ip("link", "set", "eth0", "up", netns=self.name)
        for address in addresses:
            ip("address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []), netns=self.name)

    def connect(self, address: str, port: int, timeout: float = 2.0 * PATIENCE) -> socket.socket:
        return self.namespace.inside(lambda: socket.create_connection((address, port), timeout))

    def get(
        self, address: str, port: int, path: str = "/", timeout: float = 2.0 * PATIENCE, **headers: str
    ) -> tuple[int, str]:
        """Status and body of one GET on a connection of its own."""
        connection = http.client.HTTPConnection(address, port, timeout=timeout)
        connection.sock = self.connect(address, port, timeout)
        with contextlib.closing(connection):
            connection.request("GET", path, headers={**headers, "Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read().decode()

    def can_connect(self, address: str, port: int, timeout: float = SHORT) -> bool:
        try:
            self.connect(address, port, timeout).close()
        except OSError:
            return False
        return True


class Backend(Host):
    """Answers with its name and, as JSON, the headers it got; to /held when `released` is set."""

    def __init__(self, world: "World", name: str, number: int) -> None:
        super().__init__(world, name, "members", (f"192.0.2.{number}/24", f"2001:db8:2::{number}/64"))
        self.address = f"192.0.2.{number}"
        self.healthy = True
        self.holding, self.released = threading.Event(), threading.Event()
        world.stack.callback(self.released.set)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/held":
                    outer.holding.set()
                    outer.released.wait()
                body = json.dumps({"backend": name, "headers": dict(self.headers), "path": self.path}).encode()
                self.send_response(200 if outer.healthy else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Silent."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """Clients go as they like."""

        self.server = self.namespace.inside(lambda: Server((self.address, 80), Handler))
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        world.stack.callback(self.server.server_close)
        world.stack.callback(self.server.shutdown)


class World:
    def __init__(self, stack: contextlib.ExitStack, directory: Path) -> None:
        self.stack = stack
        self.directory = directory
        self.prefix = f"hyt{os.getpid()}x{next(_numbers)}"
        self.fabric = f"{self.prefix}-fabric"
        ip("netns", "add", self.fabric)
        stack.callback(ip, "netns", "delete", self.fabric)
        for bridge in ("mgmt", "public", "members"):
            ip("link", "add", bridge, "type", "bridge", "mcast_snooping", "0", netns=self.fabric)
            ip("link", "set", bridge, "up", netns=self.fabric)
        ip("address", "add", f"{CONTROLLER[0]}/24", "dev", "mgmt", netns=self.fabric)
        self.namespace = Namespace(self.fabric)
        self._ports: dict[str, str] = {}
        self.client = Host(self, "client", "public", ("203.0.113.10/24", "2001:db8:1::10/64"))
        self.stranger = Host(self, "stranger", "public", ("203.0.113.66/24", "2001:db8:1::66/64"))
        self.backends = [Backend(self, f"b{number}", 10 + number) for number in (1, 2, 3)]

    def plug(self, bridge: str, name: str, *, netns: str, mac: str | None = None, mtu: int = 1500) -> str:
        """A NIC with its other end in `bridge`, whose name is given; `netns` is a name or a process id."""
        port = f"p{next(_numbers)}"
        address = ["address", mac] if mac else []
        peer = ["peer", "name", name, *address, "netns", netns]
        ip("link", "add", port, "mtu", str(mtu), "type", "veth", *peer, netns=self.fabric)
        ip("link", "set", port, "master", bridge, "up", netns=self.fabric)
        if mac:
            self._ports[mac] = port
        return port

    def unplug(self, mac: str) -> None:
        """As `plug` put it in, whatever its host has called it since."""
        ip("link", "delete", self._ports.pop(mac), netns=self.fabric)

    def await_link(self, pid: int, name: str) -> None:
        """A veth has its link as soon as both ends are up."""


@contextlib.contextmanager
def world(directory: Path) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        yield World(stack, directory)
