"""A cloud that is only pretended: whatever id is asked for is there, and what is asked for works at once.

The API's process and the controller's have one each and share no memory, so what is said of an id follows from the id
(noop_ids.py). The controller's remembers what it has made as long as it runs; after a restart its servers and ports are
there as well, without the details that nobody looks at.
"""

import copy
import threading
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from datetime import UTC, datetime
from typing import Literal

import msgspec
from cachetools import LRUCache, TTLCache

from hydria.drivers import noop_ids as ids
from hydria.drivers.cloud import (
    FixedIp,
    Network,
    Port,
    PortRequest,
    SecurityGroup,
    SecurityGroupRule,
    Server,
    ServerRequest,
    Subnet,
)
from hydria.drivers.noop_networks import Supposition

NOTHING_IS_REAL = "no-op drivers: load balancers are pretended, nothing is made and no traffic flows"
_FREE = 1 << 20
"""Addresses in any subnet."""
_MANAGEMENT = "fd00::/64"
_MEMORY = 100_000
_GONE_SECONDS = 600.0
"""For which it is known that something is deleted; nobody asks later."""


class NoopCloud:
    """drivers.cloud.Cloud. Threads share it."""

    instant = True

    def __init__(
        self,
        *,
        memory: int = 0,
        stands: Callable[[str], bool] = lambda _name: False,
        power_off: Callable[[str], None] = lambda _address: None,
    ) -> None:
        """`memory`: how many ports and groups are remembered. `stands`: whether a port of that name, which is not
        remembered, was made by an earlier process. `power_off` is told the address of a server that is deleted.
        """
        self._stands = stands
        self._power_off = power_off
        self._remembers = memory > 0
        self._ports: MutableMapping[str, dict[str, Port]] = LRUCache(max(memory, 1))
        """By name, then by id."""
        self._names: MutableMapping[str, str] = LRUCache(max(memory, 1))
        """Port id → name."""
        self._groups: MutableMapping[str, SecurityGroup] = LRUCache(max(memory, 1))
        """By name."""
        self._gone: MutableMapping[str, None] = TTLCache(_MEMORY, _GONE_SECONDS)
        """Ids of servers, names and ids of ports."""
        self._network_names: dict[str, str] = {}
        """Id → name, of those that were asked for by name: the controller's configuration names them."""
        self._told = Supposition()
        self._lock = threading.RLock()

    def seen_by(self, token: str) -> "NoopCloud":  # noqa: ARG002 - everybody sees everything
        return self

    def supposing(self, network_id: str | None, port_id: str | None, fixed_ips: Sequence[FixedIp]) -> "NoopCloud":
        view = copy.copy(self)
        view._told = Supposition(network_id, port_id, tuple(fixed_ips))  # noqa: SLF001 - a copy of ourselves
        return view

    # Networks.

    def network(self, id_or_name: str) -> Network | None:
        if ids.is_id(id_or_name):
            return self._told.network(id_or_name, self._network_names.get(id_or_name, ""))
        id_ = ids.id_of("network", id_or_name)
        self._network_names[id_] = id_or_name
        return self._told.network(id_, id_or_name)

    def subnet(self, subnet_id: str) -> Subnet | None:
        return self._told.subnet(subnet_id)

    def free_addresses(self, network_id: str) -> Mapping[str, int]:
        return dict.fromkeys(self._told.network(network_id, "").subnets, _FREE)

    def port(self, port_id: str) -> Port | None:
        with self._lock:
            if port_id in self._gone:
                return None
            made = self._ports.get(self._names.get(port_id, ""), {}).get(port_id)
        return made or self._told.port(port_id)

    def find_ports(self, **filters: str | Sequence[str]) -> tuple[Port, ...]:
        """By name only."""
        wanted = filters.get("name", ())
        found: list[Port] = []
        with self._lock:
            for name in (wanted,) if isinstance(wanted, str) else wanted:
                if name in self._ports:
                    found += self._ports[name].values()
                elif name not in self._gone and self._stands(name):
                    found.append(self._told.port(ids.id_of("port", name), name=name))
        return tuple(found)

    def create_port(self, request: PortRequest) -> Port:
        id_ = ids.id_of("port", request.name, request.network_id, request.vnic_type)
        port = Port(
            id=id_,
            network_id=request.network_id,
            name=request.name,
            mac_address=ids.mac_of(id_),
            fixed_ips=tuple(self._told.addressed(fixed, id_) for fixed in request.fixed_ips),
            vnic_type=request.vnic_type,
            device_id=request.device_id,
            device_owner=request.device_owner,
            project_id=request.project_id,
            qos_policy_id=request.qos_policy_id,
            allowed_addresses=request.allowed_addresses,
            trusted=request.trusted,
            port_security=request.port_security,
            security_groups=request.security_groups or (),
            created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
        )
        if self._remembers:
            with self._lock:
                self._ports.setdefault(request.name, {})[id_] = port
                self._names[id_] = request.name
                self._gone.pop(request.name, None)
                self._gone.pop(id_, None)
        return port

    def set_allowed_addresses(self, port_id: str, addresses: Sequence[str]) -> None:
        self._change(port_id, allowed_addresses=tuple(addresses))

    def set_security_groups(self, port_id: str, group_ids: Sequence[str]) -> None:
        self._change(port_id, security_groups=tuple(group_ids))

    def delete_port(self, port_id: str) -> None:
        with self._lock:
            name = self._names.pop(port_id, "")
            others = self._ports.get(name, {})
            others.pop(port_id, None)
            if name and not others:
                self._ports.pop(name, None)
                self._gone[name] = None
            self._gone[port_id] = None

    # Security groups and policies.

    def find_security_groups(self, name: str) -> tuple[SecurityGroup, ...]:
        with self._lock:
            group = self._groups.get(name)
        return () if group is None else (group,)

    def create_security_group(self, name: str) -> SecurityGroup:
        group = SecurityGroup(id=ids.id_of("group", name))
        with self._lock:
            self._names[group.id] = name
            self._groups[name] = group
        return group

    def add_security_group_rules(self, group_id: str, rules: Sequence[SecurityGroupRule]) -> None:
        with self._lock:
            group = self._groups.get(self._names.get(group_id, ""))
            if group is not None:
                added = {f"{group_id}/{ids.id_of('rule', repr(rule))}": rule for rule in rules}
                self._groups[self._names[group_id]] = SecurityGroup(id=group_id, rules={**group.rules, **added})

    def remove_security_group_rule(self, rule_id: str) -> None:
        with self._lock:
            group = self._groups.get(self._names.get(rule_id.partition("/")[0], ""))
            if group is not None:
                rules = {id_: rule for id_, rule in group.rules.items() if id_ != rule_id}
                self._groups[self._names[group.id]] = SecurityGroup(id=group.id, rules=rules)

    def delete_security_group(self, group_id: str) -> None:
        with self._lock:
            self._groups.pop(self._names.pop(group_id, ""), None)

    def ensure_rate_policy(self, name: str, *, min_mbps: int, max_mbps: int) -> str:
        return ids.id_of("policy", name, str(min_mbps), str(max_mbps))

    def exists(self, kind: Literal["qos-policies", "security-groups"], id_: str) -> bool:  # noqa: ARG002
        return True

    # Servers.

    def find_servers(self, name: str) -> tuple[Server, ...]:
        """Nobody looks for one by its name who knows its id; so one that is not known was never made."""
        id_ = ids.id_of("server", name)
        with self._lock:
            there = self._names.get(id_) == name
        return (Server(id=id_, name=name, status="ACTIVE"),) if there else ()

    def server(self, server_id: str) -> Server | None:
        with self._lock:
            if server_id in self._gone:
                return None
            return Server(id=server_id, name=self._names.get(server_id, ""), status="ACTIVE")

    def create_server(self, request: ServerRequest) -> Server:
        id_ = ids.id_of("server", request.name)
        with self._lock:
            self._names[id_] = request.name
            self._gone.pop(id_, None)
        for port_id in request.ports:
            self.attach_port(id_, port_id)
        return Server(
            id=id_,
            name=request.name,
            status="ACTIVE",
            addresses={
                self._network_names.get(network, ""): [_management_address(id_)] for network in request.networks
            },
            flavor=request.flavor,
            vcpus=1,
            image_id=request.image_id,
            zone=request.availability_zone or "nova",
        )

    def delete_server(self, server_id: str) -> None:
        with self._lock:
            self._names.pop(server_id, None)
            self._gone[server_id] = None
        self._power_off(_management_address(server_id))

    def attach_port(self, server_id: str, port_id: str) -> None:
        self._change(port_id, device_id=server_id, status="ACTIVE")

    def detach_port(self, server_id: str, port_id: str) -> None:  # noqa: ARG002 - a port knows where it is
        self._change(port_id, device_id="", status="DOWN")

    def flavor_exists(self, flavor_id: str) -> bool:  # noqa: ARG002
        return True

    def zone_exists(self, name: str) -> bool:  # noqa: ARG002
        return True

    def image_by_tag(self, tag: str) -> str | None:
        return ids.id_of("image", tag)

    def _change(self, port_id: str, **values: object) -> None:
        with self._lock:
            named = self._ports.get(self._names.get(port_id, ""), {})
            if port_id in named:
                named[port_id] = msgspec.structs.replace(named[port_id], **values)


def _management_address(server_id: str) -> str:
    """No two servers have the same."""
    return ids.address_in(_MANAGEMENT, server_id)
