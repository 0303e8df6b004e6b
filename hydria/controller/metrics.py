"""What the controller tells Prometheus: amphorae and their NICs as last heard, reconciles, replacements.

A registry of its own: what the library counts of the process by itself comes along only where it is asked for.
"""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hydria.base.errors import HydriaError
from hydria.controller.vitals import Heard, Vitals
from hydria.model.amphora import Amphora, Replacement
from hydria.model.heartbeat import NicCounters
from hydria.model.status import AmphoraStatus
from hydria.store import resources
from hydria.store.database import Database

_COUNTERS = tuple(name for name in NicCounters.__struct_fields__ if name not in ("name", "carrier"))
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = Histogram(
            "hydria_reconcile_seconds",
            "Rounds of reconciling a load balancer, by how they ended: done, gone, again, failed.",
            ["result"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._replacements = Counter(
            "hydria_amphora_replacements_total",
            "Amphorae replaced, by cause.",
            ["cause"],
            registry=self.registry,
        )
        for cause in Replacement:
            self._replacements.labels(cause.lower())

    def reconciled(self, result: str, seconds: float) -> None:
        self._reconciles.labels(result).observe(seconds)

    def replaced(self, cause: Replacement) -> None:
        self._replacements.labels(cause.lower()).inc()

    def watch(self, database: Database, vitals: Vitals) -> None:
        """Tell of these, too, from now on."""
        self.registry.register(_Amphorae(database, vitals))

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """At http://host:port/metrics, from a thread of its own. Gives what ends it."""
        try:
            server, thread = start_http_server(port, host, registry=self.registry)
        except OSError as error:
            raise HydriaError(f"Listening for Prometheus on {host}:{port}: {error}") from error

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join(1.0)

        return stop


class _Amphorae(Collector):
    def __init__(self, database: Database, vitals: Vitals) -> None:
        self._database = database
        self._vitals = vitals

    def collect(self) -> Iterable[Metric]:
        yield self._by_status()
        everybody = self._vitals.everybody()
        yield self._ages(everybody)
        yield from _nics(everybody)

    def _by_status(self) -> Metric:
        with self._database.read() as tx:
            rows = resources.find(tx, Amphora)
        family = GaugeMetricFamily("hydria_amphorae", "Amphorae by status.", labels=["status"])
        for status in AmphoraStatus:
            family.add_metric([status], sum(row.status is status for row in rows))
        return family

    def _ages(self, everybody: Mapping[str, Heard]) -> Metric:
        family = GaugeMetricFamily(
            "hydria_amphora_heartbeat_age_seconds",
            "Since the last heartbeat of an amphora, or since it is expected.",
            labels=["load_balancer_id", "amphora_id"],
        )
        now = self._vitals.clock()
        for amphora_id, heard in everybody.items():
            family.add_metric([heard.load_balancer_id, amphora_id], now - heard.at)
        return family

    def describe(self) -> Iterable[Metric]:
        """Nothing: else registering would ask the database."""
        return ()


def _nics(everybody: Mapping[str, Heard]) -> Iterable[Metric]:
    labels = ["load_balancer_id", "amphora_id", "mac", "interface"]
    link = GaugeMetricFamily("hydria_amphora_nic_link", "1: the NIC of an amphora has a link.", labels=labels)
    counters = [
        CounterMetricFamily(f"hydria_amphora_nic_{name}", f"{_words(name)} by a NIC of an amphora.", labels=labels)
        for name in _COUNTERS
    ]
    for amphora_id, heard in everybody.items():
        for mac, nic in heard.nics.items():
            values = [heard.load_balancer_id, amphora_id, mac, nic.name]
            link.add_metric(values, nic.carrier)
            for name, family in zip(_COUNTERS, counters, strict=True):
                family.add_metric(values, getattr(nic, name))
    return [link, *counters]


def _words(name: str) -> str:
    direction, _, what = name.partition("_")
    return f"{what.capitalize()} {'received' if direction == 'rx' else 'sent'}"
