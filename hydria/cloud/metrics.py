"""What Prometheus is told of hosts, PFs, VFs and servers: made from compute's snapshot of capacity at each scrape."""

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hydria.base import config, log
from hydria.base.errors import HydriaError, Terminal
from hydria.cloud.compute.capacity import STATES, HostCapacity
from hydria.cloud.compute.hosts import Hosts
from hydria.cloud.compute.servers import status
from hydria.sriov.inventory import VfCounters, VfId

logger = log.Logger(__name__)

COUNTERS = {
    "rx_packets": ("hydria_vf_receive_packets", "Packets that the VF has received."),
    "tx_packets": ("hydria_vf_transmit_packets", "Packets that the VF has sent."),
    "rx_bytes": ("hydria_vf_receive_bytes", "Bytes that the VF has received."),
    "tx_bytes": ("hydria_vf_transmit_bytes", "Bytes that the VF has sent."),
    "rx_dropped": ("hydria_vf_receive_drop", "Packets to the VF that the NIC dropped."),
    "tx_dropped": ("hydria_vf_transmit_drop", "Packets of the VF that the NIC dropped."),
    "spoofed": ("hydria_vf_spoofed_packets", "Packets of the VF that the spoof check kept from leaving."),
}
"""Field of VfCounters → metric, which ends in _total, and its help."""

PF_LABELS = ("host", "physical_network", "pf")


class CloudCollector(Collector):
    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def collect(self) -> Iterator[Metric]:
        """NICs that cannot be read leave out their part, and say so: the rest is still true."""
        readable = GaugeMetricFamily("hydria_nics_readable", "Whether the host's NICs could be read for this scrape.")
        try:
            hosts, counters = self._hosts.capacity(), self._hosts.counters()
        except HydriaError as error:
            logger.warning("NICs cannot be read for metrics", reason=error.message)
            readable.add_metric((), 0)
            yield readable
            return
        readable.add_metric((), 1)
        yield readable
        yield from families(hosts, counters)


def families(hosts: Sequence[HostCapacity], counters: Mapping[VfId, VfCounters]) -> Iterator[Metric]:
    """Pure."""
    yield from _pfs(hosts)
    yield from _vf_counters(hosts, counters)
    yield _servers(hosts)


def _pfs(hosts: Sequence[HostCapacity]) -> Iterable[Metric]:
    vfs = GaugeMetricFamily(
        "hydria_vfs",
        "VFs by state: free, claimed by a port, foreign (somebody else's), away (not given back yet).",
        labels=(*PF_LABELS, "state"),
    )
    link = GaugeMetricFamily("hydria_pf_link_up", "Whether the PF is there and has a link.", labels=PF_LABELS)
    speed = GaugeMetricFamily("hydria_pf_speed_bits_per_second", "Of the PF's link.", labels=PF_LABELS)
    for host in hosts:
        for one in host.pfs:
            labels = (host.name, one.pf.physical_network, one.pf.name)
            for state in STATES:
                vfs.add_metric((*labels, state), one.count(state))
            link.add_metric(labels, one.pf.link_up)
            if one.pf.speed is not None:
                speed.add_metric(labels, one.pf.speed * 1_000_000)
    return vfs, link, speed


def _vf_counters(hosts: Sequence[HostCapacity], counters: Mapping[VfId, VfCounters]) -> Iterable[Metric]:
    """What a driver does not count is left out: 0 would be a lie."""
    labels = (*PF_LABELS, "vf", "port_id", "server_id")
    found = {field: CounterMetricFamily(name, text, labels=labels) for field, (name, text) in COUNTERS.items()}
    for host in hosts:
        for one in host.pfs:
            for vf in one.states:
                if (counted := counters.get(vf)) is None:
                    continue
                claim = host.claim(vf)
                of = (claim.id, claim.server_id) if claim else ("", "")
                for field, family in found.items():
                    if (value := getattr(counted, field)) is not None:
                        family.add_metric((host.name, one.pf.physical_network, vf.pf, str(vf.index), *of), value)
    return [family for family in found.values() if family.samples]


def _servers(hosts: Sequence[HostCapacity]) -> Metric:
    family = GaugeMetricFamily("hydria_servers", "Servers by host and status.", labels=("host", "status"))
    for host in hosts:
        for name, count in sorted(Counter(status(server) for server in host.servers).items()):
            family.add_metric((host.name, name), count)
    return family


@contextlib.contextmanager
def serving(metrics: config.Metrics, hosts: Hosts) -> Iterator[int]:
    """GET /metrics on `cloud_port` while in the block; port 0: nowhere. Raises Terminal where the port is taken."""
    if not metrics.cloud_port:
        yield 0
        return
    # Not the library's own registry, which whoever imports the library adds to.
    registry = CollectorRegistry()
    registry.register(CloudCollector(hosts))
    try:
        server, thread = start_http_server(metrics.cloud_port, metrics.bind_host, registry)
    except OSError as error:
        where = f"{metrics.bind_host}:{metrics.cloud_port}"
        raise Terminal(f"Serving metrics on {where} (metrics.cloud_port): {error.strerror or error}") from error
    try:
        yield metrics.cloud_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
