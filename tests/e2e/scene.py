"""What the end-to-end tests see of one Hydria: its users, its test hosts, the insides of its amphorae."""

import contextlib
import http.client
import os
import re
import shlex
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from hydria.base import process
from hydria.base.errors import Retryable
from hydria.cli.demo import guide
from hydria.cli.demo.client import CallFailed, Client, graph
from hydria.cli.demo.stage import PATIENCE, Stage, TestHost, await_condition
from hydria.fabric.kinds import fabric_of
from hydria.model.spec import VIP_INTERFACE
from hydria.sriov import namespaces
from hydria.sriov.netlink import Netlink

Json = dict[str, Any]
T = TypeVar("T")
BACKENDS = {"backend-a": "192.0.2.10", "backend-b": "192.0.2.11", "backend-c": "192.0.2.12"}

PROMPT = 0.3 + 0.1 * PATIENCE
"""Seconds within which whatever answers does so; what a firewall drops costs all of it."""


def url(address: str, port: int = 80, path: str = "/") -> str:
    return f"http://[{address}]:{port}{path}" if ":" in address else f"http://{address}:{port}{path}"


def member(address: str, subnet_id: str | None, *, sriov: bool = False, port: int = 80) -> Json:
    sent: Json = {"address": address, "protocol_port": port, "subnet_id": subnet_id}
    return {**sent, "request_sriov": True} if sriov else sent


@dataclass(frozen=True)
class Scene:
    stage: Stage
    admin: Client
    service: Client
    demo: Client
    client: TestHost
    flavor_id: str
    """SRIOV-public-members, made by the guide's commands."""
    said: dict[str, str] = field(default_factory=dict)
    """What the guide's commands printed."""

    def subnet(self, name: str) -> str:
        return str(self.demo.subnet(name)["id"])

    @contextlib.contextmanager
    def balancer(self, name: str, members: Sequence[Json] = (), **fields: Any) -> Iterator[Json]:
        """A load balancer with one HTTP listener and pool, ACTIVE; afterwards it is gone."""
        vip = fields.pop("vip_subnet_id", None) or self.subnet("public-subnet")
        made = self.demo.create("loadbalancers", **graph(name, vip, list(members), **fields))
        try:
            yield self.demo.await_active(made["id"])
        finally:
            self.remove(made["id"])

    def remove(self, lb_id: str) -> None:
        with contextlib.suppress(CallFailed):
            self.demo.delete("loadbalancers", lb_id, cascade=True)
        self.demo.await_gone(lb_id, seconds=60)

    def pool_of(self, balancer: Json) -> str:
        return str(balancer["pools"][0]["id"])

    def listener_of(self, balancer: Json) -> str:
        return str(balancer["listeners"][0]["id"])

    def members(self, balancer: Json) -> dict[str, Json]:
        """By address."""
        return {one["address"]: one for one in self.demo.get(f"/pools/{self.pool_of(balancer)}/members")}

    def add_member(self, balancer: Json, address: str, *, sriov: bool = False, subnet: str = "members-subnet") -> Json:
        made = self.demo.create(
            f"pools/{self.pool_of(balancer)}/members", **member(address, self.subnet(subnet), sriov=sriov)
        )
        self.demo.await_settled(balancer["id"])
        return dict(self.members(balancer)[made["address"]])

    def answers(self, address: str, requests: int = 1, port: int = 80) -> Counter[str]:
        """Who answered; every request on a connection of its own, and all of them must be answered."""
        return self.client.inside(lambda: Counter(get(address, port) for _ in range(requests)))

    def connects(self, address: str, port: int, *, seconds: float = PROMPT, host: TestHost | None = None) -> bool:
        """Whether a TCP connection is accepted; a firewall that drops costs the whole time."""
        return (host or self.client).inside(lambda: connects(address, port, seconds))

    def await_answer(self, address: str, port: int = 80, *, seconds: float = 10.0) -> None:
        await_condition(f"{address}:{port} answers", lambda: self.connects(address, port), seconds)

    def neighbour(self) -> TestHost:
        """A backend on network public, where VIPs are."""
        host = self.stage.add_host("neighbour", "public")
        host.serve()
        return host

    def await_operating(self, balancer: Json, wanted: dict[str, str], seconds: float = 20.0) -> None:
        """Until the members, by address, have these operating statuses: heartbeats bring them."""

        def reached() -> bool:
            return {address: one["operating_status"] for address, one in self.members(balancer).items()} == wanted

        await_condition(f"members are {wanted}", reached, seconds, 0.1)

    def await_statistics(self, balancer: Json, *, connections: int, seconds: float = 20.0) -> None:
        def counted() -> bool:
            stats = self.demo.get(f"/loadbalancers/{balancer['id']}/stats")
            return stats["total_connections"] >= connections and stats["bytes_out"] > 0

        await_condition(f"{connections} connections are counted", counted, seconds, 0.1)

    def vfs_in_use(self) -> dict[str, int]:
        """PF → VFs that some guest of ours has, as the kernel says."""
        pfs = fabric_of(self.stage.config).nics().scan()
        return {pf.name: sum(not vf.at_home and not vf.foreign for vf in pf.vfs) for pf in pfs}

    def inside_amphora(self, vip: str) -> Path:
        """The network namespace whose VIP interface has this address."""
        for path in namespaces.everywhere().values():
            with contextlib.suppress(namespaces.NoNamespace), Netlink(path) as netlink:
                link = netlink.link(VIP_INTERFACE)
                if link is None or link.tag is None or link.tag.fabric != self.stage.fabric:
                    continue  # another Hydria's, whose VIP may well be the same
                if any(text.split("/")[0] == vip for text in netlink.addresses(link.index)):
                    return path
        raise AssertionError(f"No amphora has the VIP {vip}.")

    def kinds(self, vip: str) -> dict[str, str]:
        """Interface → "vf" or "port", as the fabric marked it."""
        with Netlink(self.inside_amphora(vip)) as netlink:
            return {link.name: link.tag.kind for link in netlink.links() if link.tag}

    def rules(self, vip: str) -> str:
        return process.run(["nsenter", f"--net={self.inside_amphora(vip)}", "nft", "list", "ruleset"]).stdout

    def octavia_ports(self) -> list[Json]:
        ports = self.admin.call("GET", "/v2.0/ports", service="network")["ports"]
        return [port for port in ports if port["device_owner"] != "" or port["name"].startswith("octavia-")]

    def security_groups(self) -> list[Json]:
        """Those of load balancers."""
        groups = self.service.call("GET", "/v2.0/security-groups", service="network")["security_groups"]
        return [group for group in groups if group["name"].startswith("lb-")]

    def servers(self) -> list[Json]:
        return list(self.admin.call("GET", "/servers/detail?all_tenants=1", service="compute")["servers"])

    def left_over(self) -> Json:
        """Everything that exists only for load balancers. All empty where there is none."""
        return {
            "load balancers": [one["name"] for one in self.admin.get("/loadbalancers")],
            "amphorae": [one["id"] for one in self.admin.call("GET", "/v2/octavia/amphorae")["amphorae"]],
            "servers": [one["name"] for one in self.servers()],
            "ports": [port["name"] for port in self.octavia_ports()],
            "security groups": [group["name"] for group in self.security_groups()],
            "VFs": {pf: count for pf, count in self.vfs_in_use().items() if count},
            "guests": guest_processes(self.stage.fabric),
        }

    def await_nothing_left(self, seconds: float = 30.0) -> None:
        def is_empty() -> bool:
            return not any(insist(self.left_over).values())

        try:
            await_condition("nothing is left over", is_empty, seconds, 0.2)
        except Exception as error:
            raise AssertionError(f"left over: {self.left_over()}") from error

    def service_pid(self, name: str) -> int | None:
        """The child of `hydria up`; None while it is being started again."""
        for pid in children(self.stage.pid):
            with contextlib.suppress(OSError):
                if f"\0{name}\0" in Path(f"/proc/{pid}/cmdline").read_text():
                    return pid
        return None

    def kill_service(self, name: str) -> None:
        await_condition(f"{name} runs", lambda: self.service_pid(name) is not None, 40.0)
        pid = self.service_pid(name)
        if pid is not None:
            kill(pid)

    def kill_amphorae(self) -> None:
        """Everything that runs in them."""
        found = guest_processes(self.stage.fabric)
        assert found
        for pid in found:
            kill(pid)

    def agents(self) -> list[int]:
        """Process ids of the agents of this stage's amphorae; their supervisors, process 1 of each, are none."""
        own = f"{sys.executable} -I -m hydria.agent"
        return [pid for pid in guest_processes(self.stage.fabric) if command_line(pid).startswith(own)]


class Traffic:
    """`with Traffic(host, address) as traffic`: requests without a pause, each on a connection of its own."""

    def __init__(self, client: TestHost, address: str, port: int = 80) -> None:
        self._client, self._address, self._port = client, address, port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: client.inside(self._ask), name="traffic")
        self.answers: Counter[str] = Counter()
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self.await_more(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def await_more(self, answers: int, seconds: float = 20.0) -> None:
        """Returns when so many more requests were answered."""
        wanted = self.answers.total() + answers
        await_condition(f"{wanted} requests are answered", lambda: self.answers.total() >= wanted, seconds)

    def _ask(self) -> None:
        while not self._stop.wait(0.002):
            try:
                self.answers[get(self._address, self._port)] += 1
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")


def insist(action: Callable[[], T], seconds: float = 60.0) -> T:
    """Do it until it was answered: what a client does while a service is being started again, or a machine is busy."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return action()
        except (CallFailed, Retryable) as error:
            passing = isinstance(error, Retryable) or error.is_passing
            if not passing or time.monotonic() > deadline:
                raise
        threading.Event().wait(0.1)


def get(address: str, port: int = 80, seconds: float = 3.0 * PATIENCE) -> str:
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read().decode().strip()
    finally:
        connection.close()
    assert answer.status == 200, f"{answer.status} {body}"
    return body


def connects(address: str, port: int, seconds: float = PROMPT) -> bool:
    try:
        socket.create_connection((address, port), seconds).close()
    except OSError:
        return False
    return True


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(child) for child in (task / "children").read_text().split()]
    return found


def is_agent(line: str) -> bool:
    return "python" in line.partition(" ")[0] and "-m hydria.agent" in line


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


def guest_processes(fabric: str) -> list[int]:
    """Processes in network namespaces that hold a management NIC or a VIP of this fabric: those of its amphorae."""
    inodes = set()
    guests = namespaces.everywhere()
    # Ours has the normal ports' other ends, where the bridges are the machine's own.
    guests.pop(namespaces.inode(namespaces.OWN), None)
    for number, path in guests.items():
        with contextlib.suppress(namespaces.NoNamespace), Netlink(path) as netlink:
            tags = [link.tag for link in netlink.links() if link.tag and link.tag.fabric == fabric]
            if any(tag.kind in {"port", "vf"} for tag in tags) and not any(tag.kind == "bridge" for tag in tags):
                inodes.add(number)
    return [pid for pid in pids() if inode_of(pid) in inodes]


def kill(pid: int) -> None:
    """It may have ended with another one, its parent."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def inode_of(pid: int) -> int:
    try:
        text = str(Path(f"/proc/{pid}/ns/net").readlink())
    except OSError:
        return 0
    return int(re.sub(r"\D", "", text))


def type_guide(stage: Stage, steps: Sequence[guide.Step]) -> dict[str, str]:
    """Type the commands with the official client. Command → what it printed."""
    return {line: stage.openstack(step.cloud, shlex.split(line)[1:]).stdout for step in steps for line in step.commands}
