"""It must show 6: kill -9 of any process at any point under load ends as if nothing had happened."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.scene import BACKENDS, Json, Scene, Traffic, insist, kill, member
from hydria.cli.demo.client import CallFailed, graph

SEED = 20_231
KILLS = 4
BALANCERS = 3


@pytest.mark.parametrize("service", ["controller", "api", "cloud"])
def test_kill_9_of_a_service_under_load_converges(scene: Scene, service: str) -> None:
    subnet, vip = scene.subnet("members-subnet"), scene.subnet("public-subnet")
    chance = random.Random(f"{SEED} {service}")  # noqa: S311 - moments, not secrets
    pause = threading.Event()

    def live(number: int) -> str:
        """A load balancer up to its last change. What got no answer may have been done: look, then try again."""
        first, second, last = (member(address, subnet, sriov=True) for address in BACKENDS.values())
        name = f"crash-{service}-{number}"
        body = graph(name, vip, [first, second], flavor_id=scene.flavor_id)
        made = insist(lambda: one_or_new(scene, f"/loadbalancers?name={name}", "loadbalancers", body))
        balancer = scene.demo.await_active(made["id"], seconds=90)
        members = f"pools/{scene.pool_of(balancer)}/members"
        insist(lambda: one_or_new(scene, f"/{members}?address={last['address']}", members, last))
        insist(lambda: scene.demo.update("pools", scene.pool_of(balancer), lb_algorithm="LEAST_CONNECTIONS"))
        scene.demo.await_active(made["id"], seconds=90)
        return str(made["id"])

    with ThreadPoolExecutor(BALANCERS) as threads:
        lives = [threads.submit(live, number) for number in range(BALANCERS)]
        for _ in range(KILLS):
            pause.wait(chance.uniform(0.05, 1.2))
            scene.kill_service(service)
        ids = [life.result() for life in lives]
    for id_ in ids:
        balancer = insist(lambda id_=id_: scene.demo.get(f"/loadbalancers/{id_}"))
        scene.await_answer(balancer["vip_address"])
        assert set(scene.answers(balancer["vip_address"], 12)) == set(BACKENDS)
        members = insist(lambda balancer=balancer: scene.members(balancer))
        assert {one["provisioning_status"] for one in members.values()} == {"ACTIVE"}
    scene.kill_service(service)
    for id_ in ids:
        insist(lambda id_=id_: delete(scene, id_))
    scene.kill_service(service)
    for id_ in ids:
        scene.demo.await_gone(id_, seconds=60)
    scene.await_nothing_left()


def one_or_new(scene: Scene, query: str, collection: str, body: Json) -> Json:
    """What an earlier try has made, else a new one."""
    there = scene.demo.get(query)
    return there[0] if there else scene.demo.create(collection, **body)


def delete(scene: Scene, lb_id: str) -> None:
    """An earlier try may have been heard: it is being deleted, or gone."""
    try:
        scene.demo.delete("loadbalancers", lb_id, cascade=True)
    except CallFailed as error:
        if error.status not in {404, 409}:
            raise


def test_kill_9_of_an_agent_does_not_stop_traffic_and_it_comes_back(scene: Scene) -> None:
    subnet = scene.subnet("members-subnet")
    with scene.balancer("agent", [member("192.0.2.10", subnet, sriov=True)], flavor_id=scene.flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        with Traffic(scene.client, balancer["vip_address"]) as traffic:
            for _ in range(2):
                agents = scene.agents()
                assert agents
                for pid in agents:
                    kill(pid)
                made = scene.add_member(balancer, "192.0.2.11", sriov=True)
                assert made["provisioning_status"] == "ACTIVE"
                scene.demo.delete(f"pools/{scene.pool_of(balancer)}/members", made["id"])
                scene.demo.await_active(balancer["id"])
                traffic.await_more(20)
        assert traffic.failures == []
    scene.await_nothing_left()
