"""It must show 5: from outside only listener ports answer, only to allowed CIDRs, at every moment."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.scene import PROMPT, Scene, Traffic, member
from hydria.cli.demo.stage import PATIENCE

Json = dict[str, Any]
VIP_SUBNETS = {4: "public-subnet", 6: "public-subnet6"}


@pytest.fixture(scope="module", params=[4, 6], ids=["IPv4", "IPv6"])
def served(scene: Scene, request: pytest.FixtureRequest) -> Iterator[Json]:
    """A load balancer on a VF with one backend; the listener on port 80 is the only one between tests."""
    backend = {4: "192.0.2.10", 6: "2001:db8:0:c0::10"}[request.param]
    suffix = {4: "", 6: "6"}[request.param]
    members = [member(backend, scene.subnet(f"members-subnet{suffix}"), sriov=True)]
    vip = scene.subnet(VIP_SUBNETS[request.param])
    name = f"firewall{request.param}"
    with scene.balancer(name, members, vip_subnet_id=vip, flavor_id=scene.flavor_id) as balancer:
        scene.await_answer(balancer["vip_address"])
        yield balancer


@contextlib.contextmanager
def listener(scene: Scene, balancer: Json, port: int, **fields: Any) -> Iterator[Json]:
    made = scene.demo.create(
        "listeners", loadbalancer_id=balancer["id"], protocol="HTTP", protocol_port=port,
        default_pool_id=scene.pool_of(balancer), **fields,
    )  # fmt: skip
    try:
        scene.demo.await_active(balancer["id"])
        yield made
    finally:
        with contextlib.suppress(Exception):
            scene.demo.delete("listeners", made["id"])
        scene.demo.await_active(balancer["id"])


def update(scene: Scene, balancer: Json, listener_id: str, **fields: Any) -> None:
    scene.demo.update("listeners", listener_id, **fields)
    scene.demo.await_active(balancer["id"])


def client_address(scene: Scene, balancer: Json) -> str:
    version = ":" in balancer["vip_address"]
    return next(text.split("/")[0] for text in scene.client.addresses if (":" in text) == version)


def host_prefix(address: str) -> str:
    return f"{address}/128" if ":" in address else f"{address}/32"


def elsewhere(balancer: Json) -> str:
    return "2001:db8:ffff::/48" if ":" in balancer["vip_address"] else "198.51.100.0/24"


def test_only_listener_ports_answer(scene: Scene, served: Json) -> None:
    vip = served["vip_address"]
    with listener(scene, served, 8080):
        assert scene.connects(vip, 80)
        assert scene.connects(vip, 8080)
        # The agent's port, HAProxy's peers, ssh, and one that nothing ever used.
        for port in (9443, 1025, 22, 81):
            assert not scene.connects(vip, port), port
    assert not scene.connects(vip, 8080)


def test_the_vip_answers_echo_requests(scene: Scene, served: Json) -> None:
    # Python's own socket: the test hosts' file system may have no `ping`.
    vip = served["vip_address"]
    family, protocol = (socket.AF_INET6, 58) if ":" in vip else (socket.AF_INET, 1)
    request = bytes([128 if family == socket.AF_INET6 else 8, 0, 0, 0, 0, 1, 0, 1])

    def echoed() -> bool:
        with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
            raw.settimeout(2 * PATIENCE)
            raw.connect((vip, 0))
            checksum = 0xFFFF - sum(int.from_bytes(request[i : i + 2], "big") for i in range(0, 8, 2))
            raw.send(request[:2] + checksum.to_bytes(2, "big") + request[4:])
            return bool(raw.recv(1500))

    assert scene.client.inside(echoed)


def test_only_allowed_cidrs_are_answered_and_updates_take_effect(scene: Scene, served: Json) -> None:
    vip = served["vip_address"]
    with listener(scene, served, 8081, allowed_cidrs=[elsewhere(served)]) as made:
        assert not scene.connects(vip, 8081)
        update(scene, served, made["id"], allowed_cidrs=[host_prefix(client_address(scene, served))])
        assert scene.connects(vip, 8081)
        update(scene, served, made["id"], allowed_cidrs=[elsewhere(served)])
        assert not scene.connects(vip, 8081)
        update(scene, served, made["id"], allowed_cidrs=None)
        assert scene.connects(vip, 8081)


def test_h22_a_disabled_listener_is_closed_and_opens_again(scene: Scene, served: Json) -> None:
    vip = served["vip_address"]
    with listener(scene, served, 8082) as made:
        assert scene.connects(vip, 8082)
        update(scene, served, made["id"], admin_state_up=False)
        assert not scene.connects(vip, 8082)
        assert "8082" not in scene.rules(vip)
        update(scene, served, made["id"], admin_state_up=True)
        assert scene.connects(vip, 8082)


def test_h20_tightening_allowed_cidrs_ends_established_flows(scene: Scene, served: Json) -> None:
    vip = served["vip_address"]
    with listener(scene, served, 8083) as made:
        connection = scene.client.inside(lambda: socket.create_connection((vip, 8083), 3 * PATIENCE))
        with connection:
            connection.settimeout(3 * PATIENCE)
            ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
            connection.sendall(ask)
            assert b"200" in connection.recv(4096)
            update(scene, served, made["id"], allowed_cidrs=[elsewhere(served)])
            connection.settimeout(2 * PROMPT)
            with contextlib.suppress(OSError):
                connection.sendall(ask)
                assert b"200" not in connection.recv(4096)


def test_rules_are_replaced_while_traffic_flows(scene: Scene, served: Json) -> None:
    with Traffic(scene.client, served["vip_address"]) as traffic:
        with listener(scene, served, 8084) as made:
            for number in range(10):
                cidrs = [
                    f"{elsewhere(served).rpartition('/')[0]}/{64 if ':' in served['vip_address'] else 25 + number % 8}"
                ]
                update(scene, served, made["id"], allowed_cidrs=cidrs if number % 2 else None)
        traffic.await_more(20)
    assert traffic.failures == []


@pytest.fixture(scope="module")
def dual(scene: Scene) -> Iterator[Json]:
    """One listener on a VIP of each family."""
    extra = [{"subnet_id": scene.subnet("public-subnet6")}]
    members = [member("192.0.2.10", scene.subnet("members-subnet"), sriov=True)]
    with scene.balancer("h7", members, flavor_id=scene.flavor_id, additional_vips=extra) as balancer:
        yield balancer


def test_h7_an_ipv4_wildcard_does_not_admit_ipv6(scene: Scene, dual: Json) -> None:
    """What the IPv4 wildcard says is about IPv4."""
    listener_id = scene.listener_of(dual)
    vip4, vip6 = dual["vip_address"], dual["additional_vips"][0]["ip_address"]
    scene.await_answer(vip4)
    scene.await_answer(vip6)
    update(scene, dual, listener_id, allowed_cidrs=["0.0.0.0/0"])
    assert (scene.connects(vip4, 80), scene.connects(vip6, 80)) == (True, False)
    update(scene, dual, listener_id, allowed_cidrs=["::/0"])
    assert (scene.connects(vip4, 80), scene.connects(vip6, 80)) == (False, True)
    update(scene, dual, listener_id, allowed_cidrs=None)
    assert (scene.connects(vip4, 80), scene.connects(vip6, 80)) == (True, True)


def test_h3_and_h16_the_first_listener_opens_and_the_last_one_closes(scene: Scene) -> None:
    body = {"name": "h3", "vip_subnet_id": scene.subnet("public-subnet"), "flavor_id": scene.flavor_id}
    balancer = scene.demo.create("loadbalancers", **body)
    try:
        vip = balancer["vip_address"]
        scene.demo.await_active(balancer["id"])
        assert not scene.connects(vip, 80)
        made = scene.demo.create("listeners", loadbalancer_id=balancer["id"], protocol="HTTP", protocol_port=80)
        scene.demo.await_active(balancer["id"])
        assert scene.connects(vip, 80)
        scene.demo.delete("listeners", made["id"])
        scene.demo.await_active(balancer["id"])
        assert not scene.connects(vip, 80)
        rules = scene.rules(vip)
        assert "policy drop" in rules
    finally:
        scene.remove(balancer["id"])
