"""What Prometheus reads."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from compute_world import ADMIN, World, until
from prometheus_client.parser import text_string_to_metric_families

from hydria.base.config import Metrics
from hydria.base.errors import Retryable, Terminal
from hydria.cloud import metrics
from hydria.cloud.compute.capacity import STATES
from hydria.sriov.inventory import VfCounters, VfId

Sample = tuple[str, frozenset[tuple[str, str]]]
PUBLIC = {"host": "host1", "physical_network": "public", "pf": "pf-public"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def url(world: World) -> Iterator[str]:
    with metrics.serving(Metrics(cloud_port=free_port()), world.compute.hosts) as port:
        yield f"http://127.0.0.1:{port}/metrics"


def scrape(url: str) -> dict[Sample, float]:
    text = httpx.get(url).text
    families = text_string_to_metric_families(text)
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def of(samples: dict[Sample, float], name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


def test_vfs_by_state(world: World, url: str):
    server_id = world.create(world.flavor(), world.port("public").id)
    until(lambda: world.status(server_id) == "ACTIVE")
    world.nics.foreign[VfId("pf-public", 2)] = "vfio-pci"
    world.nics.held[VfId("pf-public", 3)] = 1
    samples = scrape(url)
    assert [of(samples, "hydria_vfs", **PUBLIC, state=state) for state in STATES] == [1, 1, 1, 1]
    assert of(samples, "hydria_servers", host="host1", status="ACTIVE") == 1
    assert of(samples, "hydria_nics_readable") == 1
    world.nics.held[VfId("pf-public", 3)] = None


def test_link_and_speed(world: World, url: str):
    samples = scrape(url)
    assert of(samples, "hydria_pf_link_up", **PUBLIC) == 1
    assert of(samples, "hydria_pf_speed_bits_per_second", **PUBLIC) == 10_000_000_000
    world.nics.down.add("pf-public")
    samples = scrape(url)
    assert of(samples, "hydria_pf_link_up", **PUBLIC) == 0
    assert of(samples, "hydria_pf_speed_bits_per_second", **PUBLIC) is None


def test_vf_counters_name_port_and_server_and_leave_out_what_is_not_counted(world: World, url: str):
    port = world.port("public")
    server_id = world.create(world.flavor(), port.id)
    until(lambda: world.status(server_id) == "ACTIVE")
    world.nics.counted = {
        VfId("pf-public", 0): VfCounters(rx_packets=5, rx_bytes=500, spoofed=0),
        VfId("pf-public", 1): VfCounters(rx_packets=7),
    }
    samples = scrape(url)
    mine = {**PUBLIC, "vf": "0", "port_id": port.id, "server_id": server_id}
    nobodys = {**PUBLIC, "vf": "1", "port_id": "", "server_id": ""}
    assert of(samples, "hydria_vf_receive_packets_total", **mine) == 5
    assert of(samples, "hydria_vf_receive_bytes_total", **mine) == 500
    assert of(samples, "hydria_vf_spoofed_packets_total", **mine) == 0
    assert of(samples, "hydria_vf_receive_packets_total", **nobodys) == 7
    assert not [name for name, _ in samples if name.startswith("hydria_vf_transmit")]


def test_claims_on_a_pf_that_is_gone_are_still_counted(world: World, url: str):
    server_id = world.create(world.flavor(), world.port("public").id)
    until(lambda: world.status(server_id) == "ACTIVE")
    world.nics.lose_pf("pf-public")
    samples = scrape(url)
    assert of(samples, "hydria_pf_link_up", **PUBLIC) == 0
    assert of(samples, "hydria_vfs", **PUBLIC, state="claimed") == 1
    world.compute.servers.delete(ADMIN, server_id)
    until(lambda: world.claims() == set())
    assert of(scrape(url), "hydria_vfs", **PUBLIC, state="claimed") is None


def test_nics_that_cannot_be_read(world: World, url: str, monkeypatch: pytest.MonkeyPatch):
    def refuse() -> None:
        raise Retryable("Reading NICs: no answer")

    world.compute.hosts.saw(world.nics.scan())
    monkeypatch.setattr(world.nics, "scan", refuse)
    assert of(scrape(url), "hydria_vfs", **PUBLIC, state="free") == 4, "as they were seen last"
    monkeypatch.setattr(world.nics, "counters", refuse)
    assert scrape(url) == {("hydria_nics_readable", frozenset()): 0}


def test_port_0_serves_nothing(world: World):
    with metrics.serving(Metrics(), world.compute.hosts) as port:
        assert port == 0


def test_port_that_is_taken_is_named(world: World):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = int(listener.getsockname()[1])
        with (
            pytest.raises(Terminal, match=f"127.0.0.1:{taken}"),
            metrics.serving(Metrics(cloud_port=taken), world.compute.hosts),
        ):
            pass
