"""The end-to-end scene on real VFs: hosts on a VF, on the PF (the machine itself) and outside, on both networks.

public    clients: a VF's, the machine's own on the PF, one at the wire's other end
members   backends in the same three places; the one outside is also on VLAN 100
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hardware import CARDS, NUMVFS, Card, ip, outside_nic, peer

from e2e.scene import BACKENDS, Scene, get, type_guide
from hydria.base import process
from hydria.cli.demo import guide
from hydria.cli.demo.client import Client
from hydria.cli.demo.stage import Stage, TestHost
from hydria.fabric.addresses import subnets
from hydria.sriov import namespaces
from typist import Typist

# Nothing may count as lost or late only because the CPU is emulated.
os.environ.update(
    HYDRIA_CONTROLLER__BOOT_TIMEOUT="240",
    HYDRIA_CONTROLLER__HEARTBEAT_TIMEOUT="60",
    HYDRIA_CONTROLLER__LEASE_SECONDS="60",
)

Json = dict[str, Any]

OURS = NUMVFS - 1
"""The last VF of each PF is one of the test's hosts, for Hydria somebody else's."""
VLAN = 100
VLAN_SUBNET = "198.51.100.0/24"
VLAN_BACKEND = "198.51.100.10"
CLIENTS = {"client-on-a-vf": 251, "client-on-the-pf": 252, "client-outside": 253}


@dataclass(frozen=True)
class Service:
    """One row of what load balancers do: a protocol, and how a client finds out who serves it."""

    protocol: str
    port: int
    ask: Callable[[str, int], str]
    """Of an address and a port: the name of the backend that answered."""
    pool: Mapping[str, Any] | None = None

    def listener(self, members: Sequence[Json]) -> Json:
        name = self.protocol.lower()
        common = {"name": name, "protocol": self.protocol}
        pool = {**common, "lb_algorithm": "ROUND_ROBIN", "members": list(members), **(self.pool or {})}
        return {**common, "protocol_port": self.port, "default_pool": pool}


def slow_get(address: str, port: int) -> str:
    return get(address, port, seconds=20.0)


SERVICES = (
    Service("HTTP", 80, slow_get),
    Service("TCP", 8080, slow_get),
)
"""Another protocol is another row; its backends must answer on port 80 with their names."""

TOPOLOGIES = ("SINGLE",)
"""Of the flavors with which every service is tried. ACTIVE_STANDBY comes with the issue that brings it."""


class LabStage(Stage):
    """Commands of the official client are typed into one process of it."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._typist = Typist(self.state.clouds)

    def openstack(self, cloud: str, arguments: Sequence[str], *, check: bool = True) -> process.Completed:
        return self._typist.openstack(cloud, arguments, check=check)

    def _remove(self) -> None:
        self._typist.close()
        self._keep_logs()
        super()._remove()

    def _keep_logs(self) -> None:
        kept = Path(os.environ["LAB_OUTPUT"]) / self.fabric
        for log in (*self.state.logs.glob("*"), self.root / "up.log", *self.state.root.glob("cloud/servers/*/*.log")):
            target = kept / log.relative_to(self.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(OSError):
                shutil.copyfile(log, target)


@dataclass(frozen=True)
class LabScene(Scene):
    clients: Mapping[str, TestHost] = None  # type: ignore[assignment]
    """By name: where they sit makes the difference."""

    def neighbour(self) -> TestHost:
        host = self.clients["client-outside"]
        host.serve()
        return host


@contextlib.contextmanager
def opened(name: str) -> Iterator[LabScene]:
    """The guide is typed as far as its operator goes."""
    with contextlib.ExitStack() as stack:
        for card in CARDS.values():
            stack.enter_context(_own_addresses(card))
        places = {wire: _places(stack, card) for wire, card in CARDS.items()}
        pfs = {card.pf: wire for wire, card in CARDS.items()}
        bridges = {wire: f"br-{wire}" for wire in CARDS}
        stage = stack.enter_context(LabStage(name, host_names=[guide.HOST], pfs=pfs, bridges=bridges))
        clients = {
            client: stage.host(client, place, _addresses("public", number))
            for (client, number), place in zip(CLIENTS.items(), places["public"], strict=True)
        }
        for (backend, address), place in zip(BACKENDS.items(), places["members"], strict=True):
            stage.host(backend, place, [address]).serve()
        said = type_guide(stage, guide.OPERATOR)
        users = {cloud: Client(stage.state.clouds, cloud) for cloud in ("admin", "service", "demo")}
        flavor = users["admin"].named("flavors", guide.FLAVOR)["id"]
        first = clients["client-on-a-vf"]
        yield LabScene(stage=stage, client=first, flavor_id=flavor, said=said, clients=clients, **users)


@contextlib.contextmanager
def _own_addresses(card: Card) -> Iterator[None]:
    """The machine's own, on the PF; and the bridge for normal ports, which nothing is plugged into yet."""
    name = f"br-{card.wire}"
    # It has the PF's MAC, so that the PF lets through what is for the machine.
    mac = Path(f"/sys/class/net/{card.pf}/address").read_text().strip()
    ip(f"link add {name} address {mac} type bridge forward_delay 0 mcast_snooping 0")
    try:
        ip(f"link set dev {name} up")
        for address in _addresses(card.wire, _numbers(card)[1]):
            ip(f"addr add {address} dev {card.pf}{' nodad' if ':' in address else ''}")
        yield
    finally:
        ip(f"link delete dev {name}")
        ip(f"addr flush dev {card.pf} scope global")


@contextlib.contextmanager
def bridged() -> Iterator[None]:
    """Inside, each PF is the uplink of its bridge, which has the machine's address then: IPv4 only, as the emulated
    switch gives no VF's multicast, and so no neighbour solicitation, to a PF below a bridge."""
    with contextlib.ExitStack() as stack:
        for card in CARDS.values():
            address, bridge = _addresses(card.wire, _numbers(card)[1])[0], f"br-{card.wire}"
            ip(f"link set dev {card.pf} master {bridge}")
            stack.callback(ip, f"link set dev {card.pf} nomaster")
            # Broadcasts of a PF come back to it: the bridge would learn that its other ports were out there.
            ip(f"link set dev {card.pf} type bridge_slave learning off")
            ip(f"addr delete {address} dev {card.pf}")
            stack.callback(ip, f"addr add {address} dev {card.pf}")
            ip(f"addr add {address} dev {bridge}")
            stack.callback(ip, f"addr delete {address} dev {bridge}")
        yield


def _places(stack: contextlib.ExitStack, card: Card) -> list[Path]:
    """Network namespaces: with a VF, the machine's own, with the plain NIC at the wire's other end."""
    on_a_vf, _, outside = _numbers(card)
    vf = stack.enter_context(peer(f"{card.wire}-vf", card.vf(OURS), _addresses(card.wire, on_a_vf)))
    nic = outside_nic(card)
    out = stack.enter_context(peer(f"{card.wire}-outside", nic, _addresses(card.wire, outside)))
    if card.wire == "members":
        ip(f"link add link {nic} name vlan type vlan id {VLAN}", netns=out)
        ip(f"addr add {VLAN_BACKEND}/24 dev vlan", netns=out)
        ip("link set dev vlan up", netns=out)
    return [namespaces.named(vf), namespaces.OWN, namespaces.named(out)]


def _numbers(card: Card) -> list[int]:
    """Last digits of the addresses in the three places."""
    if card.wire == "public":
        return list(CLIENTS.values())
    return [int(address.rpartition(".")[2]) for address in BACKENDS.values()]


def _addresses(wire: str, number: int) -> list[str]:
    return [str(subnet.host(number)) for subnet in subnets(wire)]
