"""Brings one load balancer to what its graph says. Reads top-down; every step finds what an earlier round made."""

import dataclasses
import time

import msgspec

from hydria.base.errors import RequestError, Retryable, Terminal
from hydria.base.log import Logger
from hydria.controller import desired, nics
from hydria.controller.amphorae import Amphorae
from hydria.controller.boot import Running
from hydria.controller.desired import Nics
from hydria.controller.leftovers import Sweeper, remove_security_groups, remove_vip_port
from hydria.controller.outside import Outside
from hydria.controller.result import Again, Done, Failed, Gone, Result
from hydria.controller.vip import ensure_vip_port
from hydria.model import spec_versions
from hydria.model.graph import Graph, without_deleted
from hydria.model.spec import VIP_INTERFACE, Heartbeats, Observed, Spec
from hydria.model.status import OperatingStatus
from hydria.store.database import Database
from hydria.store.graph import load_graph
from hydria.store.outcome import Outcome

_NIC_SECONDS = 5.0
"""A guest may see a hot-plugged NIC a little after the cloud says it is there."""
_NIC_POLL = 0.1
_NIC_RETRY = 30.0
_LOST_RETRY = 75.0
"""A load balancer that has served and lost its amphora comes back by itself, as after a restart of its only host. One
whose failover came to nothing is in order as it was, once those who wait for it have seen that."""

log = Logger(__name__)


class LoadBalancers:
    def __init__(self, outside: Outside, database: Database, sweeper: Sweeper) -> None:
        self._outside = outside
        self._database = database
        self._sweeper = sweeper
        self._amphorae = Amphorae(outside, database, sweeper)

    def reconcile(self, load_balancer_id: str) -> Result:
        with self._database.read() as tx:
            graph = load_graph(tx, load_balancer_id)
        if graph is None:
            return Gone()
        generation = None if graph.deleting else graph.generation
        try:
            return self._teardown(graph) if graph.deleting else self._converge(without_deleted(graph))
        except Retryable as error:
            return Again(error.message, error.after, generation)
        except (Terminal, RequestError) as error:
            return Again(error.message) if generation is None else Failed(error.message, generation, _comeback(graph))

    def _converge(self, graph: Graph) -> Result:
        graph = ensure_vip_port(self._outside, self._database, graph)
        running = self._amphorae.ensure(graph)
        plugged = nics.plug(self._outside, graph, running)
        spec = self._desired(graph, running, plugged)
        observed = self._apply(running, spec)
        nics.unplug(self._outside, running, plugged.unneeded)
        if running.supersedes:
            self._amphorae.succeed(running, observed)
            # Once more: what its predecessor had is free now, and whoever asked meanwhile was told of the wrong NIC.
            return Again(f"Amphora {running.row.id} has just taken over.", after=0, generation=graph.generation)
        done = _done(graph.generation, spec, observed, plugged, running)
        # Whoever pretends to serve does not begin to serve.
        serves = self._outside.config.drivers.kind != "noop"
        return dataclasses.replace(done, outcome=dataclasses.replace(done.outcome, serves=serves))

    def _desired(self, graph: Graph, running: Running, plugged: nics.Plugged) -> Spec:
        ports = (running.base_port, *plugged.used)
        lookups = self._outside.lookups
        config = self._outside.config.controller
        known = Nics(
            vip=running.base_port,
            members=plugged.used,
            networks=lookups.networks(port.network_id for port in ports),
            subnets=lookups.subnets(ip.subnet_id for port in ports for ip in port.fixed_ips),
            names=running.nic_names,
        )
        heartbeats = Heartbeats(controllers=(config.heartbeat_address,), interval=config.heartbeat_interval)
        return desired.spec(
            graph,
            running.row.id,
            known,
            unserved=plugged.faults,
            heartbeats=heartbeats,
            threads=running.vcpus,
        )

    def _apply(self, running: Running, spec: Spec) -> Observed:
        document = spec_versions.for_agent(spec, running.info.spec_versions)
        deadline = time.monotonic() + _NIC_SECONDS
        while True:
            observed = self._put(running, document)
            if not _interface_faults(observed) or time.monotonic() > deadline:
                break
            self._outside.pause(_NIC_POLL)
        if any(nic.name == VIP_INTERFACE and nic.carrier for nic in observed.interfaces):
            self._outside.vitals.saw_link(running.row.id)
        return msgspec.structs.replace(observed, faults=(*observed.faults, *document.losses))

    def _put(self, running: Running, document: spec_versions.Document) -> Observed:
        try:
            return self._outside.client.put_spec(running.address, document)
        except Terminal as error:
            # An agent may be exchanged in place, after it was asked for its versions and before it was given a spec.
            versions = self._outside.client.info(running.row.id, running.address).spec_versions
            if document.version in versions:
                raise
            raise Retryable(error.message, after=0) from error

    def _teardown(self, graph: Graph) -> Gone:
        """The server first, so that nothing listens any more, then what it used, the VIP last."""
        lb = graph.load_balancer
        for row in graph.amphorae:
            self._amphorae.dispose(row)
        if lb.vip_port_owned:
            remove_vip_port(self._outside, lb.id, lb.vip_port_id)
            self._sweeper.vip_port_removed(lb.id)
        if lb.vip_vnic_type == "normal":
            remove_security_groups(self._outside, lb.id)
            self._sweeper.security_groups_removed(lb.id)
        return Gone()


def _comeback(graph: Graph) -> float | None:
    """One that never served waits for its user: what comes free meanwhile goes to whoever asks."""
    return None if graph.load_balancer.operating_status is OperatingStatus.OFFLINE else _LOST_RETRY


def _done(generation: int, spec: Spec, observed: Observed, plugged: nics.Plugged, running: Running) -> Done:
    """What the amphora could not do, said of the resources that suffer from it."""
    faults = dict(plugged.faults)
    load_balancer_fault = running.stays
    vip, *others = spec.interfaces
    networks = {nic.port_id: nic.network_id for nic in others}
    for fault in observed.faults:
        if fault.resource_type == "loadbalancer" or fault.resource_id == vip.port_id:
            load_balancer_fault = fault.reason
        elif fault.resource_type == "interface":
            faults |= dict.fromkeys(plugged.served.get(networks.get(fault.resource_id, ""), ()), fault.reason)
        else:
            faults[fault.resource_id] = fault.reason
    delays = [_NIC_RETRY] if _interface_faults(observed) else []
    delays += [] if running.retry is None else [running.retry]
    delays += [] if running.stays is None else [_LOST_RETRY]
    outcome = Outcome(generation, faults, load_balancer_fault, stays=running.row.id if running.stays else None)
    return Done(outcome, min(delays, default=None))


def _interface_faults(observed: Observed) -> bool:
    return any(fault.resource_type == "interface" for fault in observed.faults)
