"""One amphora, as the embedded cloud makes it: a bubblewrap container with the real agent, and who speaks to it.

NICs are plugged by the test.
"""

import contextlib
import datetime as dt
import http.client
import itertools
import json
import os
import select
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from hydria.base import process
from hydria.cli.demo.stage import PATIENCE
from hydria.model.heartbeat import Heartbeat, unseal
from hydria.model.spec import (
    AgentConfig,
    Heartbeats,
    Interface,
    ListenerSpec,
    MemberSpec,
    Observed,
    PoolSpec,
    Route,
    Spec,
)
from root.amphora_network import CONTROLLER, World, world

KEY = "heartbeat-key-of-the-test"
AMPHORA = "4b1d3a52-0c5e-4a55-9d0e-4c1f4f6b8a10"
VIP, VIP6 = "203.0.113.100", "2001:db8:1::100"
VIP_MAC, MEMBER_MAC = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"
AGENT = ("198.18.0.10", 9443)
CAPABILITIES = (
    *("NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SYS_ADMIN", "SYS_CHROOT", "SETUID", "SETGID"),
    *("KILL", "CHOWN", "FOWNER", "DAC_OVERRIDE"),
)
SUPERVISOR = 'while :; do "$@"; echo "agent ended with $?"; read -t 0.05 _ </dev/zero; done'
generations = itertools.count(1)
"""Of specs, for all tests: an agent heeds no older one than it has."""


class Certificates:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        self.ca = directory / "ca.pem"
        self.ca.write_bytes(self._sign(self._name, self._key, authority=True).public_bytes(serialization.Encoding.PEM))
        self.amphora = self.issue(AMPHORA)
        self.controller = self.issue("hydria-controller")

    def issue(self, name: str) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, san=name)
        path = self._directory / f"{name}.pem"
        private = serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption())
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + pem)
        return path

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool = False, san: str | None = None
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if san is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(san)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def client(self, certificate: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.load_cert_chain(certificate)
        return context


class Amphora:
    """The container with the agent in it. `kill_agent` is -9: its supervisor starts it again."""

    def __init__(self, world: World, certificates: Certificates, *, nftables: bool = True) -> None:
        self.world, self.certificates = world, certificates
        self._var = world.directory / "var"
        self._var.mkdir()
        self._configuration = world.directory / "configuration"
        self._configuration.mkdir()
        programs = self._configuration / "programs"
        programs.mkdir()
        for name in ("haproxy", *(["nft"] if nftables else [])):
            (programs / name).symlink_to(f"/usr/sbin/{name}")
        self._path = "/run/configuration/programs:/usr/bin:/bin"
        for name, source in (("server.pem", certificates.amphora), ("ca.pem", certificates.ca)):
            (self._configuration / name).write_bytes(source.read_bytes())
        config = AgentConfig(
            amphora_id=AMPHORA,
            heartbeat_key=KEY,
            certificate="/run/configuration/server.pem",
            ca_certificate="/run/configuration/ca.pem",
        )
        (self._configuration / "agent.json").write_bytes(msgspec.json.encode(config))
        self.log = world.directory / "agent.log"
        self.pid = 0
        self._bwrap: process.Process | None = None
        self._connection: http.client.HTTPSConnection | None = None
        self.boot()
        world.stack.callback(self.shut_down)

    def boot(self) -> None:
        read, write = os.pipe()
        command = [
            *("bwrap", "--unshare-net", "--unshare-pid", "--unshare-uts", "--unshare-ipc", "--as-pid-1"),
            *("--cap-drop", "ALL", *(word for name in CAPABILITIES for word in ("--cap-add", f"CAP_{name}"))),
            *("--ro-bind", "/", "/", "--tmpfs", "/run", "--dir", "/run/netns", "--bind", str(self._var), "/var"),
            *("--ro-bind", str(self._configuration), "/run/configuration", "--dev", "/dev", "--proc", "/proc"),
            *("--bind", "/proc/sys/net", "/proc/sys/net", "--setenv", "PATH", self._path),
            *("--info-fd", str(write), "--chdir", "/", "--", "/bin/bash", "-c"),
            *("read _; " + SUPERVISOR, "supervisor"),
            *(sys.executable, "-m", "hydria.agent", "--config", "/run/configuration/agent.json"),
        ]
        with self.log.open("ab") as log:
            self._bwrap = process.start(
                command,
                stdin=process.PIPE,
                stdout=log.fileno(),
                stderr=log.fileno(),
                pass_fds=(write,),
                environment={"PYTHONPATH": str(Path(__file__).parents[2])},
            )
        os.close(write)
        with os.fdopen(read) as info:
            self.pid = int(json.load(info)["child-pid"])
        self.world.plug("mgmt", "eth0", netns=str(self.pid))
        where = ["nsenter", "-t", str(self.pid), "-n", "ip"]
        process.run([*where, "address", "add", f"{AGENT[0]}/24", "dev", "eth0"])
        process.run([*where, "link", "set", "lo", "up"])
        process.run([*where, "link", "set", "eth0", "up"])
        assert self._bwrap.stdin is not None
        self._bwrap.stdin.write(b"\n")
        self._bwrap.stdin.flush()

    def plug_vip(self) -> str:
        return self.world.plug("public", "ens9", netns=str(self.pid), mac=VIP_MAC)

    def unplug_vip(self) -> None:
        self.world.unplug(VIP_MAC)

    def plug_members(self) -> str:
        return self.world.plug("members", "ens8", netns=str(self.pid), mac=MEMBER_MAC)

    def shut_down(self) -> None:
        """As a power cut."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._bwrap is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            assert self._bwrap.stdin is not None
            self._bwrap.stdin.close()
            self._bwrap.wait(10)
            self._bwrap = None

    def reboot(self) -> None:
        self.shut_down()
        self.boot()

    def run(self, *argv: str, stdin: str = "", check: bool = True) -> process.Completed:
        """Inside amphora-haproxy."""
        enter = ["nsenter", "-t", str(self.pid), "-n", "-m", "-p", "nsenter", "--net=/run/netns/amphora-haproxy"]
        return process.run([*enter, *argv], stdin=stdin, check=check)

    def pids(self, program: str) -> list[int]:
        """Of that command line, as the machine numbers them."""
        found = []
        ours = Path(f"/proc/{self.pid}/ns/pid").readlink()
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and (entry / "ns/pid").readlink() == ours:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if program.encode() in words[:3] and Path(words[0].decode()).name != "bash":
                        found.append(int(entry.name))
        return found

    def kill_agent(self) -> None:
        (agent,) = self.pids("hydria.agent")
        descriptor = os.pidfd_open(agent)
        os.kill(agent, signal.SIGKILL)
        select.select([descriptor], [], [], 10)
        os.close(descriptor)

    def call(
        self, method: str, path: str, body: bytes | None = None, certificate: Path | None = None
    ) -> tuple[int, bytes]:
        context = self.certificates.client(certificate or self.certificates.controller)

        def connect() -> http.client.HTTPSConnection:
            plain = self.world.namespace.inside(lambda: socket.create_connection(AGENT, 2.0 * PATIENCE))
            plain.settimeout(30)
            connection = http.client.HTTPSConnection(*AGENT, timeout=30)
            with contextlib.ExitStack() as undo:
                undo.callback(plain.close)
                connection.sock = context.wrap_socket(plain, server_hostname=AMPHORA)
                undo.pop_all()
            return connection

        deadline = time.monotonic() + 10 * PATIENCE
        while True:
            try:
                connection = connect()
                break
            except (ConnectionError, TimeoutError, ssl.SSLEOFError):
                assert time.monotonic() < deadline, self.log.read_text()
                threading.Event().wait(0.005)
        with contextlib.closing(connection):
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, response.read()

    def put(self, spec: Spec) -> Observed:
        status, answer = self.call("PUT", "/v1/spec", msgspec.json.encode(spec))
        assert status == 200, answer
        observed = msgspec.json.decode(answer, type=Observed)
        for interface in observed.interfaces:
            self.world.await_link(self.pid, interface.name)
        return observed

    def observed(self) -> Observed:
        status, answer = self.call("GET", "/v1/observed")
        assert status == 200, answer
        return msgspec.json.decode(answer, type=Observed)


class Controller:
    """Receives heartbeats."""

    def __init__(self, world: World) -> None:
        def listen() -> socket.socket:
            receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            receiver.bind(CONTROLLER)
            return receiver

        self._socket = world.namespace.inside(listen)
        self._socket.settimeout(10)
        world.stack.callback(self._socket.close)

    def until(self, condition: Callable[[Heartbeat], bool], timeout: float = 10.0) -> Heartbeat:
        deadline = time.monotonic() + timeout
        while True:
            heartbeat = unseal(self._socket.recv(65536), KEY.encode())
            if condition(heartbeat):
                return heartbeat
            assert time.monotonic() < deadline, heartbeat


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


@pytest.fixture
def amphora(here: World, tmp_path: Path) -> Amphora:
    """Both NICs plugged, no spec yet."""
    made = Amphora(here, Certificates(tmp_path))
    made.plug_vip()
    made.plug_members()
    return made


VIP_NIC = Interface(
    mac_address=VIP_MAC,
    name="eth1",
    port_id="port-vip",
    network_id="public",
    vnic_type="direct",
    addresses=("203.0.113.105/24", "2001:db8:1::105/64"),
    vips=(VIP, VIP6),
    routes=(Route(destination="0.0.0.0/0", nexthop="203.0.113.1"),),
)
MEMBER_NIC = Interface(
    mac_address=MEMBER_MAC,
    name="eth2",
    port_id="port-members",
    network_id="members",
    vnic_type="direct",
    addresses=("192.0.2.105/24", "2001:db8:2::105/64"),
)
MEMBERS = tuple(MemberSpec(id=f"m{n}", address=f"192.0.2.{10 + n}", protocol_port=80) for n in (1, 2, 3))
POOL = PoolSpec(id="pool1", protocol="HTTP", lb_algorithm="ROUND_ROBIN", members=MEMBERS)
LISTENER = ListenerSpec(id="listener1", protocol="HTTP", protocol_port=80, default_pool_id="pool1")
SPEC = Spec(
    amphora_id=AMPHORA,
    load_balancer_id="lb1",
    generation=1,
    interfaces=(VIP_NIC, MEMBER_NIC),
    listeners=(LISTENER,),
    pools=(POOL,),
    heartbeats=Heartbeats(controllers=(f"{CONTROLLER[0]}:{CONTROLLER[1]}",), interval=1.0),
)
