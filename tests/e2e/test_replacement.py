"""Amphorae that are lost: dead with all of their processes, or cut off from the network by their PF."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.conftest import SECOND_HOST
from e2e.scene import Scene, member
from hydria.base import process
from hydria.cli.demo.stage import await_condition

Json = dict[str, Any]


def pf_of(scene: Scene, host: str, network: str) -> str:
    (hosts,) = (one for one in scene.stage.config.cloud.hosts if one.name == host)
    return next(pf for pf, physical in hosts.pfs.items() if physical == network)


def ip(scene: Scene, *arguments: str) -> str:
    return process.run(["ip", "-n", scene.stage.fabric, *arguments]).stdout


@contextlib.contextmanager
def cable_pulled(scene: Scene, pf: str) -> Iterator[None]:
    """The software PF's other end goes down, as a switch port does."""
    wire = ip(scene, "-o", "link", "show", pf).split(f"{pf}@")[1].split(":")[0]
    ip(scene, "link", "set", wire, "down")
    try:
        yield
    finally:
        ip(scene, "link", "set", wire, "up")


@pytest.fixture
def both_hosts(scene: Scene) -> Iterator[None]:
    """Both are in the guide's aggregate."""
    (aggregate,) = scene.admin.call("GET", "/os-aggregates", service="compute")["aggregates"]
    path = f"/os-aggregates/{aggregate['id']}/action"
    scene.admin.call("POST", path, {"add_host": {"host": SECOND_HOST}}, service="compute")
    yield
    scene.admin.call("POST", path, {"remove_host": {"host": SECOND_HOST}}, service="compute")


def server_of(scene: Scene) -> str:
    (server,) = scene.servers()
    return str(server["id"])


def host_of(scene: Scene) -> str:
    (server,) = scene.servers()
    return str(server["OS-EXT-SRV-ATTR:host"])


def other_than(scene: Scene, server_id: str) -> bool:
    servers = scene.servers()
    return len(servers) == 1 and servers[0]["id"] != server_id


def test_a_dead_amphora_is_replaced_soon_and_its_vfs_come_back(scene: Scene) -> None:
    subnet = scene.subnet("members-subnet")
    with scene.balancer("dead", [member("192.0.2.10", subnet, sriov=True)], flavor_id=scene.flavor_id) as balancer:
        vip = balancer["vip_address"]
        scene.await_answer(vip)
        used, old = scene.vfs_in_use(), server_of(scene)
        scene.kill_amphorae()
        killed = time.monotonic()
        await_condition("another one serves", lambda: other_than(scene, old) and scene.connects(vip, 80), 30.0)
        took = time.monotonic() - killed
        print(f"replaced in {took:.1f} s")
        assert took < 10, "silence alone would have taken longer"
        assert scene.answers(vip, 5) == {"backend-a": 5}
        assert sum(scene.vfs_in_use().values()) == sum(used.values())
        assert any("is replaced: its server is" in reason for reason in scene.demo.reasons(balancer["id"]))
    scene.await_nothing_left()


@pytest.mark.usefixtures("both_hosts")
def test_an_amphora_without_a_link_moves_to_another_pf(scene: Scene) -> None:
    subnet = scene.subnet("members-subnet")
    with scene.balancer("cut", [member("192.0.2.10", subnet, sriov=True)], flavor_id=scene.flavor_id) as balancer:
        vip = balancer["vip_address"]
        scene.await_answer(vip)
        old, host = server_of(scene), host_of(scene)
        with cable_pulled(scene, pf_of(scene, host, "public")):
            await_condition("another one serves", lambda: other_than(scene, old) and scene.connects(vip, 80), 30.0)
            assert host_of(scene) != host
            assert scene.answers(vip, 5) == {"backend-a": 5}
            scene.demo.await_active(balancer["id"])
            reasons = scene.demo.reasons(balancer["id"])
            assert any("has had no link for" in reason for reason in reasons)
    scene.await_nothing_left()


def test_an_amphora_without_a_link_stays_while_no_other_can_be_had(scene: Scene) -> None:
    """Only the first host is in the aggregate, and its only PF of that network is cut off."""
    subnet = scene.subnet("members-subnet")
    with scene.balancer("stays", [member("192.0.2.10", subnet, sriov=True)], flavor_id=scene.flavor_id) as balancer:
        vip = balancer["vip_address"]
        scene.await_answer(vip)
        old, host = server_of(scene), host_of(scene)

        def why() -> str:
            return next((text for text in scene.demo.reasons(balancer["id"]) if "stays until" in text), "")

        def status() -> str:
            return str(scene.demo.get(f"/loadbalancers/{balancer['id']}")["operating_status"])

        with cable_pulled(scene, pf_of(scene, host, "public")):
            await_condition("the reason is told", lambda: bool(why()), 30.0)
            assert "no link" in why() or "No valid host" in why()
            assert status() == "ERROR"
        await_condition("it is ONLINE again", lambda: status() == "ONLINE", 30.0)
        scene.await_answer(vip)
        assert server_of(scene) == old
        assert scene.answers(vip, 5) == {"backend-a": 5}
    scene.await_nothing_left()
