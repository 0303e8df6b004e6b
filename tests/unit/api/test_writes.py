"""Accepted writes: what they store, merge, mark, and when they are refused for the state of things."""

from typing import Any

import pytest
from api_world import World

from hydria.base.config import Api
from hydria.model.load_balancer import LoadBalancer
from hydria.store import resources


@pytest.fixture
def tree(world: World):
    lb = world.load_balancer(name="lb1")
    pool = world.pool(lb)
    return {
        "loadbalancers": lb,
        "pools": pool,
        "listeners": world.listener(lb, default_pool_id=pool["id"]),
        f"pools/{pool['id']}/members": world.member(pool),
        "healthmonitors": world.monitor(pool),
    }


def singular(collection: str):
    return collection.rsplit("/", 1)[-1].removesuffix("s")


def stored(world: World, lb: Any):
    with world.services.database.read() as tx:
        return resources.get(tx, LoadBalancer, lb["id"])


def dirty(world: World):
    """Load balancer → seconds until it is due."""
    database = world.services.database
    with database.read() as tx:
        rows = tx.connection.exec_driver_sql("SELECT load_balancer_id, due_at FROM dirty").all()
    return {id_: due - database.clock() for id_, due in rows}


def test_writes_are_merged_while_the_load_balancer_is_pending(world: World, tree: Any):
    lb = stored(world, tree["loadbalancers"])
    assert (lb.generation, lb.provisioning_status) == (5, "PENDING_CREATE")
    world.settle()
    for collection, row in tree.items():
        changed = world.put(f"/{collection}/{row['id']}", {singular(collection): {"name": "new"}})
        assert (changed["name"], changed["provisioning_status"]) == ("new", "PENDING_UPDATE")
        assert changed["updated_at"] is not None
    assert stored(world, lb_of(tree)).generation == 10
    assert dirty(world)[lb.id] <= 0


def lb_of(tree: Any):
    return tree["loadbalancers"]


def test_put_leaves_the_absent_alone_and_null_is_the_default(world: World, tree: Any):
    listener = tree["listeners"]
    path = f"/listeners/{listener['id']}"
    changed = world.put(
        path,
        {"listener": {"name": "n", "timeout_client_data": 1, "tags": ["t"], "insert_headers": {"X-Real-IP": "true"}}},
    )
    assert (changed["default_pool_id"], changed["connection_limit"]) == (listener["default_pool_id"], -1)
    changed = world.put(
        path, {"listener": {"name": None, "timeout_client_data": None, "tags": None, "default_pool_id": None}}
    )
    assert (changed["name"], changed["timeout_client_data"], changed["tags"]) == ("", 50_000, [])
    assert (changed["default_pool_id"], changed["insert_headers"]) == (None, {"X-Real-IP": "true"})
    assert changed["protocol_port"] == 80


def test_http_monitors_fall_back_to_their_defaults(world: World):
    pool = world.pool(world.load_balancer())
    monitor = world.monitor(pool, type="HTTP", url_path="/health", http_version=1.1, domain_name="example.org")
    shown = {"http_method": "GET", "url_path": "/health", "expected_codes": "200", "max_retries_down": 3}
    assert {name: monitor[name] for name in shown} == shown
    changed = world.put(f"/healthmonitors/{monitor['id']}", {"healthmonitor": {"url_path": None, "delay": 7}})
    assert (changed["url_path"], changed["delay"], changed["domain_name"]) == ("/", 7, "example.org")
    assert changed["pools"] == [{"id": pool["id"]}]


def test_what_is_deleted_shows_it_and_takes_no_more_writes(world: World, tree: Any):
    world.settle()
    for collection, row in reversed(tree.items()):
        path = f"/{collection}/{row['id']}"
        world.delete(path, params={"cascade": "true"} if collection == "loadbalancers" else None)
        assert world.get(path)["provisioning_status"] == "PENDING_DELETE"
        text = "Invalid state PENDING_DELETE" if collection == "loadbalancers" else "immutable"
        world.refused(world.call("PUT", path, {singular(collection): {"name": "x"}}), 409, text)
        world.refused(world.call("DELETE", path), 409, text)
    body = {"listener": {"loadbalancer_id": lb_of(tree)["id"], "protocol": "TCP", "protocol_port": 9}}
    world.refused(world.call("POST", "/listeners", body), 409, "is immutable and cannot be updated.")


def test_a_deleted_pool_takes_its_members_and_leaves_its_listener(world: World, tree: Any):
    world.settle()
    world.delete(f"/pools/{tree['pools']['id']}")
    listener = world.get(f"/listeners/{tree['listeners']['id']}")
    assert (listener["default_pool_id"], listener["provisioning_status"]) == (None, "PENDING_UPDATE")
    assert world.get(f"/healthmonitors/{tree['healthmonitors']['id']}")["provisioning_status"] == "PENDING_DELETE"
    pool = tree["pools"]["id"]
    body = {"address": "192.0.2.77", "protocol_port": 80}
    world.refused(world.call("POST", f"/pools/{pool}/members", {"member": body}), 409, "immutable")
    body = {"pool_id": pool, "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}
    world.refused(world.call("POST", "/healthmonitors", {"healthmonitor": body}), 409, "immutable")
    body = {"default_pool_id": pool}
    world.refused(world.call("PUT", f"/listeners/{listener['id']}", {"listener": body}), 404, "Pool")


def test_what_is_being_deleted_is_out_of_the_way(world: World, tree: Any):
    world.delete(f"/listeners/{tree['listeners']['id']}")
    world.listener(lb_of(tree))
    pool = tree["pools"]
    world.delete(f"/pools/{pool['id']}/members/{tree['pools/' + pool['id'] + '/members']['id']}")
    world.member(pool)
    world.delete(f"/healthmonitors/{tree['healthmonitors']['id']}")
    world.monitor(pool)


def test_a_pool_becomes_the_default_of_its_listener(world: World):
    lb = world.load_balancer()
    listener = world.listener(lb)
    pool = world.pool(lb, listener_id=listener["id"], loadbalancer_id=None)
    assert world.get(f"/listeners/{listener['id']}")["default_pool_id"] == pool["id"]
    assert pool["listeners"] == [{"id": listener["id"]}]


def test_a_pool_may_bring_members_and_a_monitor(world: World):
    members = [{"address": f"192.0.2.{number}", "protocol_port": 80, "weight": number} for number in (1, 2)]
    monitor = {"type": "HTTP", "delay": 1, "timeout": 1, "max_retries": 1}
    pool = world.pool(world.load_balancer(), members=members, healthmonitor=monitor)
    assert len(pool["members"]) == 2
    assert world.get(f"/healthmonitors/{pool['healthmonitor_id']}")["url_path"] == "/"


def test_children_belong_to_the_project_of_their_load_balancer(world: World):
    lb = world.load_balancer()
    body = {"loadbalancer_id": lb["id"], "protocol": "TCP", "protocol_port": 1, "project_id": "admin"}
    listener = world.post("/listeners", {"listener": body}, who="admin")
    assert listener["project_id"] == listener["tenant_id"] == "demo"


def test_cascade(world: World, tree: Any):
    world.settle()
    world.delete(f"/loadbalancers/{lb_of(tree)['id']}?cascade=true")
    for collection, row in tree.items():
        assert world.get(f"/{collection}/{row['id']}")["provisioning_status"] == "PENDING_DELETE"
    world.settle()
    world.refused(world.call("GET", f"/loadbalancers/{lb_of(tree)['id']}"), 404, "Load Balancer")


class TestStrict:
    @pytest.fixture
    def api(self):
        return Api(strict_immutable=True)

    def test_only_an_active_load_balancer_takes_writes(self, world: World):
        lb = world.load_balancer()
        body = {"listener": {"loadbalancer_id": lb["id"], "protocol": "TCP", "protocol_port": 9}}
        text = f"Load Balancer {lb['id']} is immutable and cannot be updated."
        world.refused(world.call("POST", "/listeners", body), 409, text)
        text = f"Invalid state PENDING_CREATE of loadbalancer resource {lb['id']}"
        world.refused(world.call("PUT", f"/loadbalancers/{lb['id']}", {"loadbalancer": {}}), 409, text)
        world.refused(world.call("DELETE", f"/loadbalancers/{lb['id']}"), 409, text)
        world.settle()
        listener = world.post("/listeners", body)
        world.refused(world.call("DELETE", f"/listeners/{listener['id']}"), 409, "immutable")
