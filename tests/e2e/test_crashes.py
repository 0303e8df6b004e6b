"""It must show 6: kill -9 of any process at any point under load ends as if nothing had happened."""

import os
import random
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.scene import BACKENDS, Scene, Traffic, member
from hydria.cli.demo.client import graph

SEED = 20_231
KILLS = 4
BALANCERS = 3


@pytest.mark.parametrize("service", ["controller", "api", "cloud"])
def test_kill_9_of_a_service_under_load_converges(scene: Scene, service: str) -> None:
    subnet, vip = scene.subnet("members-subnet"), scene.subnet("public-subnet")
    chance = random.Random(f"{SEED} {service}")  # noqa: S311 - moments, not secrets
    pause = threading.Event()

    def live(number: int) -> str:
        """The whole life of one load balancer up to its last change; the clients retry, as clients do."""
        members = [member(address, subnet, sriov=True) for address in list(BACKENDS.values())[:2]]
        name = f"crash-{service}-{number}"
        made = scene.demo.create("loadbalancers", **graph(name, vip, members, flavor_id=scene.flavor_id))
        balancer = scene.demo.await_active(made["id"], seconds=90)
        pool = scene.pool_of(balancer)
        scene.demo.create(f"pools/{pool}/members", **member("192.0.2.12", subnet, sriov=True))
        scene.demo.update("pools", pool, lb_algorithm="LEAST_CONNECTIONS")
        scene.demo.await_active(made["id"], seconds=90)
        return str(made["id"])

    with ThreadPoolExecutor(BALANCERS) as threads:
        lives = [threads.submit(live, number) for number in range(BALANCERS)]
        for _ in range(KILLS):
            pause.wait(chance.uniform(0.05, 1.2))
            scene.kill_service(service)
        ids = [life.result() for life in lives]
    balancers = [scene.demo.get(f"/loadbalancers/{id_}") for id_ in ids]
    for balancer in balancers:
        scene.await_answer(balancer["vip_address"])
        assert set(scene.answers(balancer["vip_address"], 12)) == set(BACKENDS)
        assert {one["provisioning_status"] for one in scene.members(balancer).values()} == {"ACTIVE"}
    scene.kill_service(service)
    for id_ in ids:
        scene.demo.delete("loadbalancers", id_, cascade=True)
    scene.kill_service(service)
    for id_ in ids:
        scene.demo.await_gone(id_, seconds=60)
    scene.await_nothing_left()


def test_kill_9_of_an_agent_does_not_stop_traffic_and_it_comes_back(scene: Scene) -> None:
    subnet = scene.subnet("members-subnet")
    with scene.balancer("agent", [member("192.0.2.10", subnet, sriov=True)], flavor_id=scene.flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        with Traffic(scene.client, balancer["vip_address"]) as traffic:
            for _ in range(2):
                agents = scene.agents()
                assert agents
                for pid in agents:
                    os.kill(pid, signal.SIGKILL)
                made = scene.add_member(balancer, "192.0.2.11", sriov=True)
                assert made["provisioning_status"] == "ACTIVE"
                scene.demo.delete(f"pools/{scene.pool_of(balancer)}/members", made["id"])
                scene.demo.await_active(balancer["id"])
                traffic.await_more(20)
        assert traffic.failures == []
    scene.await_nothing_left()
