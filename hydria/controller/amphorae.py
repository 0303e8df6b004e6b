"""Makes sure that a load balancer has its amphora, and replaces one that is to be replaced, for whatever reason.

Whoever sees that an amphora is lost (watch.py, health.py, the API of failover, or a reconcile itself) writes the cause
into its row; what is done about it is decided here alone. One that serves on goes when its successor is ready, any
other goes first. Each step finds what an interrupted one made: the rows say how far it came.
"""

import dataclasses
from collections.abc import Iterable

import msgspec

from hydria.base.errors import RequestError, Retryable, Terminal
from hydria.base.log import Logger
from hydria.controller import desired, names
from hydria.controller.boot import Boot, DidNotBoot, Running
from hydria.controller.leftovers import Sweeper
from hydria.controller.outside import Outside
from hydria.controller.parallel import both
from hydria.controller.security_groups import ensure_security_groups
from hydria.controller.servers import why_dead
from hydria.drivers.cloud import Port, Server
from hydria.model.amphora import Amphora, Replacement
from hydria.model.graph import Graph
from hydria.model.spec import VIP_INTERFACE, Observed
from hydria.model.status import AmphoraStatus
from hydria.store import amphorae, events
from hydria.store.database import Database

_FIRST_RETRY, _LONGEST_RETRY = 5.0, 300.0
_LINK_POLL = 0.1
_LINK_SECONDS = 15.0
"""For a link to come up: igbvf looks every 2 s, and was seen to need 9 s on a busy machine. The old one serves on."""
_USELESS = (AmphoraStatus.PENDING_DELETE, AmphoraStatus.ERROR)

log = Logger(__name__)


class Amphorae:
    def __init__(self, outside: Outside, database: Database, sweeper: Sweeper) -> None:
        self._outside = outside
        self._cloud = outside.cloud
        self._database = database
        self._boot = Boot(outside, database, sweeper)
        self._tries: dict[str, tuple[int, float]] = {}
        """Amphora that cannot be replaced yet → attempts in vain, and when the next one is due."""
        self._failed: dict[str, str] = {}
        """Amphora whose failover has come to nothing → why, until that is told."""

    def ensure(self, graph: Graph) -> Running:
        """The one amphora of a SINGLE load balancer. Raises Terminal when none can be had."""
        rows = []
        for row in graph.amphorae:
            if row.status in _USELESS:
                self.dispose(row)
            else:
                rows.append(self._judged(row))
        for row in rows:
            if row.replace_for is not None and not row.replace_for.serves_on:
                self.dispose(row)
        leaving = [row for row in rows if row.replace_for is not None and row.replace_for.serves_on]
        staying = [row for row in rows if row.replace_for is None]
        staying.sort(key=lambda row: row.status is not AmphoraStatus.ALLOCATED)
        for row in (*staying[1:], *leaving[1:]):
            self.dispose(row)
        if leaving:
            return self._successor(graph, staying[:1], leaving[0])
        return self._first(graph, staying[:1])

    def succeed(self, running: Running, observed: Observed) -> None:
        """`running` has its spec: those before it go, if it is better than they are. Raises Retryable if it is not."""
        if not self._gets_link(running, observed):
            reason = f"Amphora {running.row.id} has no link at its VIP's NIC either."
            for old in running.supersedes:
                self._in_vain(old, reason)
            self.dispose(running.row)
            raise Retryable(reason, after=0)
        for old in running.supersedes:
            with self._database.write() as tx:
                going = amphorae.supersede(tx, old.id, f"Amphora {old.id} is replaced by {running.row.id}.")
            if going:
                self.dispose(old)

    def dispose(self, row: Amphora) -> None:
        """Remove all of it."""
        self._boot.dispose(row)
        self._tries.pop(row.id, None)
        self._failed.pop(row.id, None)
        if row.replace_for is not None:
            log.info("amphora replaced", amphora_id=row.id, cause=row.replace_for)
            self._outside.metrics.replaced(row.replace_for)

    # Why an amphora is to be replaced.

    def _judged(self, row: Amphora) -> Amphora:
        """With the cause that holds now: it may have gone away, or become worse."""
        match row.replace_for:
            case None | Replacement.SERVER:
                return row
            case Replacement.SILENCE:
                return self._asked_silent(row)
            case Replacement.LINK if self._outside.vitals.has_link(row.id):
                return self._withdraw(row, f"Amphora {row.id} has a link again.")
            case Replacement.FAILOVER if self._outside.vitals.lost(row.id) and not self._answers(row):
                # Nobody is served by it: as with any silent one, its VF may be the last one.
                return _with_cause(row, Replacement.SILENCE)
        dead = why_dead(self._server_of(row))
        return row if dead is None else self._lost(row, dead)

    def _asked_silent(self, row: Amphora) -> Amphora:
        if dead := why_dead(self._server_of(row)):
            return self._lost(row, dead)
        try:
            if row.lb_network_ip is not None:
                self._outside.client.info(row.id, row.lb_network_ip)
                return self._withdraw(row, f"Amphora {row.id} answers, although its heartbeats do not arrive.")
        except Retryable as error:
            if wait := self._outside.breaker.wait_time():
                raise Retryable(f"{error.message} Others are being replaced.", after=wait) from error
        return row

    def _answers(self, row: Amphora) -> bool:
        try:
            if row.lb_network_ip is not None:
                self._outside.client.info(row.id, row.lb_network_ip)
                return True
        except Retryable as error:
            log.info("amphora whose failover was asked for is silent", amphora_id=row.id, reason=error)
        return False

    def _lost(self, row: Amphora, why: str) -> Amphora:
        log.warning("amphora lost", amphora_id=row.id, reason=why)
        with self._database.write() as tx:
            reason = f"Amphora {row.id} is replaced: {why}"
            amphorae.ask_replacement(tx, row.id, Replacement.SERVER, reason)
        return _with_cause(row, Replacement.SERVER)

    def _withdraw(self, row: Amphora, reason: str) -> Amphora:
        with self._database.write() as tx:
            if row.replace_for is not None:
                amphorae.withdraw_replacement(tx, row.id, row.replace_for, reason)
        self._tries.pop(row.id, None)
        return _with_cause(row, None)

    # One after the other.

    def _first(self, graph: Graph, rows: Iterable[Amphora]) -> Running:
        """That of `rows`, if it is not lost, else a new one."""
        for row in rows:
            if running := self._existing(graph, row):
                return running
        return self._boot.start(graph, self._boot.insert(graph))

    def _successor(self, graph: Graph, rows: list[Amphora], old: Amphora) -> Running:
        """One to take over from `old`, or `old` itself while there is none to be had."""
        if not rows and (wait := self._wait_time(old)):
            return self._stay(graph, old, wait)
        if old.id not in self._failed:
            try:
                return dataclasses.replace(self._first(graph, rows), supersedes=(old,))
            except (DidNotBoot, Terminal, RequestError) as error:
                self._in_vain(old, error.message)
        return self._stay(graph, old, self._wait_time(old))

    def _wait_time(self, old: Amphora) -> float:
        """Seconds until an attempt at replacing it is due."""
        if old.replace_for is not Replacement.LINK:
            return 0.0
        tries, due = self._tries.get(old.id, (0, 0.0))
        left = due - self._outside.vitals.clock()
        return left if tries and left > 0 else self._outside.link_breaker.wait_time()

    def _in_vain(self, old: Amphora, reason: str) -> None:
        """What somebody asked for has failed, and is not tried again before he asks again; a link is missed on."""
        if old.replace_for is Replacement.FAILOVER:
            self._failed[old.id] = f"Amphora {old.id} serves on, for another could not be had: {reason}"
            return
        tries, _ = self._tries.get(old.id, (0, 0.0))
        delay = min(_LONGEST_RETRY, _FIRST_RETRY * 2.0**tries)
        self._tries[old.id] = (tries + 1, self._outside.vitals.clock() + delay)
        text = f"Amphora {old.id} stays until another can be had: {reason}"
        with self._database.write() as tx:
            events.record(tx, old.loadbalancer_id or "", Amphora, old.id, level="WARNING", reason=text)

    def _stay(self, graph: Graph, old: Amphora, retry: float) -> Running:
        running = self._existing(graph, old)
        if running is None:
            raise Retryable(f"Amphora {old.id} was lost before another took over.", after=0)
        return dataclasses.replace(running, retry=retry or None, stays=self._failed.pop(old.id, None))

    def _gets_link(self, running: Running, observed: Observed) -> bool:
        waited = 0.0
        while not all(nic.carrier for nic in observed.interfaces if nic.name == VIP_INTERFACE):
            if waited >= _LINK_SECONDS:
                return False
            self._outside.pause(_LINK_POLL)
            waited += _LINK_POLL
            observed = self._outside.client.observed(running.row.id, running.address)
        return True

    # An amphora that has been there before.

    def _existing(self, graph: Graph, row: Amphora) -> Running | None:
        """None: it was lost, and is disposed of."""
        server, ports = both(
            lambda: self._server_of(row),
            lambda: self._cloud.find_ports(name=names.amphora_ports(row.id)),
            instant=self._cloud.instant,
        )
        base = next((port for port in ports if port.name == names.base_port(row.id)), None)
        if row.status is not AmphoraStatus.ALLOCATED:
            return self._boot.start(graph, row, base, server)
        lost = why_dead(server) or ("its base port is gone." if base is None else None)
        if lost is None and row.lb_network_ip is None:
            lost = "it has no management address."
        if lost is not None or server is None or base is None or row.lb_network_ip is None:
            self.dispose(self._lost(row, lost or ""))
            return None
        address, port = row.lb_network_ip, base
        (info, observed), _ = both(
            lambda: (self._outside.client.info(row.id, address), self._outside.client.observed(row.id, address)),
            lambda: ensure_security_groups(self._outside, graph, port),
            instant=self._cloud.instant,
        )
        members = tuple(port for port in ports if port.name == names.member_port(row.id))
        nics = {nic.mac_address: nic.name for nic in observed.interfaces}
        self._ensure_allowed_addresses(graph, base)
        return Running(row, server.id, address, info, base, server.vcpus, members, nics)

    def _server_of(self, row: Amphora) -> Server | None:
        if row.compute_id is not None:
            return self._cloud.server(row.compute_id)
        return next(iter(self._cloud.find_servers(names.server(row.id))), None)

    def _ensure_allowed_addresses(self, graph: Graph, base: Port) -> None:
        if not base.port_security:
            return
        wanted = desired.vip_addresses(graph)
        if set(base.allowed_addresses) != set(wanted):
            self._cloud.set_allowed_addresses(base.id, wanted)


def _with_cause(row: Amphora, cause: Replacement | None) -> Amphora:
    return msgspec.structs.replace(row, replace_for=cause)
