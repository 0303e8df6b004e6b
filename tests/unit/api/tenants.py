"""Several projects and an administrator do at random what the API offers; a controller settles it at random.

Whoever chooses is handed in: Hypothesis, one step after the other, or the dice of several threads at once.
"""

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from api_world import PROVISIONED, World
from tenants_quotas import Asked, Rows, batch, parts

from hydria.model.graph import Graph
from hydria.store import graph
from hydria.store.outcome import Outcome, settle, settle_deleted
from hydria.store.queue import Claim

T = TypeVar("T")
Row = dict[str, Any]

CALLERS = ("demo", "other", "admin")
_SINGULAR = {
    "load_balancer": "loadbalancer",
    "listener": "listener",
    "pool": "pool",
    "l7policy": "l7policy",
    "l7rule": "rule",
    "member": "member",
    "health_monitor": "healthmonitor",
}


class Pick(Protocol):
    def __call__(self, choices: Sequence[T]) -> T: ...


_KEYS = {
    **dict.fromkeys(PROVISIONED, "id"),
    "quota": "project_id",
    "availability_zone": "name",
    "availability_zone_profile": "id",
    "dirty": "load_balancer_id",
}


def snapshot(world: World) -> Rows:
    with world.services.database.read() as tx:
        return {
            name: {row[key]: dict(row) for row in tx.connection.exec_driver_sql(f"SELECT * FROM {name}").mappings()}  # noqa: S608
            for name, key in _KEYS.items()
        }


def path_of(table: str, row: Row) -> str:
    match table:
        case "load_balancer":
            return f"/loadbalancers/{row['id']}"
        case "member":
            return f"/pools/{row['pool_id']}/members/{row['id']}"
        case "l7rule":
            return f"/l7policies/{row['l7policy_id']}/rules/{row['id']}"
        case "l7policy":
            return f"/l7policies/{row['id']}"
    return f"/{_SINGULAR[table]}s/{row['id']}"


class Tenants:
    """One step each: what was asked, of whose, and what the API said."""

    def __init__(self, world: World, pick: Pick) -> None:
        self._world = world
        self._pick = pick
        self._strays = False
        self.asked: Asked | None = None
        """What the last request would add; None: nothing."""
        self.again: Callable[[], Any] = lambda: None
        """The last request once more, as it was."""
        self.creating: Mapping[str, Callable[[str], Any]] = {
            "load_balancer": self.create_load_balancer,
            "graph": self.create_graph,
            "listener": self.create_listener,
            "pool": self.create_pool,
            "member": self.create_member,
            "batch": self.replace_members,
            "health_monitor": self.create_monitor,
            "l7policy": self.create_policy,
            "l7rule": self.create_rule,
        }
        self.steps: tuple[Callable[[str], Any], ...] = (
            *self.creating.values(),
            self.create_policy,
            self.update,
            self.update,
            self.delete,
            self.delete,
            lambda who: self._delete("l7policy", who),
        )

    def step(self, who: str) -> Any:
        """None: there was nothing to do it to."""
        self._strays = self._pick((True, False, False))
        return self._pick(self.steps)(who)

    def create(self, what: str, who: str) -> Any:
        """Of what is one's own."""
        self._strays = False
        return self.creating[what](who)

    def create_load_balancer(self, who: str) -> Any:
        return self._create(who, {"name": self._pick(("", "a", "b"))})

    def create_graph(self, who: str) -> Any:
        """A load balancer with all that can be below it, wherever in the body."""
        members = [{"address": f"192.0.2.{number}", "protocol_port": 80} for number in (1, 2)]
        pool = {"protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN", "members": members}
        rule = {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}
        redirect = {"action": "REDIRECT_TO_POOL", "redirect_pool": {"name": "p2"}, "rules": [rule]}
        listener = {"protocol": "HTTP", "protocol_port": 80, "default_pool": {"name": "p1"}}
        listener["l7policies"] = [{"action": "REJECT", "position": self._pick((1, 5))}, redirect]
        pools = [{**pool, "name": "p1", "healthmonitor": self._monitor()}, {**pool, "name": "p2"}]
        if self._pick((True, False, False)):
            listener["default_pool"] = pools.pop(0)
        return self._create(who, {"listeners": [listener], "pools": pools})

    def _create(self, who: str, body: Row) -> Any:
        whose = {"project_id": self._pick(("demo", "other"))} if who == "admin" else {}
        zones = snapshot(self._world)["availability_zone"]
        zone = self._pick((None, None, None, "nowhere", *2 * sorted(zones)))
        body = {"vip_subnet_id": self._world.public, "availability_zone": zone, **whose, **body}
        fits = zone is None or self._fits(zone)
        answer = self._post("/loadbalancers", {"loadbalancer": body}, who)
        assert answer.status_code in ((201, 403) if fits else (400,)), answer.text
        return answer

    def _fits(self, name: str) -> bool:
        """Load balancers of the public network can be in the zone."""
        rows, network = snapshot(self._world), self._world.cloud.network("public")
        zone = rows["availability_zone"].get(name)
        if zone is None or not zone["enabled"] or network is None:
            return False
        profile = rows["availability_zone_profile"][zone["availability_zone_profile_id"]]
        return network.id in json.loads(profile["availability_zone_data"]).get("valid_vip_networks", [network.id])

    def create_listener(self, who: str) -> Any:
        return self._below(
            "load_balancer",
            who,
            lambda lb: self._post(
                "/listeners",
                {
                    "listener": {
                        "loadbalancer_id": lb["id"],
                        "protocol": self._pick(("HTTP", "TCP", "UDP")),
                        "protocol_port": self._pick((80, 81, 82)),
                        "default_pool_id": self._some_pool(lb),
                    }
                },
                who,
                lb,
            ),
        )

    def create_pool(self, who: str) -> Any:
        table = self._pick(("load_balancer", "listener"))
        key = "loadbalancer_id" if table == "load_balancer" else "listener_id"
        return self._below(
            table, who, lambda row: self._post("/pools", {"pool": {**self._pool(), key: row["id"]}}, who, row)
        )

    def create_member(self, who: str) -> Any:
        return self._below(
            "pool", who, lambda pool: self._post(f"/pools/{pool['id']}/members", {"member": self._member()}, who, pool)
        )

    def replace_members(self, who: str) -> Any:
        members = [self._member() for _ in range(self._pick((0, 2, 3, 4)))]
        query = self._pick(("", "?additive_only=true"))
        return self._below(
            "pool",
            who,
            lambda pool: self._call(
                "PUT",
                f"/pools/{pool['id']}/members{query}",
                {"members": members},
                who,
                pool,
                asked=batch(members, pool, snapshot(self._world), additive=bool(query)),
            ),
        )

    def create_monitor(self, who: str) -> Any:
        body = self._monitor()
        return self._below(
            "pool",
            who,
            lambda pool: self._post("/healthmonitors", {"healthmonitor": {**body, "pool_id": pool["id"]}}, who, pool),
        )

    def create_policy(self, who: str) -> Any:
        return self._below(
            "listener",
            who,
            lambda listener: self._post(
                "/l7policies",
                {"l7policy": {"listener_id": listener["id"], **self._action(listener), **self._position()}},
                who,
                listener,
            ),
        )

    def create_rule(self, who: str) -> Any:
        body = {"rule": {"type": "PATH", "compare_type": "EQUAL_TO", "value": self._pick(("/", "bad\n"))}}
        return self._below(
            "l7policy", who, lambda policy: self._post(f"/l7policies/{policy['id']}/rules", body, who, policy)
        )

    def update(self, who: str) -> Any:
        table = self._pick(PROVISIONED)
        return self._below(
            table,
            who,
            lambda row: self._call("PUT", path_of(table, row), {_SINGULAR[table]: self._changes(table, row)}, who, row),
        )

    def _changes(self, table: str, row: Row) -> Row:
        body: Row = {"admin_state_up": self._pick((True, False, None)), "tags": self._pick(([], ["x"]))}
        match table:
            case "listener":
                body |= {"default_pool_id": self._some_pool(row)}
            case "l7policy":
                listener = snapshot(self._world)["listener"].get(row["listener_id"], row)
                body |= {**self._action(listener), **self._position()}
            case "member":
                body |= {"weight": self._pick((0, 1, 256, 257))}
            case "load_balancer":
                body |= {"description": self._pick(("", "d", "d" * 256))}
        return body

    def delete(self, who: str) -> Any:
        return self._delete(self._pick(PROVISIONED), who)

    def _delete(self, table: str, who: str) -> Any:
        query = self._pick(("", "?cascade=true"))
        return self._below(
            table, who, lambda row: self._call("DELETE", f"{path_of(table, row)}{query}", None, who, row)
        )

    def _action(self, listener: Row) -> Row:
        pool_id = self._some_pool(listener)
        return {"action": "REJECT"} if pool_id is None else {"action": "REDIRECT_TO_POOL", "redirect_pool_id": pool_id}

    def _position(self) -> Row:
        return self._pick(({}, {"position": 1}, {"position": 2}, {"position": 2**31 - 1}))

    def _pool(self) -> Row:
        members = [self._member() for _ in range(self._pick((0, 1, 2)))]
        pool = {"protocol": self._pick(("HTTP", "TCP")), "lb_algorithm": "ROUND_ROBIN", "members": members}
        return pool | self._pick(({}, {}, {"healthmonitor": self._monitor()}))

    def _monitor(self) -> Row:
        return {"type": self._pick(("TCP", "HTTP")), "delay": 1, "timeout": 1, "max_retries": 1}

    def _member(self) -> Row:
        return {
            "address": f"192.0.2.{self._pick((1, 2, 3, 4, 5, 6))}",
            "protocol_port": 80,
            "weight": self._pick((1, 2)),
        }

    def _some_pool(self, beside: Row) -> str | None:
        """Mostly one of the same load balancer."""
        there = self._there("pool")
        lb_id = beside.get("loadbalancer_id", beside["id"])
        own = [row["id"] for row in there if row["loadbalancer_id"] == lb_id]
        return self._pick((None, *own, *(row["id"] for row in there[:1])))

    def _below(self, table: str, who: str, ask: Callable[[Row], Any]) -> Any:
        there = self._there(table)
        if not self._strays:  # into what is another's
            there = [row for row in there if who in (row["project_id"], "admin")]
        return ask(self._pick(there)) if there else None

    def _there(self, table: str) -> list[Row]:
        """In an order that does not depend on their ids: what is chosen has to be the same when it is tried again."""
        return sorted(snapshot(self._world)[table].values(), key=lambda row: row["created_at"])

    def _post(self, path: str, body: Row, who: str, parent: Row | None = None) -> Any:
        project = parent["project_id"] if parent else body["loadbalancer"].get("project_id", who)
        return self._call("POST", path, body, who, parent, asked=Asked(project, parts(body)))

    def _call(
        self, method: str, path: str, body: Row | None, who: str, owner: Row | None, *, asked: Asked | None = None
    ) -> Any:
        self.asked = asked
        self.again = lambda: self._call(method, path, body, who, owner, asked=asked)
        answer = self._world.call(method, path, body, who=who)
        assert answer.status_code < 500 or answer.status_code == 501, (method, path, body, answer.text)
        if owner is not None and who not in (owner["project_id"], "admin"):  # its parent may be gone meanwhile
            assert answer.status_code in {400, 403, 404}, (method, path, body, answer.text)
        return answer


class StandIn:
    """In a controller's place: takes what is dirty, and ends it later, well or not."""

    def __init__(self, world: World, pick: Pick) -> None:
        self._world = world
        self._pick = pick
        self._under_way: list[tuple[Claim, Graph]] = []
        self._lock = threading.Lock()

    def begin(self) -> None:
        services = self._world.services
        claim = services.queue.claim("stand-in", 3600.0)
        if claim is None:
            return
        with services.database.read() as tx:
            whole = graph.load_graph(tx, claim.load_balancer_id)
        if whole is not None:
            with self._lock:
                self._under_way.append((claim, whole))

    def end(self, *, well: bool = False) -> None:
        with self._lock:
            if not self._under_way:
                return
            claim, whole = self._under_way.pop(0)
        database, queue = self._world.services.database, self._world.services.queue
        if whole.deleting:
            settle_deleted(database, claim)
            return
        broken = None if well else self._pick((None, None, None, *(row.id for row in whole.resources())))
        faults = {} if broken is None else {broken: "It did not work."}
        own = faults.pop(whole.load_balancer.id, None)
        settle(database, queue, claim, Outcome(whole.generation, faults=faults, load_balancer_fault=own))

    def stop(self, *, forgets: bool) -> None:
        """Silent for so long that its leases run out: dead, or only slow and unaware that others have what it had."""
        with self._world.services.database.write() as tx:
            tx.connection.exec_driver_sql("UPDATE dirty SET lease_until = 0 WHERE lease_until IS NOT NULL")
        with self._lock:
            if forgets:
                self._under_way.clear()

    def finish(self, *, well: bool) -> None:
        """Everything there is to do."""
        while True:
            self.begin()
            if not self._under_way:
                return
            self.end(well=well)
