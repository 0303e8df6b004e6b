"""A real HTTP server that answers as Keystone, Nova, Neutron and Glance do, and the driver that calls it."""

import threading
from collections.abc import Iterator

import pytest
from openstack_server import OpenStack

from hydria.base.config import Identity
from hydria.drivers.openstack import OpenStackCloud


@pytest.fixture
def openstack() -> Iterator[OpenStack]:
    with OpenStack() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cloud(openstack: OpenStack) -> Iterator[OpenStackCloud]:
    cloud = OpenStackCloud(Identity(auth_url=f"{openstack.url}/identity/v3", password="secret"))
    yield cloud
    cloud.close()
