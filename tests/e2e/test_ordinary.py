"""What an ordinary load balancer has in the cloud besides its ports: a security group, which follows its listeners."""

import json
from pathlib import Path
from typing import Any

from e2e.scene import Scene, command_line, inode_of, member, pids


def rules(scene: Scene, group: str) -> set[tuple[str, str, str, str]]:
    """As an operator sees them: what is let in."""
    listed = openstack(scene, "security", "group", "rule", "list", group, "--ingress", "--long")
    return {(one["Ethertype"], one["IP Protocol"], one["Port Range"], one["IP Range"]) for one in listed}


def openstack(scene: Scene, *words: str) -> Any:
    return json.loads(scene.stage.openstack("admin", [*words, "-f", "json"]).stdout)


def anybody(port: int, protocol: str = "tcp") -> set[tuple[str, str, str, str]]:
    return {
        ("IPv4", protocol, f"{port}:{port}", "0.0.0.0/0"),
        ("IPv6", protocol, f"{port}:{port}", "::/0"),
    }


ECHO = {("IPv4", "icmp", "type=8", "0.0.0.0/0"), ("IPv6", "ipv6-icmp", "type=128", "::/0")}


def test_the_security_group_of_an_ordinary_load_balancer_follows_its_listeners(scene: Scene) -> None:
    before = scene.security_groups()
    with scene.balancer("ordinary", [member("192.0.2.10", scene.subnet("members-subnet"))]) as balancer:
        scene.await_answer(balancer["vip_address"])
        name = f"lb-{balancer['id']}"
        (group,) = (one for one in scene.security_groups() if one["name"] == name)
        (base,) = (
            port
            for port in scene.octavia_ports()
            if port["name"].startswith("octavia-lb-vrrp-")
            and balancer["vip_address"] in {pair["ip_address"] for pair in port["allowed_address_pairs"]}
        )
        assert openstack(scene, "port", "show", base["id"])["security_group_ids"] == [group["id"]]
        assert rules(scene, group["id"]) == ECHO | anybody(80)
        scene.demo.create(
            "listeners",
            loadbalancer_id=balancer["id"],
            protocol="TCP",
            protocol_port=81,
            allowed_cidrs=["203.0.113.0/24"],
        )
        scene.demo.update("listeners", scene.listener_of(balancer), admin_state_up=False)
        scene.demo.await_active(balancer["id"])
        assert rules(scene, group["id"]) == ECHO | {("IPv4", "tcp", "81:81", "203.0.113.0/24")}
    assert scene.security_groups() == before


def test_haproxy_has_as_many_threads_as_the_flavor_has_vcpus(scene: Scene) -> None:
    flavor = {"id": "threads", "name": "threads", "vcpus": 3, "ram": 512, "disk": 3, "os-flavor-access:is_public": True}
    scene.service.call("POST", "/flavors", {"flavor": flavor}, service="compute")
    data = '{"compute_flavor": "threads"}'
    profile = scene.admin.create("flavorprofiles", name="threads", provider_name="amphora", flavor_data=data)
    made = scene.admin.create("flavors", name="threads", flavor_profile_id=profile["id"])
    with scene.balancer("threads", flavor_id=made["id"]) as balancer:
        scene.await_answer(balancer["vip_address"])
        here = int(scene.inside_amphora(balancer["vip_address"]).stat().st_ino)
        processes = [pid for pid in pids() if inode_of(pid) == here and "haproxy" in command_line(pid)]
        assert max(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in processes) == 3
        (amphora,) = scene.admin.call("GET", "/v2/octavia/amphorae")["amphorae"]
        assert amphora["compute_flavor"] == "threads"
