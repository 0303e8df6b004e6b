"""`hydria up --noop` without any capability: everything of the API, any id, and all of it after a restart."""

import os
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import pytest

from hydria.base import process
from hydria.cli.demo.client import CallFailed, Client
from hydria.cli.demo.stage import Stage, await_condition
from hydria.model.l7 import Action
from hydria.model.listener import ListenerProtocol
from hydria.model.pool import Algorithm
from hydria.model.rules import MONITOR_TYPES, POOL_PROTOCOLS

WITHOUT_CAPABILITIES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")


RULE = {"type": "PATH", "compare_type": "REGEX", "value": "/a"}


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDRIA_CONTROLLER__HEARTBEAT_INTERVAL", "1")
        with Stage("noop", noop=True, prefix=WITHOUT_CAPABILITIES if os.geteuid() == 0 else ()) as made:
            yield made


@pytest.fixture(scope="module")
def demo(stage: Stage) -> Client:
    return Client(stage.state.clouds, "demo")


@pytest.fixture(scope="module")
def admin(stage: Stage) -> Client:
    return Client(stage.state.clouds, "admin")


def id_() -> str:
    return str(uuid.uuid4())


def everything() -> dict[str, Any]:
    """A graph with each protocol, algorithm and action."""
    algorithms = get_args(Algorithm)
    listeners = []
    for number, protocol in enumerate(get_args(ListenerProtocol)):
        listener: dict[str, Any] = {"protocol": protocol, "protocol_port": 1000 + number}
        if protocol == "TERMINATED_HTTPS":
            listener["default_tls_container_ref"] = f"https://keys.example.org/v1/containers/{id_()}"
        if protocol == "HTTP":
            listener["l7policies"] = [
                {"action": action, **_target(action), "rules": [dict(RULE)]} for action in get_args(Action)
            ]
        for kind in POOL_PROTOCOLS[protocol][:1]:
            listener["default_pool"] = _pool(f"pool-{protocol}", kind, algorithms[number % len(algorithms)])
        listeners.append(listener)
    return {"name": "everything", "vip_subnet_id": id_(), "listeners": listeners, "admin_state_up": True}


def _target(action: str) -> dict[str, Any]:
    return {
        "REJECT": {},
        "REDIRECT_TO_POOL": {"redirect_pool": _pool("other", "HTTP", "SOURCE_IP_PORT")},
        "REDIRECT_TO_URL": {"redirect_url": "https://www.example.org/"},
        "REDIRECT_PREFIX": {"redirect_prefix": "https://www.example.org"},
    }[action]


def _pool(name: str, protocol: str, algorithm: str) -> dict[str, Any]:
    monitor = {"type": MONITOR_TYPES[protocol][-1], "delay": 5, "timeout": 3, "max_retries": 2}
    members = [
        {"address": "192.0.2.10", "protocol_port": 80, "subnet_id": id_()},
        {"address": "2001:db8::10", "protocol_port": 80},
    ]
    return {"name": name, "protocol": protocol, "lb_algorithm": algorithm, "members": members, "healthmonitor": monitor}


@pytest.fixture(scope="module")
def balancer(demo: Client) -> Any:
    made = demo.create("loadbalancers", **everything())
    return demo.await_active(made["id"])


def tree(client: Client, id_: str) -> Any:
    return client.get(f"/loadbalancers/{id_}/status")["loadbalancer"]


def statuses(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        if "provisioning_status" in value:
            yield value["provisioning_status"], value["operating_status"]
        for item in value.values():
            yield from statuses(item)
    elif isinstance(value, list):
        for item in value:
            yield from statuses(item)


def online(client: Client, id_: str) -> bool:
    return set(statuses(tree(client, id_))) == {("ACTIVE", "ONLINE")}


def test_everything_is_served_and_comes_online(demo: Client, balancer: Any) -> None:
    await_condition("all is ONLINE", lambda: online(demo, balancer["id"]), 30.0)
    assert len(balancer["listeners"]) == len(get_args(ListenerProtocol))
    assert len(demo.get("/l7policies")) == len(get_args(Action))
    stats = demo.get(f"/loadbalancers/{balancer['id']}/stats")
    assert set(stats.values()) == {0}


VIPS = [
    pytest.param({"vip_subnet_id": "@"}, id="subnet"),
    pytest.param({"vip_network_id": "@"}, id="network"),
    pytest.param({"vip_port_id": "@"}, id="port"),
    pytest.param({"vip_subnet_id": "@", "vip_network_id": "@"}, id="subnet and network"),
    pytest.param({"vip_subnet_id": "@", "vip_network_id": "@", "vip_port_id": "@"}, id="all three"),
    pytest.param({"vip_subnet_id": "@", "vip_address": "198.51.100.7"}, id="IPv4 address"),
    pytest.param({"vip_subnet_id": "@", "vip_network_id": "@", "vip_address": "2001:db8:33::33"}, id="IPv6 address"),
    pytest.param({"vip_network_id": "@", "vip_address": "2001:db8:33::33"}, id="IPv6 address in a network"),
    pytest.param({"vip_port_id": "@", "vip_address": "2001:db8:33::33"}, id="IPv6 address of a port"),
    pytest.param(
        {
            "vip_subnet_id": "@",
            "additional_vips": [{"subnet_id": "@", "ip_address": "2001:db8::9"}, {"subnet_id": "@"}],
        },
        id="more VIPs",
    ),
    pytest.param({"vip_network_id": "@", "additional_vips": [{"subnet_id": "@"}]}, id="network and one more VIP"),
    pytest.param({"vip_subnet_id": "@", "vip_qos_policy_id": "@", "vip_sg_ids": ["@"]}, id="policy and groups"),
]


def filled(value: Any) -> Any:
    """With an id that nobody has heard of for each @."""
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    return id_() if value == "@" else value


@pytest.mark.parametrize("vip", VIPS)
def test_any_vip(demo: Client, vip: Mapping[str, Any]) -> None:
    asked = filled(vip)
    made = demo.create("loadbalancers", **asked)
    active = demo.await_active(made["id"])
    assert {name: active[name] for name in asked if name != "additional_vips"} == {
        name: value for name, value in asked.items() if name != "additional_vips"
    }
    assert active["vip_address"]
    assert [vip["subnet_id"] for vip in active["additional_vips"]] == [
        vip["subnet_id"] for vip in asked.get("additional_vips", ())
    ]
    demo.delete("loadbalancers", made["id"])
    demo.await_gone(made["id"])


def test_failover(demo: Client, admin: Client, balancer: Any) -> None:
    (before,) = amphorae(admin, balancer["id"])
    admin.call("PUT", f"/v2/lbaas/loadbalancers/{balancer['id']}/failover")
    demo.await_active(balancer["id"])
    (after,) = amphorae(admin, balancer["id"])
    assert after["id"] != before["id"]
    assert (after["status"], after["role"]) == ("ALLOCATED", before["role"])


def amphorae(admin: Client, lb_id: str) -> Any:
    return admin.call("GET", f"/v2/octavia/amphorae?loadbalancer_id={lb_id}")["amphorae"]


def test_all_is_there_after_a_restart(stage: Stage, demo: Client, admin: Client, balancer: Any) -> None:
    before, machines = tree(demo, balancer["id"]), amphorae(admin, balancer["id"])
    stage.stop()
    stage.start()
    assert names(tree(demo, balancer["id"])) == names(before)
    demo.update("loadbalancers", balancer["id"], description="after the restart")
    demo.await_active(balancer["id"])
    await_condition("all is ONLINE", lambda: online(demo, balancer["id"]), 30.0)
    assert [one["id"] for one in amphorae(admin, balancer["id"])] == [one["id"] for one in machines]


def names(value: Any) -> Any:
    """Without what heartbeats change."""
    if isinstance(value, dict):
        return {key: names(item) for key, item in value.items() if key != "operating_status"}
    return [names(item) for item in value] if isinstance(value, list) else value


def test_two_amphorae_are_not_pretended(admin: Client, demo: Client) -> None:
    data = '{"loadbalancer_topology": "ACTIVE_STANDBY"}'
    profile = admin.create("flavorprofiles", name="two", provider_name="amphora", flavor_data=data)
    flavor = admin.create("flavors", name="two", flavor_profile_id=profile["id"])
    with pytest.raises(CallFailed, match=r"501 .*ACTIVE_STANDBY"):
        demo.create("loadbalancers", vip_subnet_id=id_(), flavor_id=flavor["id"])


def test_the_official_client(stage: Stage, balancer: Any) -> None:
    said = stage.openstack("demo", ["loadbalancer", "list", "-f", "value", "-c", "id", "-c", "provisioning_status"])
    assert f"{balancer['id']} ACTIVE" in said.stdout
    stage.openstack("demo", ["loadbalancer", "create", "--vip-subnet-id", "public-subnet", "--wait"])


def test_members_as_a_set(demo: Client, balancer: Any) -> None:
    pool = demo.get(f"/pools?loadbalancer_id={balancer['id']}&name=pool-TCP")[0]
    members = [{"address": f"192.0.2.{number}", "protocol_port": 81, "subnet_id": id_()} for number in range(1, 100)]
    demo.call("PUT", f"/v2/lbaas/pools/{pool['id']}/members", {"members": members})
    demo.await_active(balancer["id"])
    assert len(demo.get(f"/pools/{pool['id']}/members")) == 99


def test_pretended_and_real_do_not_mix(stage: Stage) -> None:
    copy = stage.root / "copy"
    copy.mkdir()
    shutil.copy(stage.state.config, copy)
    argv = [sys.executable, "-m", "hydria.cli.main", "up", f"--state-dir={copy}"]
    done = process.run(argv, timeout=60, check=False)
    assert done.returncode != 0
    assert "made with --noop" in done.stdout + done.stderr


def test_delete(demo: Client, balancer: Any) -> None:
    with pytest.raises(CallFailed, match="has children"):
        demo.delete("loadbalancers", balancer["id"])
    demo.delete("loadbalancers", balancer["id"], cascade=True)
    demo.await_gone(balancer["id"])
    assert demo.get("/pools") == []
