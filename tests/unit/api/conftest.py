"""An API for each test; what makes it stands in api_world.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_world import ACTIONS, NOBODY, World, a_world, served

from hydria.api.policy import Policy
from hydria.base.config import Api
from hydria.store.database import Database


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture(scope="session")
def default_policy() -> Policy:
    return Policy()


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("api") / "empty.db"
    database = Database(f"sqlite:///{path}")
    database.migrate()
    database.close()
    return path


@pytest.fixture
def world(tmp_path: Path, empty_database: Path, default_policy: Policy, api: Api) -> Iterator[World]:
    with a_world(tmp_path, empty_database, default_policy, api) as made:
        yield made


@pytest.fixture(scope="module")
def shared_world(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, default_policy: Policy
) -> Iterator[World]:
    """For modules whose tests leave it as it is."""
    with a_world(tmp_path_factory.mktemp("shared"), empty_database, default_policy, Api()) as made:
        yield made


@pytest.fixture(scope="module")
def there(shared_world: World) -> dict[str, str]:
    """A load balancer with one of everything, and a second one."""
    world = shared_world
    lb = world.load_balancer(name="lb1")
    pool = world.pool(lb, name="pool1")
    listener = world.listener(lb, default_pool_id=pool["id"])
    member = world.member(pool)
    monitor = world.monitor(pool)
    plain = world.flavor("{}", name="plain")
    return {
        "lb": lb["id"],
        "pool": pool["id"],
        "tcp_pool": world.pool(lb, protocol="TCP")["id"],
        "listener": listener["id"],
        "member": member["id"],
        "monitor": monitor["id"],
        "flavor": plain["id"],
        "profile": plain["flavor_profile_id"],
        "direct": world.flavor('{"sriov_vip": true}', name="direct")["id"],
        "disabled": world.flavor("{}", name="disabled", enabled=False)["id"],
        "other_pool": world.pool(world.load_balancer())["id"],
        "public": world.public,
        "public6": world.public6,
        "members": world.members,
        "network": world.cloud.network("public").id,
        "nobody": NOBODY,
        "taken": lb["vip_address"],
        "port": lb["vip_port_id"],
    }


@pytest.fixture(scope="module")
def l7_served() -> Iterator[None]:
    """L7 policies are taken."""
    with served("L7 policies", *ACTIONS):
        yield
