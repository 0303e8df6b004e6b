"""Security groups of a FakeCloud: rules that exist once, groups that stay while a port has them."""

import itertools
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from hydria.base.errors import Retryable, Terminal, not_found
from hydria.drivers.cloud import Port, SecurityGroup, SecurityGroupRule
from hydria.drivers.interruptions import Interruptions

DEFAULT = "default"
"""Id of the group that a port gets whose request names none."""


@dataclass
class _Group:
    name: str
    number: int
    rules: dict[str, SecurityGroupRule] = field(default_factory=dict)


class FakeSecurityGroups:
    """The part of FakeCloud that has to do with them."""

    interruptions: Interruptions
    ports: dict[str, Port]
    existing: set[tuple[str, str]]
    _lock: threading.RLock

    def __init__(self) -> None:
        self.security_groups: dict[str, _Group] = {}
        self.most_security_groups = 1000
        """Quota."""
        self._group_numbers = itertools.count()

    def find_security_groups(self, name: str) -> tuple[SecurityGroup, ...]:
        with self.interruptions.call("find_security_groups"), self._lock:
            found = [(id_, group) for id_, group in self.security_groups.items() if group.name == name]
            found.sort(key=lambda item: item[1].number)
            return tuple(SecurityGroup(id=id_, rules=dict(group.rules)) for id_, group in found)

    def create_security_group(self, name: str) -> SecurityGroup:
        with self.interruptions.call("create_security_group"), self._lock:
            if len(self.security_groups) >= self.most_security_groups:
                raise Terminal("Quota exceeded for resources: ['security_group'].")
            id_ = str(uuid.uuid4())
            group = _Group(name, next(self._group_numbers))
            for ethertype in ("IPv4", "IPv6"):
                group.rules[str(uuid.uuid4())] = SecurityGroupRule(direction="egress", ethertype=ethertype)
            self.security_groups[id_] = group
            return SecurityGroup(id=id_, rules=dict(group.rules))

    def add_security_group_rules(self, group_id: str, rules: Sequence[SecurityGroupRule]) -> None:
        with self.interruptions.call("add_security_group_rules"), self._lock:
            group = self.security_groups.get(group_id)
            if group is None:
                raise Retryable(f"Security group {group_id} does not exist")
            if set(rules) & set(group.rules.values()) or len(set(rules)) < len(rules):
                raise Retryable("Security group rule already exists.")
            group.rules |= {str(uuid.uuid4()): rule for rule in rules}

    def remove_security_group_rule(self, rule_id: str) -> None:
        with self.interruptions.call("remove_security_group_rule"), self._lock:
            for group in self.security_groups.values():
                group.rules.pop(rule_id, None)

    def delete_security_group(self, group_id: str) -> None:
        with self.interruptions.call("delete_security_group"), self._lock:
            if any(group_id in port.security_groups for port in self.ports.values()):
                raise Retryable(f"Security Group {group_id} in use.")
            self.security_groups.pop(group_id, None)

    def set_security_groups(self, port_id: str, group_ids: Sequence[str]) -> None:
        with self.interruptions.call("set_security_groups"), self._lock:
            port = self.ports.get(port_id)
            if port is None:
                raise not_found("Port", port_id)
            if group_ids and not port.port_security:
                raise Terminal("Port Security must be enabled in order to have security groups.")
            self._check_groups(group_ids)
            self.ports[port_id] = msgspec.structs.replace(port, security_groups=tuple(group_ids))

    def _check_groups(self, group_ids: Sequence[str]) -> None:
        for id_ in group_ids:
            if id_ not in self.security_groups and ("security-groups", id_) not in self.existing:
                raise not_found("Security group", id_)
