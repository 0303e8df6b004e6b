"""An installation as `hydria amphora` sees it: identity, images, the Load Balancer API and a controller behind it.

Only compute, network and agents are in memory.
"""

import contextlib
import dataclasses
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import sqlalchemy as sa
import uvicorn

from hydria.api import app, service
from hydria.base.config import Config, Controller, Database, Identity
from hydria.cloud.app import open_services
from hydria.cloud.service import make_server
from hydria.controller.service import Controller as ControllerProcess
from hydria.drivers.certificates import ensure_ca
from hydria.drivers.fake_amphorae import FakeAmphorae
from hydria.drivers.fakes import FakeCloud, id_of
from hydria.store import database as store
from unit.cloud.running_cloud import PASSWORDS, RunningCloud, make_config

CLOUDS = ("admin", "demo")


@dataclasses.dataclass
class World:
    cloud: FakeCloud
    database: store.Database
    users: dict[str, httpx.Client]
    api_url: str
    clouds_yaml: Path
    forget: Callable[[], None]
    """What the controller remembers of images for a minute."""
    pending: list[int]
    """How many load balancers were PENDING_UPDATE whenever the controller made or deleted a server, from the store."""

    def upload(self, name: str, tag: str = "amphora", **properties: str) -> str:
        """A new image, which controllers boot from now on."""
        body = {"name": name, "disk_format": "qcow2", "container_format": "bare", "tags": [tag], **properties}
        client = self.users["admin"]
        id_ = str(client.post("/image/v2/images", json=body).raise_for_status().json()["id"])
        headers = {"Content-Type": "application/octet-stream"}
        client.put(f"/image/v2/images/{id_}/file", content=b"x", headers=headers).raise_for_status()
        self.cloud.images[tag] = id_
        self.forget()
        return id_

    def call(self, method: str, path: str, body: object = None, user: str = "demo") -> Any:
        answer = self.users[user].request(method, f"{self.api_url}/v2{path}", json=body).raise_for_status()
        return next(iter(answer.json().values())) if answer.content else None

    def load_balancers(self, number: int, **values: Any) -> list[str]:
        """ACTIVE ones, the oldest first."""
        subnet = self.cloud.networks[id_of("network", "public")].subnets[0]
        made = [
            self.call("POST", "/lbaas/loadbalancers", {"loadbalancer": {"vip_subnet_id": subnet, **values}})["id"]
            for _ in range(number)
        ]
        for lb_id in made:
            self.await_status(lb_id, "ACTIVE")
        return made

    def flavor(self, data: str) -> str:
        profile = {"name": str(uuid.uuid4()), "provider_name": "amphora", "flavor_data": data}
        made = self.call("POST", "/lbaas/flavorprofiles", {"flavorprofile": profile}, "admin")
        flavor = {"name": profile["name"], "flavor_profile_id": made["id"]}
        return str(self.call("POST", "/lbaas/flavors", {"flavor": flavor}, "admin")["id"])

    def status(self, lb_id: str) -> str:
        return str(self.call("GET", f"/lbaas/loadbalancers/{lb_id}")["provisioning_status"])

    def await_status(self, lb_id: str, status: str) -> None:
        await_condition(f"{lb_id} is {status}", lambda: self.status(lb_id) == status)

    def amphorae(self, **filters: str) -> list[Any]:
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return list(self.call("GET", f"/octavia/amphorae?{query}", user="admin"))

    def images_in_use(self) -> set[str]:
        return {one["image_id"] for one in self.amphorae()}

    def count_pending(self) -> None:
        for name in ("create_server", "delete_server"):
            call = getattr(self.cloud, name)

            def counted(*arguments: Any, call: Callable[..., Any] = call) -> Any:
                self.pending.append(self.pending_updates())
                return call(*arguments)

            setattr(self.cloud, name, counted)

    def pending_updates(self) -> int:
        with self.database.read() as tx:
            statement = "SELECT COUNT(*) FROM load_balancer WHERE provisioning_status = 'PENDING_UPDATE'"
            return int(tx.execute(sa.text(statement)).scalar_one())


def await_condition(what: str, condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds} s: not {what}"
        threading.Event().wait(0.02)


@contextlib.contextmanager
def serving(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def a_world(directory: Path) -> Iterator[World]:
    with contextlib.ExitStack() as stack:
        cloud_socket = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        api_socket = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"http://127.0.0.1:{cloud_socket.getsockname()[1]}"
        made = make_config(directory, cloud_socket.getsockname()[1])
        api_url = f"http://127.0.0.1:{api_socket.getsockname()[1]}"
        services = open_services(
            Config(cloud=msgspec.structs.replace(made.cloud, load_balancer_url=api_url), fabric=made.fabric)
        )
        stack.callback(services.close)
        stack.enter_context(serving(make_server(services), cloud_socket))
        running = RunningCloud(services, url)
        stack.callback(running.close)
        cloud = FakeCloud()
        cloud.add_network("lb-mgmt-net", "198.18.0.0/20")
        cloud.add_network("public", "203.0.113.0/24")
        cloud.add_host("host1")
        config = Config(
            database=Database(url=f"sqlite:///{directory}/hydria.db"),
            controller=Controller(
                heartbeat_bind_host="127.0.0.1",
                heartbeat_bind_port=0,
                heartbeat_timeout=3600.0,
                workers=4,
                wake_socket=str(directory / "wake"),
            ),
            identity=Identity(auth_url=f"{url}/identity/v3", password=PASSWORDS["hydria"]),
        )
        database = store.Database(config.database.url)
        stack.callback(database.close)
        database.migrate()
        controller = ControllerProcess(
            config, cloud, FakeAmphorae(cloud), ensure_ca(directory / "certificates"), threading.Event()
        )
        stack.callback(controller.stop)
        controller.start()
        behind = dataclasses.replace(service.services(config, database), cloud=cloud)
        stack.callback(behind.wake.close)
        application = app.create(behind)
        server = uvicorn.Server(uvicorn.Config(application, lifespan="on", log_config=None, access_log=False))
        stack.enter_context(serving(server, api_socket))
        users = {name: running.client(name) for name in CLOUDS}
        world = World(
            cloud, database, users, api_url, _clouds_yaml(directory, url), controller._lookups._cache.clear, []
        )
        world.count_pending()
        yield world


def _clouds_yaml(directory: Path, url: str) -> Path:
    path = directory / "clouds.yaml"
    clouds = {
        name: {
            "auth": {
                "auth_url": f"{url}/identity/v3",
                "username": name,
                "password": PASSWORDS[name],
                "project_name": name,
                "user_domain_name": "Default",
                "project_domain_name": "Default",
            },
            "region_name": "RegionOne",
        }
        for name in CLOUDS
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps({"clouds": clouds}))
    return path


def environment(world: World, cloud: str = "admin") -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("OS_")}
    return {**others, "OS_CLIENT_CONFIG_FILE": str(world.clouds_yaml), "OS_CLOUD": cloud}
