"""Real bubblewrap containers on a real software fabric, driven by the compute service."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from machine import ip, run

from hydria.base import config, process
from hydria.base.errors import Terminal
from hydria.cloud.compute.flavors import CreateFlavor
from hydria.cloud.compute.resources import Server
from hydria.cloud.compute.servers import AttachInterface, CreateServer, ServerNetwork, status
from hydria.cloud.compute.service import Compute
from hydria.cloud.context import CLOUD, Context
from hydria.cloud.database import Database
from hydria.cloud.hypervisor import guest
from hydria.cloud.hypervisor.guest import Machine
from hydria.cloud.hypervisor.namespace import Namespace
from hydria.cloud.image.service import Images
from hydria.cloud.network.resources import Port
from hydria.cloud.network.service import Network
from hydria.fabric.software import SoftwareFabric

pytestmark = pytest.mark.root

PROJECT = "1" * 32
ADMIN = Context(user_id="u1", project_id=PROJECT, roles=frozenset({"admin"}))

PROGRAM = """
echo "program runs as $$ on $(hostname)"
cat /etc/hydria/agent.json
# What an agent starts and what has to outlive it.
if [ ! -e /run/child ]; then setsid sleep 1000 & echo $! >/run/child; fi
exec sleep 1001
"""


class Place:
    """What survives a restart of the service, and the service."""

    hypervisor: Literal["namespace", "qemu"] = "namespace"
    image: str | None = None

    def __init__(self, directory: Path, fabric: SoftwareFabric) -> None:
        self.directory = directory
        self.fabric = fabric
        self.config = config.Config(
            cloud=config.Cloud(
                database_url=f"sqlite:///{directory}/cloud.db",
                state_dir=str(directory),
                hosts=(config.Host(name="host1", pfs=fabric.pfs),),
                hypervisor=self.hypervisor,
                namespace_agent=("/bin/sh", "-c", PROGRAM),
            ),
            fabric=config.Fabric(kind="software", name=fabric.name),
        )
        self.open()
        self.database.create_tables()
        self.networks = {name: self._network(name, number) for number, name in enumerate(("mgmt", "public", "members"))}
        flavor = CreateFlavor(name="amphora", ram=256, vcpus=1, disk=0)
        self.flavor = self.compute.flavors.create(ADMIN, flavor).id
        self.compute.start()

    def open(self) -> None:
        self.database = Database(self.config.cloud.database_url)
        self.network = Network(self.config, self.database)
        self.images = Images(self.config.cloud, self.database)
        self.compute = Compute(
            cloud=self.config.cloud,
            database=self.database,
            network=self.network,
            images=self.images,
            nics=self.fabric.nics(),
            fabric=self.fabric,
        )

    def close(self) -> None:
        self.compute.close()
        self.database.close()

    def restart(self) -> None:
        self.close()
        self.open()
        self.compute.start()

    def _network(self, name: str, number: int) -> str:
        physical = {"provider:physical_network": name, "provider:network_type": "flat"}
        network = self.network.networks.create(CLOUD, {"name": name, "project_id": PROJECT, **physical})
        subnet = {"network_id": network.id, "project_id": PROJECT, "ip_version": 4, "cidr": f"198.51.{number}.0/24"}
        self.network.subnets.create(CLOUD, subnet)
        return network.id

    def port(self, network: str, vnic_type: str = "direct") -> Port:
        return self.network.create_port(network_id=self.networks[network], project_id=PROJECT, vnic_type=vnic_type)

    def create(self, *ports: Port) -> str:
        content = {"write_files": [{"path": "/etc/hydria/agent.json", "content": '{"key": "secret"}\n'}]}
        form = CreateServer(
            name="amphora-1",
            flavorRef=self.flavor,
            imageRef=self.image,
            networks=[ServerNetwork(uuid=self.networks["mgmt"]), *(ServerNetwork(port=port.id) for port in ports)],
            user_data=base64.b64encode(f"#cloud-config\n{json.dumps(content)}".encode()).decode(),
            config_drive=True,
        )
        return self.compute.servers.create(ADMIN, form, {}).id

    def boot(self, *ports: Port) -> Server:
        server_id = self.create(*ports)
        until(lambda: self.server(server_id).task_state is None)
        server = self.server(server_id)
        assert server.vm_state == "active", server.fault
        return server

    def server(self, server_id: str) -> Server:
        return self.compute.servers.get(ADMIN, server_id)

    def attach(self, server: Server, port: Port) -> None:
        self.compute.servers.attach(ADMIN, server.id, AttachInterface(port_id=port.id))

    def console(self, server: Server) -> str:
        return self.compute.servers.console(ADMIN, server.id, None)


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        pause.wait(0.005)


@pytest.fixture
def place(tmp_path: Path, fabric: SoftwareFabric) -> Iterator[Place]:
    made = Place(tmp_path, fabric)
    try:
        yield made
    finally:
        for server in made.compute.servers.all(ADMIN, {}):
            made.compute.servers.delete(ADMIN, server.id)
        until(lambda: not made.compute.servers.all(ADMIN, {}))
        made.close()


def inside(server: Server, line: str, *, check: bool = True) -> str:
    """Run in all namespaces of the server."""
    return run(f"nsenter -t {server.pid} -n -m -u -i -p -r -w {line}", check=check)


def links(server: Server) -> dict[str, dict]:
    return {link["address"]: link for link in json.loads(ip("-j -d addr", pid=server.pid)) if link["ifname"] != "lo"}


def program(server: Server) -> int:
    """Pid, as we see it, of the program that process 1 keeps running."""
    return next((pid for pid in children(server.pid) if cmdline(pid) == b"sleep\x001001\x00"), 0)


def children(pid: int | None) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cmdline(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def test_boot(place: Place) -> None:
    vip = place.port("public")
    server = place.boot(vip)
    until(lambda: program(server))
    assert inside(server, "hostname") == "amphora-1\n"
    (management,) = (port for port in place.network.ports_of_device(server.id) if port.id != vip.id)
    found = links(server)
    assert found[management.mac_address]["ifname"] == "eth0"
    addresses = [item["local"] for item in found[management.mac_address]["addr_info"] if item["family"] == "inet"]
    assert addresses == [management.fixed_ips[0].ip_address]
    assert found[vip.mac_address]["linkinfo"]["info_kind"] == "macvlan"
    assert found[vip.mac_address]["operstate"] == "DOWN"
    until(lambda: '{"key": "secret"}' in place.console(server))
    assert inside(server, "stat -c %a /etc/hydria/agent.json") == "600\n"


@pytest.mark.parametrize(
    "path",
    [
        "{directory}",
        "/root/.ssh",
        "/home",
        "/etc/shadow",
        "/etc/ssl/private",
        "/sys/class",
        "{host_secret}",
    ],
)
def test_host_is_not_visible(place: Place, tmp_path_factory: pytest.TempPathFactory, path: str) -> None:
    secret = tmp_path_factory.mktemp("host") / "secret"
    secret.write_text("x")
    server = place.boot()
    name = path.format(directory=place.directory, host_secret=secret)
    assert inside(server, f"ls -d {name}", check=False) == ""


def test_writable_only_where_it_should_be(place: Place) -> None:
    server = place.boot()
    for name in ("/x", "/usr/x", "/etc/x", "/bin/x", "/proc/sys/kernel/panic"):
        assert process_status(server, f"touch {name}") != 0, name
    for name in ("/run/x", "/tmp/x", "/var/x", "/etc/hydria/x"):  # noqa: S108 - the guest's own
        assert process_status(server, f"touch {name}") == 0
    assert not Path("/run/x").exists()
    assert (place.directory / "servers" / server.id / "var" / "x").exists()


def process_status(server: Server, line: str) -> int:
    return process.run(["nsenter", "-t", str(server.pid), "-a", *line.split()], check=False).status


def test_capabilities(place: Place) -> None:
    server = place.boot()
    status_file = Path(f"/proc/{server.pid}/status").read_text()
    effective = int(next(line for line in status_file.splitlines() if line.startswith("CapEff")).split()[1], 16)
    for name, number in {"SYS_MODULE": 16, "SYS_RAWIO": 17, "SYS_PTRACE": 19, "SYS_TIME": 25, "MKNOD": 27}.items():
        assert not effective & 1 << number, name
    for name, number in {"NET_ADMIN": 12, "NET_RAW": 13, "SYS_ADMIN": 21}.items():
        assert effective & 1 << number, name


def test_hot_plug_and_unplug_wherever_the_agent_put_it(place: Place) -> None:
    server = place.boot()
    direct, normal = place.port("members"), place.port("members", "normal")
    for port in (direct, normal):
        place.attach(server, port)
        name = links(server)[port.mac_address]["ifname"]
        if not Path(f"/proc/{server.pid}/root/run/netns/amphora-haproxy").exists():
            inside(server, "ip netns add amphora-haproxy")
        inside(server, f"ip link set {name} netns amphora-haproxy")
        assert port.mac_address in inside(server, "ip -n amphora-haproxy link")
    for port in (direct, normal):
        place.compute.servers.detach(ADMIN, server.id, port.id)
        assert port.mac_address not in inside(server, "ip -n amphora-haproxy link")
    assert len(links(server)) == 1
    assert all(vf.at_home for pf in place.fabric.nics().scan() for vf in pf.vfs)


def test_nftables_works_in_the_nested_namespace(place: Place) -> None:
    server = place.boot()
    inside(server, "ip netns add amphora-haproxy")
    inside(server, "ip netns exec amphora-haproxy nft add table inet amphora")
    assert "amphora" in inside(server, "ip netns exec amphora-haproxy nft list tables")
    assert process_status(server, "ip netns exec amphora-haproxy sysctl -qw net.ipv4.ip_nonlocal_bind=1") == 0


def test_killed_program_is_started_again_and_the_rest_lives_on(place: Place) -> None:
    server = place.boot()
    until(lambda: program(server))
    before = program(server)
    child = inside(server, "cat /run/child").strip()
    os.kill(before, signal.SIGKILL)
    until(lambda: program(server) not in {0, before})
    assert process_status(server, f"test -d /proc/{child}") == 0
    assert status(place.server(server.id)) == "ACTIVE"


def test_killed_guest_is_noticed_and_can_be_started(place: Place) -> None:
    vip = place.port("public")
    server = place.boot(vip)
    inside(server, "touch /var/kept")
    os.kill(server.pid or 0, signal.SIGKILL)
    until(lambda: status(place.server(server.id)) == "SHUTOFF", 1.0)
    assert all(vf.at_home for pf in place.fabric.nics().scan() for vf in pf.vfs)
    place.compute.servers.start(ADMIN, server.id)
    until(lambda: status(place.server(server.id)) == "ACTIVE")
    again = place.server(server.id)
    assert vip.mac_address in links(again)
    assert process_status(again, "test -e /var/kept") == 0


def test_survives_a_restart_of_the_service(place: Place) -> None:
    server = place.boot(place.port("public"))
    place.restart()
    after = place.server(server.id)
    assert (after.guest, status(after)) == (server.guest, "ACTIVE")
    place.attach(after, place.port("members"))
    assert len(links(after)) == 3
    os.kill(after.pid or 0, signal.SIGKILL)
    until(lambda: status(place.server(server.id)) == "SHUTOFF", 1.0)


def test_delete_leaves_nothing(place: Place) -> None:
    before = processes()
    server = place.boot(place.port("public"), place.port("members", "normal"))
    assert server.guest is not None
    place.compute.servers.delete(ADMIN, server.id)
    until(lambda: not place.compute.hypervisor.servers())
    assert not guest.alive(server.guest)
    assert all(vf.at_home for pf in place.fabric.nics().scan() for vf in pf.vfs)
    assert place.fabric.ports() == frozenset()
    assert list((place.directory / "servers").iterdir()) == []
    until(lambda: processes() <= before)


def processes() -> set[bytes]:
    """Command lines that bear this test's marks."""
    pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return {line for pid in pids if b"program runs as" in (line := cmdline(pid))}


MAKER = """
import sys, time
from pathlib import Path
from hydria.cloud.hypervisor.guest import Machine
from hydria.cloud.hypervisor.namespace import Namespace
hypervisor = Namespace(Path(sys.argv[1]), ("/bin/sleep", "1002"))
hypervisor.prepare("half-made", b"")
with hypervisor.booting(Machine("half-made", "x", 1, 64)) as child:
    print(child.pid, child.started, flush=True)
    sys.stdin.read()
"""


def test_guest_ends_when_whoever_makes_it_is_killed(tmp_path: Path) -> None:
    maker = process.start([sys.executable, "-c", MAKER, str(tmp_path)], stdin=process.PIPE, stdout=process.PIPE)
    assert maker.stdout is not None
    assert maker.stdin is not None
    with maker.stdout, maker.stdin:
        child = guest.Guest(*map(int, maker.stdout.readline().split()))
        assert guest.alive(child)
        maker.kill()
        maker.wait()
        until(lambda: not guest.alive(child))


def test_sandbox_that_cannot_be_made_is_a_fault_with_its_reason(place: Place) -> None:
    hosts = place.directory / "servers" / "broken" / "var"
    place.compute.hypervisor.prepare("broken", b"")
    shutil.rmtree(hosts)
    with (
        pytest.raises(Terminal, match="Can't find source path"),
        place.compute.hypervisor.booting(guest.Machine("broken", "x", 1, 64)),
    ):
        pass
    place.compute.hypervisor.remove("broken")


def test_link_of_a_pf_shows_on_its_ports_within_a_second(place: Place) -> None:
    port = place.port("public")
    place.boot(port)
    for state, status_ in (("down", "DOWN"), ("up", "ACTIVE")):
        ip(f"-n {place.fabric.name} link set wpf-public {state}")
        until(lambda wanted=status_: place.network.port(port.id).status == wanted, 1.0)  # type: ignore[misc]
    (host,) = place.compute.hosts.capacity()
    assert [(one.pf.name, one.count("claimed"), one.usable) for one in host.pfs] == [
        ("pf-members", 0, 3),
        ("pf-public", 1, 2),
    ]


def test_hostname_of_this_machine_is_untouched(place: Place) -> None:
    before = socket.gethostname()
    place.boot()
    assert socket.gethostname() == before


def test_guest_is_kept_on_the_cpus_of_a_node(tmp_path: Path) -> None:
    *_, cpu = sorted(os.sched_getaffinity(0))
    for node, cpus in ((0, "0"), (1, str(cpu)), (2, "")):
        (tmp_path / f"sys/node{node}").mkdir(parents=True)
        (tmp_path / f"sys/node{node}/cpulist").write_text(f"{cpus}\n")
    hypervisor = Namespace(tmp_path / "servers", ("/bin/sh", "-c", "exec sleep 1002"), tmp_path / "sys")
    assert hypervisor.nodes() == {0: {0}, 1: {cpu}}
    hypervisor.prepare("s1", b"")
    with hypervisor.booting(Machine("s1", "amphora", 1, 64)) as child:
        hypervisor.pin(child, 1)
        hypervisor.pin(child, 7)
    try:
        until(lambda: children(child.pid))
        (program,) = children(child.pid)
        assert [os.sched_getaffinity(pid) for pid in (child.pid, program)] == [{cpu}, {cpu}]
        assert os.sched_getaffinity(0) != {cpu} or os.cpu_count() == 1
    finally:
        hypervisor.kill(child)
        hypervisor.remove("s1")
