"""Networks that users make without saying where: VLANs of the configured physical network."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from cloud_networking import API
from running_cloud import make_config

from hydria.cloud.context import CLOUD, Context
from hydria.cloud.database import Database
from hydria.cloud.network.errors import NoNetworkAvailable
from hydria.cloud.network.networks import VLANS
from hydria.cloud.network.service import Network

USER = Context(user_id="u", project_id="p", roles=frozenset({"member"}))
LAST = VLANS[-1]


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    config = make_config(tmp_path)
    config = msgspec.structs.replace(
        config, cloud=msgspec.structs.replace(config.cloud, tenant_physical_network="members")
    )
    database = Database(config.cloud.database_url)
    database.create_tables()
    yield Network(config, database)
    database.close()


def places(network: Network) -> list[tuple[str, str | None, int | None]]:
    with network.database.read() as connection:
        rows = network.networks.rows.select(connection)
    return [(row.network_type, row.physical_network, row.segmentation_id) for row in rows]


def vlan(physical_network: str, number: int) -> dict[str, Any]:
    return {
        "project_id": "p",
        "provider:network_type": "vlan",
        "provider:physical_network": physical_network,
        "provider:segmentation_id": number,
    }


def made(network: Network, context: Context) -> int | None:
    return network.networks.create(context, {"name": "n"}).segmentation_id


def test_a_users_network_gets_the_highest_vlan_that_is_free(network: Network):
    network.networks.create(CLOUD, vlan("members", LAST - 1))
    network.networks.create(CLOUD, vlan("public", LAST))
    assert [made(network, USER), made(network, USER)] == [LAST, LAST - 2]
    assert places(network).count(("vlan", "members", LAST)) == 1


def test_none_is_left(network: Network, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("hydria.cloud.network.networks.VLANS", range(1, 3))
    assert {made(network, USER), made(network, USER)} == {1, 2}
    with pytest.raises(NoNetworkAvailable):
        made(network, USER)
    assert len(places(network)) == 2


def test_there_are_no_subnet_pools(demo: httpx.Client):
    answer = demo.get(f"{API}/subnetpools", params={"name": "default"})
    assert (answer.status_code, answer.json()) == (200, {"subnetpools": []})
