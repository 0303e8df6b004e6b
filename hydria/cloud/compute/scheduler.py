"""Which host gets a server, and for each other host the reason why not. Pure: works on an immutable snapshot.

RAM and vCPUs never rule a host out: a `namespace` server shares the host's kernel and uses what it uses.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from hydria.base.errors import Terminal
from hydria.cloud.compute import extra_specs

SCOPE = "aggregate_instance_extra_specs"
"""Extra specs of this scope and those without scope are asked of aggregates; all others mean something else."""
DEFAULT_ZONE = "nova"


class NoValidHost(Terminal):
    """No host can take the server; the text says for each host why not."""


@dataclass(frozen=True)
class Aggregate:
    name: str
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Capacity:
    """VFs of one physical network on one host."""

    free: int
    total: int
    hindrances: str = ""
    """What else than other ports keeps VFs from being free."""


@dataclass(frozen=True)
class Host:
    name: str
    enabled: bool = True
    aggregates: tuple[Aggregate, ...] = ()
    vfs: Mapping[str, Capacity] = field(default_factory=dict)
    """Physical network → VFs."""
    servers: int = 0
    group_members: int = 0
    """Servers of the requested server group that sit here already."""
    is_near: bool = True
    """All VFs of the request can be on one NUMA node."""

    @property
    def zone(self) -> str:
        zones = (aggregate.metadata.get("availability_zone") for aggregate in self.aggregates)
        return next((zone for zone in zones if zone), DEFAULT_ZONE)


@dataclass(frozen=True)
class Request:
    extra_specs: Mapping[str, str] = field(default_factory=dict)
    physical_networks: tuple[str, ...] = ()
    """One entry per direct port: two ports on one network need two VFs."""
    zone: str | None = None
    host: str | None = None
    """An administrator's choice (`availability_zone=zone:host`); as in Nova only the VFs still count then."""
    group_policy: str | None = None
    group_hosts: frozenset[str] = frozenset()
    """Hosts of the group's servers."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Hosts on which it has been tried already, and why that failed."""


def choose(request: Request, hosts: tuple[Host, ...]) -> Host:
    """The best host. Raises NoValidHost."""
    refused = {host.name: next(_reasons(request, host), None) for host in hosts}
    candidates = [host for host in hosts if refused[host.name] is None]
    if not candidates:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(refused.items())) or "there are no hosts"
        raise NoValidHost(f"No valid host was found. {reasons}")
    return min(candidates, key=lambda host: _weight(request, host))


def _weight(request: Request, host: Host) -> tuple[int, bool, int, int, str]:
    """Smaller is better: the group's wish, near VFs, many free VFs, few servers; the name makes it deterministic."""
    wish = {"soft-affinity": -host.group_members, "soft-anti-affinity": host.group_members}
    free = sum(host.vfs[network].free for network in set(request.physical_networks) if network in host.vfs)
    return wish.get(request.group_policy or "", 0), not host.is_near, -free, host.servers, host.name


def _reasons(request: Request, host: Host) -> Iterator[str]:
    """Why `host` can't take the server, the plainest reason first; nothing when it can."""
    if host.name in request.refused:
        yield request.refused[host.name].rstrip(".")
    if request.host is None:
        if not host.enabled:
            yield "compute service is disabled"
        if request.zone is not None and request.zone != host.zone:
            yield f"is in availability zone {host.zone}, not {request.zone}"
        yield from _aggregate_reasons(request.extra_specs, host.aggregates)
        yield from _group_reasons(request, host)
    elif request.host != host.name:
        yield f"host {request.host} was asked for"
    for network, needed in sorted(Counter(request.physical_networks).items()):
        yield from _vf_reasons(network, needed, host.vfs.get(network))


def _aggregate_reasons(specs: Mapping[str, str], aggregates: tuple[Aggregate, ...]) -> Iterator[str]:
    for name, requirement in sorted(specs.items()):
        scope, separator, rest = name.partition(":")
        if separator and scope != SCOPE:
            continue
        key = rest if separator else name
        values = {
            value.strip()
            for aggregate in aggregates
            if key in aggregate.metadata
            for value in aggregate.metadata[key].split(",")
        }
        if not values:
            names = ", ".join(aggregate.name for aggregate in aggregates) or "none"
            yield f"aggregate property {key}={requirement} is missing (aggregates: {names})"
        elif not any(extra_specs.match(value, requirement) for value in values):
            yield f"aggregate property {key}={requirement} is not met (it is {', '.join(sorted(values))})"


def _group_reasons(request: Request, host: Host) -> Iterator[str]:
    if request.group_policy == "anti-affinity" and host.group_members:
        yield "server group with policy anti-affinity has a server here already"
    if request.group_policy == "affinity" and request.group_hosts and not host.group_members:
        yield "server group with policy affinity has its servers elsewhere"


def _vf_reasons(network: str, needed: int, capacity: Capacity | None) -> Iterator[str]:
    if capacity is None or capacity.total == 0:
        yield f"no VFs on physical network {network}"
    elif capacity.free < needed:
        suffix = f", {needed} needed" if needed > 1 else ""
        suffix += f" ({capacity.hindrances})" if capacity.hindrances else ""
        yield f"{capacity.free} of {capacity.total} VFs free on physical network {network}{suffix}"
