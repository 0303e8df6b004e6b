"""The lab's NICs as the kernel itself shows them, apart from Hydria's reading of them; their cables, their peers."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any, Self

from hydria.base import process

NUMVFS = 7
PCI = Path("/sys/bus/pci/devices")
NETDEVS = Path("/sys/class/net")

SETTINGS = ("address", "vlan_list", "spoofchk", "link_state", "trust", "rate")
"""What `ip -j link show PF` says of a VF, apart from counters."""

OURS = "fa:16:3e"
"""What MACs of ports begin with."""


@dataclass(frozen=True)
class Card:
    """One igb PF with its wire; `outside` is the MAC of the plain NIC at the wire's other end."""

    wire: str
    pci: str
    outside: str
    has_macs: bool
    """Whether its VFs have MACs from their administrator. Without, a VF's driver makes one up each time."""

    @property
    def pf(self) -> str:
        """Its netdev's name."""
        return netdev_of(self.pci) or ""

    @property
    def vfs(self) -> list[str]:
        """PCI addresses, by index."""
        links = sorted((PCI / self.pci).glob("virtfn*"), key=lambda path: int(path.name.removeprefix("virtfn")))
        return [link.readlink().name for link in links]

    def vf(self, index: int) -> str:
        """Its netdev's name, while it is at home."""
        return netdev_of(self.vfs[index]) or ""

    def settings(self) -> list[dict[str, Any]]:
        """Of each VF, by index."""
        (link,) = json.loads(ip(f"-j link show dev {self.pf}"))
        found = sorted(link.get("vfinfo_list", []), key=lambda one: int(one["vf"]))
        return [{name: one[name] for name in SETTINGS if name in one} for one in found]

    def give_macs(self) -> None:
        """May run twice. Before a driver is bound: it asks for its MAC only then."""
        for index, one in enumerate(self.settings()):
            mac = f"{self.outside[:8]}:cc:{self.pci[6:7]}0:{index:02x}"
            if one["address"] != mac:
                ip(f"link set dev {self.pf} vf {index} mac {mac}")
                (PCI / self.vfs[index] / "driver" / "unbind").write_text(self.vfs[index])
                Path("/sys/bus/pci/drivers_probe").write_text(self.vfs[index])

    def prepare(self) -> None:
        """As an operator does it: up, VFs made. May run twice, when nobody has one of its VFs."""
        until(f"{self.wire} has a PF", lambda: bool(self.pf), 30)
        ip(f"link set dev {self.pf} up")
        self.set_numvfs(NUMVFS)
        if self.has_macs:
            self.give_macs()

    def set_numvfs(self, number: int) -> None:
        device = PCI / self.pci
        if int((device / "sriov_numvfs").read_text()) != number:
            (device / "sriov_numvfs").write_text("0")
            (device / "sriov_numvfs").write_text(str(number))
        until(f"{self.wire}: {number} VFs are at home", lambda: sum(is_home(vf) for vf in self.vfs) == number, 60)


CARDS = {
    "public": Card("public", "0000:01:00.0", "52:54:00:bb:00:01", has_macs=True),
    "members": Card("members", "0000:02:00.0", "52:54:00:bb:00:02", has_macs=False),
}


def bring_up() -> None:
    """As on a host that an operator has prepared: drivers, PFs up, VFs made. May run twice."""
    process.run(["modprobe", "--all", "igb", "igbvf", "virtio_net"])
    for card in CARDS.values():
        card.prepare()
    for card in CARDS.values():
        until(f"{card.pf} has a link", lambda card=card: has_carrier(card.pf), 30)


def netdev_of(pci: str) -> str | None:
    """None: it has none in this network namespace."""
    directory = PCI / pci / "net"
    return next((path.name for path in directory.iterdir()), None) if directory.is_dir() else None


def driver_of(pci: str) -> str | None:
    link = PCI / pci / "driver"
    return link.readlink().name if link.exists() else None


def is_home(pci: str) -> bool:
    return driver_of(pci) == "igbvf" and netdev_of(pci) is not None


def has_carrier(netdev: str) -> bool:
    try:
        return (NETDEVS / netdev / "carrier").read_text().strip() == "1"
    except OSError:  # EINVAL while it is down
        return False


def state() -> dict[str, Any]:
    """All that must be as before once nobody has a VF. Names are not part of it: who moves away may lose its name."""
    return {
        f"{wire}/{index} {what}": value
        for wire, card in CARDS.items()
        for index, (pci, settings) in enumerate(zip(card.vfs, card.settings(), strict=True))
        for what, value in _vf_state(card, pci, settings)
    }


@contextlib.contextmanager
def as_before() -> Iterator[None]:
    """Whatever happens inside, every VF comes back: unclaimed, with the settings that it had."""
    before = state()
    yield
    try:
        # Awaited: the kernel takes a moment to end the namespace of a guest that died.
        until("every VF is at home, as it was", lambda: state() == before, 30, 0.5)
    except AssertionError as error:
        after = state()
        changed = [f"{key}: {before.get(key)} -> {after.get(key)}" for key in after if after[key] != before.get(key)]
        raise AssertionError(f"not as it was: {'; '.join(changed)}") from error
    finally:
        bring_up()


def _vf_state(card: Card, pci: str, settings: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    name = netdev_of(pci)
    yield from {"driver": driver_of(pci), "at home": name is not None, **settings}.items()
    if not card.has_macs:
        yield "address", "a port's" if settings["address"].startswith(OURS) else "its driver's"
    if name:
        (link,) = json.loads(ip(f"-j addr show dev {name}"))
        # Link-local addresses come and go with the link.
        yield "addresses", [one["local"] for one in link["addr_info"] if one["scope"] != "link"]
        yield from ((key, link.get(key)) for key in ("mtu", "ifalias", "master"))


def until(what: str, condition: Callable[[], bool], seconds: float = 30.0, every: float = 0.05) -> None:
    """Returns once it holds; an emulated CPU may take its time."""
    deadline = time.monotonic() + seconds
    pause = Event()
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:g} s still not so: {what}"
        pause.wait(every)


def ip(line: str, *, netns: str | None = None, check: bool = True) -> str:
    return process.run(["ip", *(["-n", netns] if netns else []), *line.split()], check=check, timeout=60).stdout


def inside(netns: str, line: str, *, check: bool = True) -> process.Completed:
    return process.run(["ip", "netns", "exec", netns, *line.split()], check=check, timeout=60)


def pings(netns: str, address: str) -> bool:
    return inside(netns, f"ping -c 1 -W 2 {address}", check=False).status == 0


@contextlib.contextmanager
def peer(name: str, netdev: str, addresses: Sequence[str] = ()) -> Iterator[str]:
    """A namespace that has this NIC, up, with these addresses; afterwards the NIC is back."""
    ip(f"netns add {name}")
    try:
        ip(f"link set dev {netdev} netns {name}")
        ip("link set dev lo up", netns=name)
        for address in addresses:
            ip(f"addr add {address} dev {netdev}{' nodad' if ':' in address else ''}", netns=name)
        ip(f"link set dev {netdev} up", netns=name)
        carrier = f"cat /sys/class/net/{netdev}/carrier"
        until(f"{netdev} has a link", lambda: inside(name, carrier, check=False).stdout.strip() == "1")
        yield name
    finally:
        # Explicitly: a namespace that ends gives its NICs back under other names when it likes.
        ip(f"link set dev {netdev} netns 1", netns=name, check=False)
        ip(f"netns delete {name}")
        ip(f"link set dev {netdev} down", check=False)


def outside_nic(card: Card) -> str:
    """The plain NIC's name, while it is at home."""
    return next(path.parent.name for path in NETDEVS.glob("*/address") if path.read_text().strip() == card.outside)


class Monitor:
    """QEMU's own monitor (QMP), for what only the world outside of a machine can do. One user at a time."""

    PORT = "lab.qmp"

    def __enter__(self) -> Self:
        until("there is a port to QEMU", lambda: self._device() is not None)
        self._port = Path(f"/dev/{self._device()}").open("r+b", buffering=0)
        # Whoever had the port before may have done this already; then QEMU refuses it, which is as good.
        self._exchange("qmp_capabilities")
        return self

    def __exit__(self, *_: object) -> None:
        self._port.close()

    def do(self, command: str, **arguments: Any) -> Any:
        answer = self._exchange(command, **arguments)
        assert "error" not in answer, f"{command} {arguments}: {answer['error']}"
        return answer["return"]

    def _exchange(self, command: str, **arguments: Any) -> dict[str, Any]:
        request = {"execute": command, "arguments": arguments, "id": time.monotonic_ns()}
        self._port.write(json.dumps(request).encode() + b"\n")
        while True:
            answer: dict[str, Any] = json.loads(self._port.readline())
            if answer.get("id") == request["id"]:  # the others are greetings and events
                return answer

    @classmethod
    def _device(cls) -> str | None:
        names = Path("/sys/class/virtio-ports").glob("*/name")
        return next((path.parent.name for path in names if path.read_text().strip() == cls.PORT), None)


class Cable:
    """Between a PF and the world."""

    def __init__(self, card: Card) -> None:
        self.card = card

    def pull(self) -> None:
        self._set(up=False)

    def plug(self) -> None:
        self._set(up=True)
        until(f"{self.card.pf} has a link", lambda: has_carrier(self.card.pf))

    def _set(self, *, up: bool) -> None:
        with Monitor() as monitor:
            monitor.do("set_link", name=f"{self.card.wire}-pf", up=up)
