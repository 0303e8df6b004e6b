"""What Prometheus is told."""

import socket
import urllib.request

import pytest
from controller_world import Mouth, World

from hydria.base.errors import HydriaError
from hydria.controller.metrics import Metrics
from hydria.model.heartbeat import NicCounters


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def metrics(world: World) -> Metrics:
    metrics = world.outside.metrics
    metrics.watch(world.database, world.vitals)
    return metrics


def test_counters_links_and_ages_of_every_nic(world: World, metrics: Metrics) -> None:
    lb = world.load_balancer()
    world.run()
    mouth = Mouth(world, lb.id)
    whose = {"load_balancer_id": lb.id, "amphora_id": mouth.amphora_id}
    nic = NicCounters(name="eth1", carrier=False, rx_bytes=1, tx_bytes=2, rx_packets=3, tx_packets=4, rx_dropped=5)
    mouth.speak(nics={"fa:16:3e:00:00:01": nic, "fa:16:3e:00:00:02": NicCounters(name="eth2", tx_errors=7)})
    world.now += 5
    value = metrics.registry.get_sample_value
    vip, member = ({**whose, "mac": f"fa:16:3e:00:00:0{number}", "interface": f"eth{number}"} for number in (1, 2))
    assert [value(f"hydria_amphora_nic_{name}_total", vip) for name in ("rx_bytes", "tx_bytes", "rx_dropped")] == [
        1, 2, 5,
    ]  # fmt: skip
    assert value("hydria_amphora_nic_tx_errors_total", member) == 7
    assert (value("hydria_amphora_nic_link", vip), value("hydria_amphora_nic_link", member)) == (0, 1)
    assert value("hydria_amphora_heartbeat_age_seconds", whose) == pytest.approx(5, abs=0.1)


def test_amphorae_by_status_and_reconciles_by_result(world: World, metrics: Metrics) -> None:
    world.cloud.add_host("host1", public=1)
    world.load_balancer(sriov=True)
    world.load_balancer(sriov=True)
    world.run()
    value = metrics.registry.get_sample_value
    assert value("hydria_amphorae", {"status": "ALLOCATED"}) == 1
    assert value("hydria_amphorae", {"status": "BOOTING"}) == 0
    assert value("hydria_reconcile_seconds_count", {"result": "done"}) == 1
    assert value("hydria_reconcile_seconds_count", {"result": "failed"}) == 1


def test_it_is_served_until_it_is_stopped(metrics: Metrics) -> None:
    port = free_port()
    stop = metrics.serve("127.0.0.1", port)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    assert 'hydria_amphora_replacements_total{cause="link"} 0.0' in text
    assert 'hydria_amphorae{status="ALLOCATED"} 0.0' in text
    with pytest.raises(HydriaError, match=f"127.0.0.1:{port}"):
        metrics.serve("127.0.0.1", port)
    stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
