"""What must be true whatever projects, an administrator and a controller did, and in which order."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from api_world import PROVISIONED, World
from tenants import CALLERS, Row, path_of
from tenants_quotas import Rows

LEGAL = {
    None: {"PENDING_CREATE"},
    "PENDING_CREATE": {"PENDING_CREATE", "ACTIVE", "ERROR", "PENDING_DELETE"},
    "ACTIVE": {"ACTIVE", "PENDING_UPDATE", "PENDING_DELETE", "ERROR"},
    "PENDING_UPDATE": {"PENDING_UPDATE", "ACTIVE", "ERROR", "PENDING_DELETE"},
    "ERROR": {"ERROR", "PENDING_UPDATE", "PENDING_DELETE", "ACTIVE"},
    "PENDING_DELETE": {"PENDING_DELETE"},
}
"""Provisioning status → what one step may make of it. Only what is PENDING_DELETE goes away."""
OPERATING = {"ONLINE", "OFFLINE", "DEGRADED", "ERROR"}
COLLECTIONS = {
    "load_balancer": "loadbalancers",
    "listener": "listeners",
    "pool": "pools",
    "l7policy": "l7policies",
    "health_monitor": "healthmonitors",
}


def check_rows(now: Rows) -> None:
    for table in PROVISIONED:
        for row in now[table].values():
            assert row["provisioning_status"] in LEGAL
            assert row["operating_status"] in OPERATING | ({"NO_MONITOR", "DRAINING"} if table == "member" else set())
            if row["provisioning_status"] == "ACTIVE" and not row["admin_state_up"]:
                assert row["operating_status"] == "OFFLINE"
    _check_belonging(now)
    check_queued(now)
    positions = defaultdict(list)
    for policy in staying(now["l7policy"].values()):
        positions[policy["listener_id"]].append(policy["position"])
    for found in positions.values():
        assert sorted(found) == list(range(1, len(found) + 1))


def _check_belonging(now: Rows) -> None:
    """A row is of its parent's project, of no other load balancer, and outlives no parent."""
    keys = {"loadbalancer_id": "load_balancer", "listener_id": "listener", "pool_id": "pool", "l7policy_id": "l7policy"}
    for table in PROVISIONED:
        for row in now[table].values():
            for key, parent_table in keys.items():
                if key in row:
                    parent = now[parent_table][row[key]]
                    assert row["project_id"] == parent["project_id"]
                    if parent["provisioning_status"] == "PENDING_DELETE":
                        assert row["provisioning_status"] == "PENDING_DELETE"
    for listener in staying(now["listener"].values()):
        if listener["default_pool_id"] is not None:
            pool = now["pool"][listener["default_pool_id"]]
            assert pool["loadbalancer_id"] == listener["loadbalancer_id"]
            assert pool["provisioning_status"] != "PENDING_DELETE"
    for policy in staying(now["l7policy"].values()):
        assert (policy["redirect_pool_id"] is not None) == (policy["action"] == "REDIRECT_TO_POOL")
    for table, key in (("member", ("pool_id", "address", "protocol_port")), ("health_monitor", ("pool_id",))):
        identities = [tuple(row[name] for name in key) for row in staying(now[table].values())]
        assert len(identities) == len(set(identities))


def check_queued(now: Rows) -> None:
    """Somebody will see to what is pending: it is due, or in somebody's hands until a lease runs out."""
    of_pool = {row["id"]: row["loadbalancer_id"] for row in now["pool"].values()}
    of_listener = {row["id"]: row["loadbalancer_id"] for row in now["listener"].values()}
    of_policy = {row["id"]: of_listener[row["listener_id"]] for row in now["l7policy"].values()}
    for table in PROVISIONED:
        for row in now[table].values():
            if row["provisioning_status"].startswith("PENDING"):
                match table:
                    case "load_balancer":
                        lb_id = row["id"]
                    case "member" | "health_monitor":
                        lb_id = of_pool[row["pool_id"]]
                    case "l7policy" | "l7rule":
                        lb_id = of_policy[row["id" if table == "l7policy" else "l7policy_id"]]
                    case _:
                        lb_id = row["loadbalancer_id"]
                queued = now["dirty"][lb_id]
                assert queued["due_at"] is not None or queued["lease_until"] is not None


def check_step(before: Rows, now: Rows) -> None:
    """Each status went where it may go from where it was."""
    for table in PROVISIONED:
        for id_, row in now[table].items():
            was = before[table].get(id_)
            assert row["provisioning_status"] in LEGAL[was and was["provisioning_status"]], (table, was, row)
            assert was is None or (row["project_id"], row["created_at"]) == (was["project_id"], was["created_at"])
        for id_ in before[table].keys() - now[table].keys():
            assert before[table][id_]["provisioning_status"] == "PENDING_DELETE", (table, before[table][id_])


def staying(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["provisioning_status"] != "PENDING_DELETE"]


def check_answers(world: World, now: Rows) -> None:
    """What projects see, in lists and one by one, and that it fits together."""
    for who in CALLERS:
        seen = {table: world.get(f"/{plural}", who=who) for table, plural in COLLECTIONS.items()}
        for table, listed in seen.items():
            theirs = {id_ for id_, row in now[table].items() if who in (row["project_id"], "admin")}
            assert {item["id"] for item in listed} == theirs
            for item in listed:
                assert item["tenant_id"] == item["project_id"] == now[table][item["id"]]["project_id"]
    for table in PROVISIONED:
        for row in now[table].values():
            for who in CALLERS:
                answer = world.call("GET", path_of(table, row), who=who)
                assert answer.status_code == (200 if who in (row["project_id"], "admin") else 403)
    _check_relations(world, {table: {item["id"]: item for item in listed} for table, listed in seen.items()}, now)


def _check_relations(world: World, seen: dict[str, dict[str, Any]], now: Rows) -> None:
    """Whatever one answer says of another thing, the answer about that one says, too."""
    lbs, listeners, pools = seen["load_balancer"], seen["listener"], seen["pool"]
    policies, monitors = seen["l7policy"], seen["health_monitor"]
    assert pairs(lbs, "listeners") == backward(listeners, "loadbalancers")
    assert pairs(lbs, "pools") == backward(pools, "loadbalancers")
    assert pairs(listeners, "l7policies") == {(item["listener_id"], item["id"]) for item in policies.values()}
    used = {(item["default_pool_id"], item["id"]) for item in listeners.values() if item["default_pool_id"]}
    redirecting = [item for item in policies.values() if item["redirect_pool_id"] and item["rules"]]
    used |= {(item["redirect_pool_id"], item["listener_id"]) for item in redirecting if item["admin_state_up"]}
    assert pairs(pools, "listeners") == used
    watched = backward(monitors, "pools")
    staying_monitors = {row["pool_id"]: row["id"] for row in staying(now["health_monitor"].values())}
    for pool in pools.values():
        monitor = pool["healthmonitor_id"]
        assert (monitor is None) == (pool["id"] not in {pool_id for pool_id, _ in watched})
        assert monitor is None or (pool["id"], monitor) in watched
        assert staying_monitors.get(pool["id"], monitor) == monitor
        members = world.get(f"/pools/{pool['id']}/members", who="admin")
        assert {item["id"] for item in members} == {item["id"] for item in pool["members"]}
    for policy in policies.values():
        rules = world.get(f"/l7policies/{policy['id']}/rules", who="admin")
        assert [item["id"] for item in rules] == [item["id"] for item in policy["rules"]]
    for lb in lbs.values():
        tree = world.get(f"/loadbalancers/{lb['id']}/status", who="admin")["loadbalancer"]
        assert {item["id"] for item in tree["listeners"]} == {item["id"] for item in lb["listeners"]}
        assert tree["provisioning_status"] == lb["provisioning_status"]


def pairs(items: dict[str, Any], name: str) -> set[tuple[str, str]]:
    return {(item["id"], end["id"]) for item in items.values() for end in item[name]}


def backward(items: dict[str, Any], name: str) -> set[tuple[str, str]]:
    return {(end["id"], item["id"]) for item in items.values() for end in item[name]}
