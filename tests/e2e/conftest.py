"""One Hydria for all end-to-end tests; a test that needs scarce VFs starts one of its own."""

import contextlib
import os
from collections.abc import Iterator

import pytest

from e2e.scene import BACKENDS, Scene, type_guide
from hydria.cli.demo import guide
from hydria.cli.demo.client import Client
from hydria.cli.demo.stage import Stage

# A controller that was killed is taken over after that time; half a minute each time would be most of the tests.
os.environ["HYDRIA_CONTROLLER__LEASE_SECONDS"] = "5"

SECOND_HOST = "plain-host.example.org"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.e2e)


@contextlib.contextmanager
def opened(name: str, *, hosts: tuple[str, ...], vfs: int) -> Iterator[Scene]:
    """A Hydria on which an operator has typed the guide, with a client and three backends."""
    with Stage(f"{name}-{os.getpid()}", host_names=hosts, vfs=vfs) as stage:
        client = stage.add_host("client", "public")
        for backend, address in BACKENDS.items():
            stage.add_host(backend, "members", [address, f"2001:db8:0:c0::{address.rpartition('.')[2]}"]).serve()
        said = type_guide(stage, guide.OPERATOR)
        users = {cloud: Client(stage.state.clouds, cloud) for cloud in ("admin", "service", "demo")}
        flavor = users["admin"].named("flavors", guide.FLAVOR)["id"]
        yield Scene(stage=stage, client=client, flavor_id=flavor, said=said, **users)


@pytest.fixture(scope="session")
def scene() -> Iterator[Scene]:
    """Two hosts with 8 VFs in each network; only the first is in the guide's aggregate."""
    with opened("e2e", hosts=(guide.HOST, SECOND_HOST), vfs=8) as made:
        yield made


@pytest.fixture(scope="session")
def scarce() -> Iterator[Scene]:
    """Two hosts with one VF in each network; only the first is in the guide's aggregate."""
    with opened("scarce", hosts=(guide.HOST, SECOND_HOST), vfs=1) as made:
        yield made
