import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
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
            services.database.close()


@pytest.fixture(scope="module")
def admin(cloud: RunningCloud) -> httpx.Client:
    return cloud.client()


@pytest.fixture(scope="module")
def demo(cloud: RunningCloud) -> httpx.Client:
    return cloud.client("demo")
