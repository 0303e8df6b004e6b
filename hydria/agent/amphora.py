"""Makes the amphora what a spec says: the order of the steps, each of which may run twice.

What cannot be made so becomes a Fault and never stops the rest.
"""

import contextlib
import grp
import os
import pwd
import resource
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from msgspec import Struct

from hydria.agent import addresses, firewall, haproxy, links
from hydria.agent.advertise import advertise
from hydria.agent.namespace import Namespace
from hydria.agent.netlink import Link, Netlink
from hydria.agent.state import State
from hydria.agent.statistics import Traffic
from hydria.base import log
from hydria.base.errors import Conflict, HydriaError, Invalid
from hydria.model.spec import AgentConfig, Fault, Interface, ListenerSpec, Observed, ObservedInterface, Spec
from hydria.render.haproxy.config import Surroundings, render, served_listeners, unsupported
from hydria.render.nftables import union

logger = log.Logger(__name__)

DRAIN_SECONDS = 5.0
"""How long a NIC that the spec does not name any more is kept for what old workers of HAProxy still send through it."""
NIC_TIMEOUT = 5.0
"""How long a spec waits for a NIC that the hypervisor is just plugging."""
_CAP_SYS_CHROOT = 18


class Counters(Struct, kw_only=True):
    reloads: int = 0


class Amphora:
    """One apply at a time; reading what is takes no lock."""

    def __init__(self, config: AgentConfig, namespace: Namespace, state: State) -> None:
        run_dir = Path(config.run_dir)
        run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.id = config.amphora_id
        self.namespace = namespace
        self.haproxy = haproxy.Haproxy(namespace, run_dir)
        self.traffic = Traffic(self.haproxy, state)
        self.spec: Spec | None = None
        self.faults: tuple[Fault, ...] = ()
        self.nics: frozenset[str] = frozenset()
        """MAC addresses of the spec's NICs: one of them that is seen outside the namespace was just plugged."""
        self.changed = threading.Event()
        """Set by every apply, and when a link comes or goes; who reports the amphora's health clears it."""
        self.applied = threading.Event()
        """Set for good by the first apply: from then on there is a namespace."""
        self._state = state
        self._counters = state.load("counters", Counters) or Counters()
        self._served: tuple[ListenerSpec, ...] = ()
        """What the running HAProxy listens for."""
        self._run_dir = run_dir
        self._lock = threading.Lock()

    def restore(self) -> None:
        """Apply the last good spec again, after a restart of the agent or of the amphora."""
        spec = self._state.load_spec()
        with self._lock:
            # A controller that was faster knows better.
            if spec is not None and spec.amphora_id == self.id and self.spec is None:
                self._served = served_listeners(spec)
                self._apply(spec, 0)

    def apply(self, spec: Spec) -> Observed:
        """Raises Invalid, or Conflict for a spec that is older than the last one."""
        if spec.amphora_id != self.id:
            raise Invalid(f"Spec for amphora {spec.amphora_id}: this is {self.id}", field="amphora_id")
        with self._lock:
            last = self.spec or self._state.load_spec()
            if last is not None and last.amphora_id == self.id and spec.generation < last.generation:
                raise Conflict(f"Spec of generation {spec.generation}: generation {last.generation} is applied")
            if self.spec is None and last is not None and self.haproxy.pid() is not None:
                self._served = served_listeners(last)
            self._apply(spec, NIC_TIMEOUT)
            return self.observed()

    def apply_again(self) -> None:
        """Something was seen that is not as it should be."""
        with self._lock:
            if self.spec is not None:
                self._apply(self.spec, 0)

    def links_came_up(self, macs: Collection[str]) -> None:
        """What was sent before went nowhere: a VF of an igb has no link for seconds after it was brought up."""
        with self._lock:
            spec = self.spec
        if spec is not None:
            with self.namespace.inside(Netlink) as inside:
                found = {link.mac: link for link in inside.links() if link.mac in macs}
            nics = {nic.port_id: found[nic.mac_address.lower()] for nic in _of(spec.interfaces, found)}
            self._advertise_all(spec.interfaces, nics)

    def observed(self) -> Observed:
        spec = self.spec
        return Observed(
            amphora_id=self.id,
            generation=None if spec is None else spec.generation,
            interfaces=() if spec is None else tuple(self._interfaces()),
            faults=self.faults,
            reloads=self._counters.reloads,
        )

    def _interfaces(self) -> Iterator[ObservedInterface]:
        with self.namespace.inside(Netlink) as inside:
            found = inside.addresses()
            for link in inside.links():
                if not link.is_loopback and link.mac:
                    texts = sorted(map(str, found.get(link.index, ())))
                    yield ObservedInterface(
                        mac_address=link.mac,
                        name=link.name,
                        addresses=tuple(texts),
                        up=link.is_up,
                        carrier=link.has_carrier,
                    )

    def _apply(self, spec: Spec, nic_timeout: float) -> None:
        faults = _Faults(spec)
        for failed in self.namespace.ensure():
            logger.warning("sysctl not set", sysctl=failed)
        faults.found.extend(unsupported(spec))
        listeners = served_listeners(spec)
        # Open before HAProxy listens; a port that it leaves stays open until it has left.
        changeover = union(listeners, self._served)
        protected = False
        with faults.of_load_balancer():
            self._ensure_firewall(changeover, spec.peers)
            protected = True
        interfaces = self._admissible(spec, faults, protected=protected)
        with self.namespace.inside(Netlink) as inside:
            with faults.of_load_balancer():
                self._make_room(inside, spec, interfaces)
            plugged = self._ensure_interfaces(inside, interfaces, faults, nic_timeout)
        with faults.of_load_balancer():
            self._ensure_haproxy(spec)
            self._served = listeners
            if changeover != listeners:
                self._ensure_firewall(listeners, spec.peers)
        with faults.of_load_balancer(), self.namespace.inside(Netlink) as inside:
            self._retire(inside, interfaces, plugged)
        with faults.of_load_balancer():
            self._state.save_spec(spec)
        self._advertise_all(interfaces, plugged)
        self.spec, self.faults = spec, tuple(faults.found)
        self.nics = frozenset(interface.mac_address.lower() for interface in interfaces)
        self.changed.set()
        self.applied.set()
        logger.info("spec applied", generation=spec.generation, faults=len(self.faults))

    def _ensure_firewall(self, listeners: tuple[ListenerSpec, ...], peers: tuple[str, ...]) -> None:
        if firewall.is_available() and firewall.ensure_firewall(self.namespace, listeners, peers):
            logger.info("firewall replaced", listeners=len(listeners))

    def _admissible(self, spec: Spec, faults: "_Faults", *, protected: bool) -> tuple[Interface, ...]:
        """Without a firewall no VF: no security group protects it, so it stays unplugged."""
        if all(interface.vnic_type != "direct" for interface in spec.interfaces):
            return spec.interfaces
        if not firewall.is_available():
            reason = "This amphora's image has no nftables, and no security group protects an SR-IOV port"
        elif not protected and not firewall.is_loaded(self.namespace):
            reason = "The firewall could not be loaded, and no security group protects an SR-IOV port"
        else:
            return spec.interfaces
        refused = [interface for interface in spec.interfaces if interface.vnic_type == "direct"]
        for interface in refused:
            faults.add_interface(interface, reason)
        return tuple(interface for interface in spec.interfaces if interface not in refused)

    def _make_room(self, inside: Netlink, spec: Spec, interfaces: tuple[Interface, ...]) -> None:
        """What must not wait for HAProxy: NICs that are refused, and those whose network another one now leads to."""
        refused = {interface.mac_address.lower() for interface in spec.interfaces if interface not in interfaces}
        for link in links.unwanted_links(inside, interfaces):
            if link.mac in refused or addresses.shares_network(inside, link, interfaces):
                addresses.flush(inside, link)

    def _ensure_interfaces(
        self, inside: Netlink, interfaces: tuple[Interface, ...], faults: "_Faults", timeout: float
    ) -> dict[str, Link]:
        missing = links.wait_for_links(inside, interfaces, timeout)
        for interface in interfaces:
            if interface.mac_address.lower() in missing:
                faults.add_interface(interface, f"There is no NIC with the MAC address {interface.mac_address}")
        for interface in interfaces:
            with faults.of_interface(interface):
                links.bring_in(self.namespace, inside, interface)
        with faults.of_load_balancer():
            links.ensure_loopback(inside)
            links.ensure_names(inside, interfaces)
        found: dict[str, Link] = {}
        for interface in interfaces:
            with faults.of_interface(interface):
                present = links.ensure_up(inside, interface)
                if present is not None:
                    found[interface.port_id] = present
                    addresses.ensure_addresses(inside, present, interface)
        with faults.of_load_balancer():
            addresses.ensure_routes(inside, found, interfaces)
        return found

    def _retire(self, inside: Netlink, interfaces: tuple[Interface, ...], plugged: dict[str, Link]) -> None:
        """What HAProxy now does without, once the requests that are under way there have ended."""
        unwanted = links.unwanted_links(inside, interfaces)
        if any(link.is_up for link in unwanted):
            self.haproxy.await_old_workers(DRAIN_SECONDS)
        for link in unwanted:
            addresses.flush(inside, link)
        addresses.remove_other_routes(inside, plugged, interfaces)

    def _ensure_haproxy(self, spec: Spec) -> None:
        text = render(spec, self._surroundings())
        with contextlib.suppress(haproxy.HaproxyFailed):
            # Its counters end with the worker.
            self.traffic.look()
        if text is None:
            if self.haproxy.stop():
                logger.info("haproxy stopped")
            return
        did = self.haproxy.ensure(text)
        if did == "reloaded":
            self._counters.reloads += 1
            self._state.save("counters", self._counters)
        if did is not None:
            logger.info("haproxy runs with a new configuration", by=did, pid=self.haproxy.pid())

    def _advertise(self, link: Link, vips: tuple[str, ...]) -> None:
        try:
            self.namespace.inside(lambda: advertise(link, vips))
        except (HydriaError, OSError) as error:
            logger.warning("not advertised", interface=link.name, error=error)

    def _advertise_all(self, interfaces: tuple[Interface, ...], found: dict[str, Link]) -> None:
        for interface in interfaces:
            link = found.get(interface.port_id)
            if link is not None and interface.vips:
                # Closing a packet socket costs 10 ms, for which nobody has to wait.
                threading.Thread(target=self._advertise, args=(link, interface.vips), daemon=True).start()

    def _surroundings(self) -> Surroundings:
        user, group = _account()
        _soft, files = resource.getrlimit(resource.RLIMIT_NOFILE)
        return Surroundings(
            stats_socket=str(self.haproxy.stats_socket),
            state_file=str(self.haproxy.state_file),
            user=user,
            group=group,
            chroot=_chroot(self._run_dir),
            descriptors=None if files == resource.RLIM_INFINITY else files,
        )


class _Faults:
    """Turns errors of a block into faults of a resource."""

    def __init__(self, spec: Spec) -> None:
        self.found: list[Fault] = []
        self._load_balancer_id = spec.load_balancer_id

    def add_interface(self, interface: Interface, reason: str) -> None:
        self.found.append(Fault(resource_type="interface", resource_id=interface.port_id, reason=reason))

    @contextlib.contextmanager
    def of_load_balancer(self) -> Iterator[None]:
        try:
            yield
        except (HydriaError, OSError, ValueError) as error:
            logger.warning("spec not applied", error=error)
            fault = Fault(resource_type="loadbalancer", resource_id=self._load_balancer_id, reason=str(error))
            self.found.append(fault)

    @contextlib.contextmanager
    def of_interface(self, interface: Interface) -> Iterator[None]:
        try:
            yield
        except (HydriaError, OSError, ValueError) as error:
            logger.warning("interface not as the spec says", interface=interface.name, error=error)
            self.add_interface(interface, str(error))


def _of(interfaces: tuple[Interface, ...], macs: Collection[str]) -> Iterator[Interface]:
    return (interface for interface in interfaces if interface.mac_address.lower() in macs)


def _account() -> tuple[str, str]:
    """Whom HAProxy's workers run as: its distribution package makes a user of its own."""
    for name in ("haproxy", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return name, grp.getgrgid(user.pw_gid).gr_name
    return "root", "root"


def _chroot(run_dir: Path) -> str | None:
    """An empty directory, if we may."""
    capabilities = next(
        int(line.split()[1], 16)
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("CapEff:")
    )
    if not capabilities >> _CAP_SYS_CHROOT & 1:
        return None
    empty = run_dir / "empty"
    empty.mkdir(exist_ok=True, mode=0o755)
    os.chown(empty, 0, 0)
    return str(empty)
