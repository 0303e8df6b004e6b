"""Failover that operators ask for, typed with the official client, while traffic goes on."""

import contextlib
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from e2e.scene import Scene, Traffic, member
from hydria.base import process
from hydria.cli.demo.stage import await_condition

Json = dict[str, Any]

FAILED_AT_MOST = 5
"""Requests under way while the VIP moves: their connections were the old amphora's."""


def typed(scene: Scene, line: str) -> Any:
    """What `openstack loadbalancer LINE` prints, as JSON where it prints any."""
    done = scene.stage.openstack("admin", ["loadbalancer", *shlex.split(line)])
    return json.loads(done.stdout) if "-f json" in line else done.stdout


def amphora_of(scene: Scene, lb_id: str) -> Json:
    (one,) = scene.admin.call("GET", f"/v2/octavia/amphorae?loadbalancer_id={lb_id}")["amphorae"]
    return dict(one)


def status(scene: Scene, lb_id: str) -> str:
    return str(scene.demo.get(f"/loadbalancers/{lb_id}")["provisioning_status"])


def record(name: str, traffic: Traffic, seconds: float) -> None:
    """For a person to read."""
    print(f"{name}: {seconds:.2f} s, {traffic.answers.total()} answered, {len(traffic.failures)} failed:")
    print("\n".join(traffic.failures))


@pytest.mark.parametrize("path", ["/v2/lbaas/loadbalancers/{lb}/failover", "/v2.0/octavia/amphorae/{amphora}/failover"])
@pytest.mark.parametrize("kind", ["vf", "port"])
def test_traffic_goes_on(scene: Scene, path: str, kind: str) -> None:
    """The old one serves until the new one does; then its VFs and ports are free."""
    flavor = {"flavor_id": scene.flavor_id} if kind == "vf" else {}
    members = [member("192.0.2.10", scene.subnet("members-subnet"), sriov=kind == "vf")]
    with scene.balancer("failover", members, **flavor) as balancer:
        vip, used = balancer["vip_address"], scene.vfs_in_use()
        scene.await_answer(vip)
        old = amphora_of(scene, balancer["id"])
        with Traffic(scene.client, vip) as traffic:
            began = time.monotonic()
            scene.admin.call("PUT", path.format(lb=balancer["id"], amphora=old["id"]))
            assert status(scene, balancer["id"]) == "PENDING_UPDATE"
            scene.demo.await_active(balancer["id"])
            took = time.monotonic() - began
            failed = len(traffic.failures)
            traffic.await_more(200)
        record(f"failover, {kind}", traffic, took)
        assert took < 10
        assert failed <= FAILED_AT_MOST
        assert len(traffic.failures) == failed, "none after it has ended"
        new = amphora_of(scene, balancer["id"])
        assert new["id"] != old["id"]
        assert new["status"] == "ALLOCATED"
        assert len(scene.servers()) == 1
        assert scene.vfs_in_use() == used
        assert scene.kinds(vip) == {"eth1": kind, "eth2": kind}
        reasons = scene.demo.reasons(balancer["id"])
        assert any(f"Amphora {old['id']} is replaced by {new['id']}" in reason for reason in reasons)
    scene.await_nothing_left()


def test_an_ipv6_vip_moves_too(scene: Scene) -> None:
    """Both have the address for a moment."""
    subnets = scene.demo.call("GET", "/v2.0/subnets", service="network")["subnets"]
    public = scene.demo.subnet("public-subnet")["network_id"]
    six = next((one for one in subnets if one["network_id"] == public and one["ip_version"] == 6), None)
    if six is None:
        body = {"network_id": public, "ip_version": 6, "cidr": "2001:db8:0:cb::/64", "name": "public-subnet6"}
        six = scene.admin.call("POST", "/v2.0/subnets", {"subnet": body}, service="network")["subnet"]
    members = [member("192.0.2.10", scene.subnet("members-subnet"), sriov=True)]
    with scene.balancer("six", members, flavor_id=scene.flavor_id, vip_subnet_id=six["id"]) as balancer:
        scene.await_answer(balancer["vip_address"])
        old = amphora_of(scene, balancer["id"])
        with Traffic(scene.client, balancer["vip_address"]) as traffic:
            scene.admin.call("PUT", f"/v2/lbaas/loadbalancers/{balancer['id']}/failover")
            scene.demo.await_active(balancer["id"])
            failed = len(traffic.failures)
            traffic.await_more(100)
        record("failover, IPv6", traffic, 0)
        assert failed <= FAILED_AT_MOST
        assert len(traffic.failures) == failed
        assert amphora_of(scene, balancer["id"])["id"] != old["id"]
    scene.await_nothing_left()


def test_without_another_vf_the_old_one_serves_on(scarce: Scene) -> None:
    """ERROR tells whoever waits, and the reason what to do; all the while nothing was interrupted."""
    members = [member("192.0.2.10", scarce.subnet("members-subnet"), sriov=True)]
    with scarce.balancer("full", members, flavor_id=scarce.flavor_id) as balancer:
        scarce.await_answer(balancer["vip_address"])
        old = amphora_of(scarce, balancer["id"])
        with Traffic(scarce.client, balancer["vip_address"]) as traffic:
            scarce.admin.call("PUT", f"/v2/lbaas/loadbalancers/{balancer['id']}/failover")
            assert scarce.demo.await_settled(balancer["id"])["provisioning_status"] == "ERROR"
            traffic.await_more(100)
        assert traffic.failures == []
        assert amphora_of(scarce, balancer["id"])["id"] == old["id"]
        assert "serves on, for another could not be had: " in scarce.demo.reasons(balancer["id"])[0]
        scarce.demo.update("loadbalancers", balancer["id"], description="all of it is served")
        scarce.demo.await_active(balancer["id"])
    scarce.await_nothing_left()


@pytest.mark.client
def test_the_official_client(scene: Scene) -> None:
    """Every command about amphorae, and a failover by name."""
    members = [member("192.0.2.10", scene.subnet("members-subnet"), sriov=True)]
    with scene.balancer("typed", members, flavor_id=scene.flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        scene.answers(balancer["vip_address"], 7)
        scene.await_statistics(balancer, connections=7)
        (listed,) = typed(scene, "amphora list --loadbalancer typed --long -f json")
        first = listed["id"]
        assert (listed["loadbalancer_id"], listed["status"], listed["role"]) == (
            balancer["id"],
            "ALLOCATED",
            "STANDALONE",
        )
        assert typed(scene, f"amphora list --image-id {first} -f json") == []
        (same,) = typed(scene, f"amphora list --image-id {listed['image_id']} -f json")
        assert same["id"] == first
        shown = typed(scene, f"amphora show {first} -f json")
        assert (shown["ha_ip"], shown["image_id"]) == (balancer["vip_address"], listed["image_id"])
        stats = typed(scene, f"amphora stats show {first} -f json")
        assert stats["total_connections"] >= 7
        assert stats["bytes_out"] > 0
        assert typed(scene, f"amphora configure {first} --wait") == ""
        assert amphora_of(scene, balancer["id"])["id"] == first
        with Traffic(scene.client, balancer["vip_address"]) as traffic:
            assert typed(scene, "failover typed --wait") == ""
            second = amphora_of(scene, balancer["id"])["id"]
            assert typed(scene, f"amphora failover {second} --wait") == ""
            third = amphora_of(scene, balancer["id"])["id"]
        record("two failovers, typed", traffic, 0)
        assert len({first, second, third}) == 3
        assert len(traffic.failures) <= 2 * FAILED_AT_MOST
        refused = scene.stage.openstack("admin", ["loadbalancer", "amphora", "delete", third], check=False)
        assert refused.status != 0
        assert "immutable" in refused.stderr
        assert status(scene, balancer["id"]) == "ACTIVE"
        total = scene.demo.get(f"/loadbalancers/{balancer['id']}/stats")["total_connections"]
        assert total >= 7, "what the first one served still counts"
        await_condition("the third one has counted", lambda: counted(scene, third), 20.0, 0.2)
    scene.await_nothing_left()


@pytest.mark.client
def test_rolling_failover_to_a_newer_image(scene: Scene, tmp_path: Path) -> None:
    """`hydria amphora`, as an operator types it after `hydria image upload`, with traffic through each of them."""
    members = [member("192.0.2.10", scene.subnet("members-subnet"), sriov=True)]
    with contextlib.ExitStack() as stack:
        made = [
            stack.enter_context(scene.balancer(f"rolling-{number}", members, flavor_id=scene.flavor_id))
            for number in range(3)
        ]
        for balancer in made:
            scene.await_answer(balancer["vip_address"])
        old = {amphora_of(scene, balancer["id"])["id"] for balancer in made}
        newer = upload(scene, tmp_path)
        # Others' tests boot from the first one again.
        stack.callback(scene.admin.call, "DELETE", f"/v2/images/{newer}", service="image")
        assert {one["id"] for one in hydria_amphora(scene, "list", "--outdated", "--json")} == old
        traffics = [stack.enter_context(Traffic(scene.client, balancer["vip_address"])) for balancer in made]
        hydria_amphora(scene, "failover", "--outdated", "--at-a-time", "2", "--yes")
        assert {amphora_of(scene, balancer["id"])["image_id"] for balancer in made} == {newer}
        assert hydria_amphora(scene, "list", "--outdated", "--json") == []
        for traffic in traffics:
            failed = len(traffic.failures)
            traffic.await_more(100)
            record("rolling", traffic, 0)
            assert failed <= FAILED_AT_MOST
            assert len(traffic.failures) == failed
    scene.await_nothing_left()


def upload(scene: Scene, directory: Path) -> str:
    """A newer image with the tag that controllers look for. The namespace hypervisor does not read it."""
    (directory / "image").write_bytes(b"x")
    line = "image create --disk-format raw --tag amphora --property hydria_version=9.9.9 newer -f json --file"
    done = scene.stage.openstack("admin", [*line.split(), str(directory / "image")])
    return str(json.loads(done.stdout)["id"])


def hydria_amphora(scene: Scene, *arguments: str) -> Any:
    """What it prints, as JSON where it prints any."""
    argv = [sys.executable, "-m", "hydria.cli.main", "amphora", *arguments]
    environment = {"OS_CLIENT_CONFIG_FILE": str(scene.stage.state.clouds), "OS_CLOUD": "admin"}
    done = process.run(argv, environment=environment, timeout=120)
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


def counted(scene: Scene, amphora_id: str) -> bool:
    """It may have served nothing yet, but it has told."""
    stats = scene.admin.call("GET", f"/v2/octavia/amphorae/{amphora_id}/stats")["amphora_stats"]
    return [one["id"] for one in stats] == [amphora_id]
