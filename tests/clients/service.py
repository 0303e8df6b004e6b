"""A running `hydria up --noop`, and trees of load balancers in it for clients to work on."""

import contextlib
import itertools
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydria.base import process
from hydria.cli.demo.client import CallFailed, Client
from hydria.cli.demo.stage import await_condition
from hydria.cli.up.state import StateDirectory
from hydria.model.amphora import Amphora
from hydria.model.load_balancer import LoadBalancer
from hydria.model.status import AmphoraStatus
from hydria.store import resources
from hydria.store.database import Database
from typist import Typist

START_SECONDS = 60.0
NETWORK, SUBNET = "clients-net", "clients-subnet"
PREFIX, OTHER_PREFIX = "203.0.113.0/24", "198.51.100.0/24"
ENVIRONMENT = {"HYDRIA_CONTROLLER__HEARTBEAT_INTERVAL": "1"}
"""Operating statuses are told by heartbeats."""
_VERBS = ("create", "list", "show", "set", "unset", "delete", "failover", "configure", "reset")
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Service:
    clouds: Path
    typist: Typist
    admin: Client
    demo: Client
    database: Database
    """The service's own."""
    ids: Mapping[str, str]
    """Of what all trees share: subnet, network, project ..."""

    def openstack(self, cloud: str, *arguments: str, check: bool = True) -> process.Completed:
        return self.typist.openstack(cloud, arguments, check=check)

    def type(self, cloud: str, line: str, ids: Mapping[str, str]) -> str:
        """What the command prints; as JSON where it has a choice. Its {names} are replaced."""
        words = [word.format(**ids) for word in line.split()]
        verb = next(word for word in words[1:] if word in _VERBS)
        formatted = verb in ("create", "list", "show") and words[1] != "status"
        return self.openstack(cloud, *words, *(("-f", "json") if formatted else ())).stdout

    def tree(self) -> dict[str, str]:
        """One of each resource, ACTIVE. Kind → id, and kind + "_name" → name where it has one."""
        name = f"t{next(_numbers)}"
        balancer = self.demo.create("loadbalancers", **_body(name, self.ids["subnet"]))
        self.demo.await_active(balancer["id"])
        (listener,) = balancer["listeners"]
        pool = next(pool for pool in balancer["pools"] if pool["name"] == f"{name}-pool")
        spare = next(pool for pool in balancer["pools"] if pool["name"] == f"{name}-spare")
        (policy,) = listener["l7policies"]
        (amphora,) = self.amphorae(balancer["id"])
        return {
            **self.ids,
            "name": name,
            "lb": balancer["id"],
            "generation": str(self.generation(balancer["id"])),
            "listener": listener["id"],
            "pool": pool["id"],
            "spare": spare["id"],
            "member": pool["members"][0]["id"],
            "monitor": pool["healthmonitor"]["id"],
            "policy": policy["id"],
            "rule": policy["rules"][0]["id"],
            "amphora": amphora["id"],
            "compute": amphora["compute_id"],
            "image": amphora["image_id"],
            **self._offers(name),
        }

    def _offers(self, name: str) -> dict[str, str]:
        profile = self.admin.create(
            "flavorprofiles", name=f"{name}-profile", provider_name="amphora", flavor_data='{"sriov_vip": false}'
        )
        flavor = self.admin.create("flavors", name=f"{name}-flavor", flavor_profile_id=profile["id"])
        zones = {"availability_zone_profile": _zone_profile(name)}
        made = self.admin.call("POST", "/v2/lbaas/availabilityzoneprofiles", zones)["availability_zone_profile"]
        zone = {"name": f"{name}-zone", "availability_zone_profile_id": made["id"]}
        self.admin.call("POST", "/v2/lbaas/availabilityzones", {"availability_zone": zone})
        unused = self.admin.create(
            "flavorprofiles", name=f"{name}-unused", provider_name="amphora", flavor_data='{"sriov_vip": false}'
        )
        idle = {"availability_zone_profile": {**_zone_profile(name), "name": f"{name}-idle"}}
        idle_id = self.admin.call("POST", "/v2/lbaas/availabilityzoneprofiles", idle)["availability_zone_profile"]["id"]
        return {
            "flavorprofile": profile["id"],
            "unused_flavorprofile": unused["id"],
            "flavor": flavor["id"],
            "azprofile": made["id"],
            "unused_azprofile": idle_id,
            "az": zone["name"],
        }

    def shown(self, path: str) -> Any:
        """What it is, in the operator's eyes; None where there is nothing."""
        try:
            return self.admin.get(path)
        except CallFailed as error:
            if error.status != 404:
                raise
            return None

    def amphorae(self, lb_id: str) -> Any:
        return self.admin.call("GET", f"/v2/octavia/amphorae?loadbalancer_id={lb_id}")["amphorae"]

    def generation(self, lb_id: str) -> int:
        """Of a load balancer: one more with each write that it has taken."""
        with self.database.read() as tx:
            found = resources.get(tx, LoadBalancer, lb_id)
        assert found is not None
        return found.generation

    def break_amphora(self, amphora_id: str) -> None:
        """No pretended one breaks by itself."""
        with self.database.write() as tx:
            assert resources.update(tx, Amphora, amphora_id, status=AmphoraStatus.ERROR)

    def await_shown(self, path: str, expected: Mapping[str, Any]) -> None:
        def now() -> Any:
            found = self.shown(path)
            return found and {name: found.get(name) for name in expected}

        await_condition(f"{path} shows {expected} (it shows {now()})", lambda: now() == expected, 20.0)

    def await_amphora_replaced(self, lb_id: str, amphora_id: str) -> None:
        def is_replaced() -> bool:
            found = self.amphorae(lb_id)
            return [one["status"] for one in found] == ["ALLOCATED"] and found[0]["id"] != amphora_id

        await_condition(f"amphora {amphora_id} of {lb_id} is replaced", is_replaced, 30.0)

    def await_gone(self, path: str) -> None:
        await_condition(f"{path} is gone", lambda: self.shown(path) is None, 20.0)


def _zone_profile(name: str) -> dict[str, str]:
    return {
        "name": f"{name}-zones",
        "provider_name": "amphora",
        "availability_zone_data": '{"compute_zone": "nova"}',
    }


def _body(name: str, subnet_id: str) -> dict[str, Any]:
    """Little in it is as it would be by default, so that commands that reset it have something to do."""
    member = {"address": "192.0.2.10", "protocol_port": 80, "weight": 7, "backup": True, "monitor_port": 8080}
    monitor = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 2, "http_method": "HEAD", "url_path": "/health"}
    pool = {"name": f"{name}-pool", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
    rule = {"type": "HEADER", "key": "X-Old", "compare_type": "EQUAL_TO", "value": "1", "invert": True}
    policy = {"action": "REDIRECT_TO_URL", "redirect_url": "http://a.example/", "redirect_http_code": 308}
    listener = {"protocol": "HTTP", "protocol_port": 80, "connection_limit": 100, "allowed_cidrs": ["203.0.113.0/24"]}
    policies = [{**policy, "name": f"{name}-policy", "description": "old", "rules": [rule]}]
    members = [{**member, "name": f"{name}-member"}]
    return {
        "name": name,
        "description": "old",
        "vip_subnet_id": subnet_id,
        "tags": ["old"],
        "listeners": [
            {**listener, "name": f"{name}-listener", "default_pool": {"name": pool["name"]}, "l7policies": policies}
        ],
        "pools": [
            {
                **pool,
                "session_persistence": {"type": "SOURCE_IP"},
                "members": members,
                "healthmonitor": {**monitor, "name": f"{name}-monitor"},
            },
            {**pool, "name": f"{name}-spare"},
        ],
    }


@contextlib.contextmanager
def running() -> Iterator[Service]:
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hydria-")))
        state = StateDirectory(root / "state")
        argv = [sys.executable, "-m", "hydria.cli.main", "up", "--noop", f"--state-dir={state.root}"]
        output = stack.enter_context((root / "up.log").open("wb"))
        up = process.start(
            argv, stdout=output.fileno(), stderr=output.fileno(), environment=ENVIRONMENT, new_session=True
        )
        stack.callback(up.wait)
        stack.callback(up.terminate)

        def is_ready() -> bool:
            assert up.poll() is None, (root / "up.log").read_text()
            return state.ready.exists()

        await_condition("hydria up is ready", is_ready, START_SECONDS)
        typist = Typist(state.clouds)
        stack.callback(typist.close)
        admin, demo = Client(state.clouds, "admin"), Client(state.clouds, "demo")
        config = state.load()
        assert config is not None
        database = Database(config.database.url)
        stack.callback(database.close)
        yield Service(state.clouds, typist, admin, demo, database, _shared(typist))


def _shared(typist: Typist) -> dict[str, str]:
    """What the official client looks up by name elsewhere than in the load balancer service."""

    def typed(*arguments: str) -> str:
        return typist.openstack("admin", [*arguments, "-f", "value", "-c", "id"]).stdout.strip()

    network = typed("network", "create", "--share", NETWORK)
    subnet = typed("subnet", "create", "--network", NETWORK, "--subnet-range", PREFIX, SUBNET)
    other = typed("subnet", "create", "--network", NETWORK, "--subnet-range", OTHER_PREFIX, f"{SUBNET}-2")
    return {
        "network": network,
        "subnet": subnet,
        "other_subnet": other,
        "port": typed("port", "create", "--network", NETWORK, "clients-port"),
        "group": typed("security", "group", "create", "clients-group"),
        "qos": typed("network", "qos", "policy", "create", "--share", "clients-qos"),
        "project": typed("project", "show", "demo"),
        "spare_project": typed("project", "create", "clients-project"),
    }
