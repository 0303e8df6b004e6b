import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cloud_networking import API, Vlan
from running_cloud import RunningCloud, make_config

from hydria.base.config import Config
from hydria.cloud.app import open_services
from hydria.cloud.service import make_server


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return make_config(tmp_path)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        services = open_services(make_config(tmp_path_factory.mktemp("cloud"), port))
        server = make_server(services)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running = RunningCloud(services, f"http://127.0.0.1:{port}")
        try:
            yield running
        finally:
            running.close()
            server.should_exit = True
            thread.join()
            services.close()


@pytest.fixture(scope="module")
def admin(cloud: RunningCloud) -> httpx.Client:
    return cloud.client()


@pytest.fixture(scope="module")
def demo(cloud: RunningCloud) -> httpx.Client:
    return cloud.client("demo")


@pytest.fixture(scope="module")
def ids(admin: httpx.Client) -> dict[str, str]:
    """Name → id of the seeded networks and subnets."""
    resources = admin.get(f"{API}/networks").json()["networks"] + admin.get(f"{API}/subnets").json()["subnets"]
    return {one["name"]: one["id"] for one in resources}


@pytest.fixture
def vlan(admin: httpx.Client, request: pytest.FixtureRequest) -> Iterator[Vlan]:
    """A network of its own for a test, with an IPv4 subnet of five free addresses."""
    body = {
        "network": {"name": request.node.name, "provider:network_type": "vlan", "provider:physical_network": "public"}
    }
    network = admin.post(f"{API}/networks", json=body).json()["network"]
    body = {"subnet": {"network_id": network["id"], "ip_version": 4, "cidr": "10.9.0.0/29"}}
    subnet = admin.post(f"{API}/subnets", json=body).json()["subnet"]
    yield network, subnet
    for port in admin.get(f"{API}/ports", params={"network_id": network["id"]}).json()["ports"]:
        admin.delete(f"{API}/ports/{port['id']}").raise_for_status()
    admin.delete(f"{API}/networks/{network['id']}").raise_for_status()
