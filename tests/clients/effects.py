"""A typed command and what it should have done: functions that look at the service and at what was printed."""

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from clients.service import Service

COUNTERS = ("active_connections", "bytes_in", "bytes_out", "request_errors", "total_connections")
Ids = Mapping[str, str]
Effect = Callable[[Service, Ids, str], None]
"""Given the ids of the tree that the command worked on, and what it printed."""


@dataclass(frozen=True)
class Command:
    typed: str
    effect: Effect
    cloud: str = "demo"
    """Who types it."""
    before: str = ""
    """What is typed before, by the administrator."""
    when: Effect | None = None
    """What is waited for before."""

    @property
    def name(self) -> str:
        """The words of it that choose the subcommand."""
        return " ".join(itertools.takewhile(str.isalnum, self.typed.split()))

    def run(self, service: Service) -> None:
        """On a tree of its own."""
        ids = service.tree()
        if self.when:
            self.when(service, ids, "")
        if self.before:
            service.type("admin", self.before, ids)
        self.effect(service, ids, service.type(self.cloud, self.typed, ids))


def shows(path: str, **expected: Any) -> Effect:
    """The resource is so, sooner or later."""

    def look(service: Service, ids: Ids, _printed: str) -> None:
        service.await_shown(path.format(**ids), _filled(expected, ids))

    return look


def made(path: str, key: str = "id", /, **expected: Any) -> Effect:
    """What the command printed is there, so."""

    def look(service: Service, ids: Ids, printed: str) -> None:
        service.await_shown(f"{path.format(**ids)}/{json.loads(printed)[key]}", _filled(expected, ids))

    return look


def named(collection: str, name: str, **expected: Any) -> Effect:
    """The only one of that name is so."""

    def look(service: Service, ids: Ids, _printed: str) -> None:
        found = service.admin.named(collection, name.format(**ids))
        service.await_shown(f"/{collection}/{found['id']}", _filled(expected, ids))

    return look


def gone(path: str) -> Effect:
    def look(service: Service, ids: Ids, _printed: str) -> None:
        service.await_gone(path.format(**ids))

    return look


def prints(**expected: Any) -> Effect:
    """One object."""

    def look(_service: Service, ids: Ids, printed: str) -> None:
        found = json.loads(printed)
        wanted = _filled(expected, ids)
        assert wanted == {key: found.get(key) for key in wanted}

    return look


def prints_counters(path: str) -> Effect:
    """All that the service has, and nothing else."""

    def look(service: Service, ids: Ids, printed: str) -> None:
        counters = service.shown(path.format(**ids))
        assert counters.keys() == set(COUNTERS)
        assert json.loads(printed) == counters

    return look


def lists(**expected: Any) -> Effect:
    """Rows, one of which is so."""

    def look(_service: Service, ids: Ids, printed: str) -> None:
        wanted = _filled(expected, ids)
        assert any(wanted.items() <= row.items() for row in json.loads(printed)), printed

    return look


def replaced(path: str, **expected: Any) -> Effect:
    """The amphora that was there is not, and the load balancer is so."""

    def look(service: Service, ids: Ids, _printed: str) -> None:
        service.await_shown(path.format(**ids), _filled(expected, ids))
        service.await_amphora_replaced(ids["lb"], ids["amphora"])

    return look


def sent_anew(service: Service, ids: Ids, _printed: str = "") -> None:
    """The load balancer has had one more round, for the same amphora."""
    service.await_shown(f"/loadbalancers/{ids['lb']}", {"provisioning_status": "ACTIVE"})
    assert service.generation(ids["lb"]) == int(ids["generation"]) + 1
    assert [one["id"] for one in service.amphorae(ids["lb"])] == [ids["amphora"]]


def is_broken(service: Service, ids: Ids, _printed: str) -> None:
    service.break_amphora(ids["amphora"])


def prints_tree(_service: Service, ids: Ids, printed: str) -> None:
    (listener,) = json.loads(printed)["loadbalancer"]["listeners"]
    assert (listener["id"], listener["operating_status"]) == (ids["listener"], "ONLINE")
    (pool,) = listener["pools"]
    assert (pool["id"], pool["provisioning_status"]) == (ids["pool"], "ACTIVE")
    assert pool["health_monitor"]["id"] == ids["monitor"]
    assert [(member["id"], member["address"]) for member in pool["members"]] == [(ids["member"], "192.0.2.10")]


def _filled(expected: Mapping[str, Any], ids: Ids) -> dict[str, Any]:
    return {key: _filled_one(value, ids) for key, value in expected.items()}


def _filled_one(value: Any, ids: Ids) -> Any:
    if isinstance(value, list):
        return [_filled_one(item, ids) for item in value]
    if isinstance(value, dict):
        return _filled(value, ids)
    return value.format(**ids) if isinstance(value, str) else value
