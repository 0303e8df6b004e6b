"""Where the two ends of a measurement are: NICs in namespaces, bridges over PFs, guests. All of it goes afterwards."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hydria.base import process
from hydria.base.errors import HydriaError
from hydria.cli.demo.stage import await_condition
from hydria.sriov import namespaces
from hydria.sriov.hardware import host_pfs
from hydria.sriov.inventory import Pf

NETDEVS = Path("/sys/class/net")
LINK_SECONDS = 20.0


class BenchFailed(HydriaError):
    """The machine is not as a measurement needs it, or what was measured did not work."""


def pf_of(name: str, physical_network: str) -> Pf:
    """As it is now. Raises BenchFailed."""
    found = next((pf for pf in host_pfs({name: physical_network}) if pf.name == name), None)
    if found is None:
        raise BenchFailed(f"{name} is no PF: `hydria sriov list` shows those of this machine.")
    if not found.vfs:
        raise BenchFailed(f"PF {name} has no VFs: `hydria sriov enable {name} --vfs 4`.")
    return found


def last_free_vf(pf: Pf) -> str:
    """The netdev of the one that a load balancer would get last. Raises BenchFailed."""
    free = [vf.netdev for vf in pf.free(()) if vf.netdev]
    if not free:
        raise BenchFailed(f"PF {pf.name} has no free VF that is bound to a network driver.")
    return free[-1]


def on_what(netdev: str | None) -> str:
    """In words; None is the VF that is taken where no NIC is named."""
    if netdev is None:
        return "the PF's last VF"
    driver = NETDEVS / netdev / "device" / "driver"
    return driver.resolve().name if driver.exists() else netdev


@contextlib.contextmanager
def nic_in_namespace(name: str, netdev: str, addresses: Sequence[str]) -> Iterator[Path]:
    """Afterwards it is back, down, without the addresses."""
    _ip(f"netns add {name}")
    try:
        _ip(f"link set dev {netdev} netns {name}")
        _ip(f"-n {name} link set dev lo up")
        for address in addresses:
            _ip(f"-n {name} addr add {address} dev {netdev}{' nodad' if ':' in address else ''}")
        _ip(f"-n {name} link set dev {netdev} up")
        await_condition(f"{netdev} has a link", lambda: _has_link(name, netdev), LINK_SECONDS)
        yield namespaces.named(name)
    finally:
        # Explicitly: a namespace that ends gives its NICs back under other names when it likes.
        _ip(f"-n {name} link set dev {netdev} netns 1", check=False)
        _ip(f"netns delete {name}")


@contextlib.contextmanager
def bridge_over(pf: str, wanted: str) -> Iterator[str]:
    """The bridge that the PF is a port of already, else one of this name until the end, as docs/sriov.md makes it.

    Raises BenchFailed where that would cut off the machine itself: a bridge's port loses its addresses' use.
    """
    (link,) = _json(f"-j addr show dev {pf}")
    if (master := link.get("master")) is not None:
        if not (NETDEVS / master / "bridge").exists():
            raise BenchFailed(f"PF {pf} is a port of {master}, which is no bridge.")
        yield str(master)
        return
    if own := [one["local"] for one in link["addr_info"] if one["scope"] == "global"]:
        raise BenchFailed(f"PF {pf} has addresses of this machine ({', '.join(own)}): put it into a bridge yourself.")
    _ip(f"link add {wanted} type bridge mcast_snooping 0 forward_delay 0")
    try:
        _ip(f"link set dev {pf} master {wanted}")
        _ip(f"link set dev {wanted} up")
        yield wanted
    finally:
        _ip(f"link delete dev {wanted}")


@contextlib.contextmanager
def guest() -> Iterator[int]:
    """A process with a network of its own, as an amphora is to the fabric; gives its id."""
    script = "ip link set lo up && echo ready && exec sleep infinity"
    child = process.start(["unshare", "--net", "sh", "-c", script], stdout=process.PIPE)
    with contextlib.ExitStack() as stack:
        stack.callback(child.wait)
        stack.callback(child.kill)
        if child.stdout is None or child.stdout.readline() != b"ready\n":
            raise BenchFailed("A process with a network namespace of its own did not start.")
        stack.callback(child.stdout.close)
        yield child.pid


def _has_link(namespace: str, netdev: str) -> bool:
    (link,) = _json(f"-n {namespace} -j link show dev {netdev}")
    return "LOWER_UP" in link["flags"]


def _json(line: str) -> Any:
    return [one for one in json.loads(_ip(line)) if one]


def _ip(line: str, *, check: bool = True) -> str:
    return process.run(["ip", *line.split()], check=check).stdout
