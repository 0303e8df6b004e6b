"""Session persistence and health checks as clients and members see them, through a reload."""

import json
import socket
import ssl
import threading
from http import cookies

import pytest
from msgspec.structs import replace

from hydria.model.pool import SessionPersistence
from hydria.model.spec import HealthMonitorSpec, PoolSpec, Spec
from root.amphora_network import World
from root.amphora_world import LISTENER, MEMBERS, POOL, SPEC, VIP, Amphora, Controller

pytestmark = pytest.mark.root


def with_pool(pool: PoolSpec, generation: int = 1) -> Spec:
    return replace(SPEC, pools=(pool,), generation=generation)


def test_h30_source_ip_persistence_survives_a_reload(here: World, amphora: Amphora) -> None:
    pool = replace(POOL, session_persistence=SessionPersistence(type="SOURCE_IP"))
    amphora.put(with_pool(pool))
    # Round robin goes on beneath: without the table the next answers would be from other members.
    (chosen,) = {json.loads(here.client.get(VIP, 80)[1])["backend"] for _ in range(4)}
    slower = replace(SPEC, generation=2, pools=(pool,), listeners=(replace(LISTENER, timeout_client_data=60_000),))
    assert amphora.put(slower).reloads == 1
    assert {json.loads(here.client.get(VIP, 80)[1])["backend"] for _ in range(4)} == {chosen}


def test_http_cookie_persistence(here: World, amphora: Amphora) -> None:
    amphora.put(with_pool(replace(POOL, session_persistence=SessionPersistence(type="HTTP_COOKIE"))))
    with here.client.connect(VIP, 80) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
    header = next(line for line in answer.splitlines() if line.lower().startswith("set-cookie:"))
    cookie = cookies.SimpleCookie(header.partition(":")[2])["SRV"].value
    chosen = {json.loads(here.client.get(VIP, 80, Cookie=f"SRV={cookie}")[1])["backend"] for _ in range(4)}
    assert chosen == {cookie.replace("m", "b")}


def test_h23_tls_hello_check_wants_a_handshake(here: World, amphora: Amphora) -> None:
    """A member that takes connections without speaking TLS is down, one that does is up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(amphora.certificates.amphora)

    def listen(address: str) -> socket.socket:
        server = socket.create_server((address, 8443))
        here.stack.callback(server.close)
        return server

    def serve(server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
                with context.wrap_socket(connection, server_side=True):
                    pass
            except ssl.SSLError:
                continue
            except OSError:
                return

    speaking, silent = (backend.namespace.inside(lambda b=backend: listen(b.address)) for backend in here.backends[:2])
    thread = threading.Thread(target=serve, args=(speaking,), daemon=True)
    thread.start()
    here.stack.callback(thread.join)
    here.stack.callback(speaking.shutdown, socket.SHUT_RDWR)
    assert silent.fileno() > 0
    monitor = HealthMonitorSpec(id="hm", type="TLS-HELLO", delay=1, timeout=1, max_retries=1, max_retries_down=1)
    members = tuple(replace(member, monitor_port=8443) for member in MEMBERS[:2])
    controller = Controller(here)
    amphora.put(with_pool(replace(POOL, protocol="HTTPS", members=members, health_monitor=monitor)))
    beat = controller.until(lambda beat: "DOWN" in beat.pools["pool1"].members.values())
    assert beat.pools["pool1"].members == {"m1": "UP", "m2": "DOWN"}
