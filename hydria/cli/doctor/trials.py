"""Tries what the kernel can do, in namespaces that end with the trial: what it says of itself is not always so."""

import ctypes
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from hydria.base import process
from hydria.cli.doctor.facts import Trial
from hydria.cloud.hypervisor import qemu_program
from hydria.model.spec import ListenerSpec
from hydria.render import nftables

_VETH = "ip link add name end0 type veth peer name end1"
_LINKS = {
    "network-namespaces": "true",
    "veth": _VETH,
    "bridge": "ip link add name bridge0 type bridge",
    "macvlan": f"{_VETH} && ip link add name vf0 link end0 type macvlan mode bridge",
    "macvtap": f"{_VETH} && ip link add name vf0 link end0 type macvtap mode bridge",
    "tap": "modprobe --quiet tun; ip tuntap add name tap0 mode tap",
    "vlan": f"{_VETH} && ip link add name vlan5 link end0 type vlan id 5",
    "vlan-filtering": "ip link add name bridge0 type bridge vlan_filtering 1",
    "ipv6": f"{_VETH} && ip -6 address add 2001:db8::1/64 dev end0",
}
_RULES = {
    "conntrack": """
table inet trial {
    chain in { type filter hook input priority 0; ct state established accept; }
}
""",
    "nft-nat": """
table ip trial {
    chain in { type nat hook prerouting priority -100; udp dport 53 dnat to 192.0.2.1; }
    chain out { type nat hook postrouting priority 100; masquerade; }
}
""",
}
_IPPROTO_SCTP = 132
_CGROUP = Path("/sys/fs/cgroup")
_CONTROLLERS = {"cpu", "memory", "pids"}
_SANDBOX = ("bwrap", "--unshare-net", "--unshare-pid", "--unshare-uts", "--unshare-ipc", "--ro-bind", "/", "/")


def features() -> dict[str, Trial]:
    """Under the names of `kernel.FEATURES`."""
    found = {name: _alone("sh", "-c", script) for name, script in _LINKS.items()}
    found |= {name: _alone("nft", "-f", "-", stdin=rules) for name, rules in _RULES.items()}
    found["sctp"] = _tried(_sctp)
    found["cgroup-v2"] = _tried(_cgroup)
    return found


def firewall() -> Trial:
    """An amphora's rule set with all that rule sets have: sets of addresses and of intervals, of both families."""
    listeners = [
        ListenerSpec(id="a", protocol="HTTP", protocol_port=80),
        ListenerSpec(id="b", protocol="TCP", protocol_port=81, allowed_cidrs=("192.0.2.0/24", "2001:db8::/32")),
    ]
    return _alone("nft", "-j", "-f", "-", stdin=nftables.render(listeners))


def sandbox() -> Trial:
    return _run([*_SANDBOX, "--dev", "/dev", "--proc", "/proc", "true"])


def kvm() -> Trial:
    reason = qemu_program.kvm_hindrance()
    return Trial(works=not reason, reason=reason)


def clock() -> bool:
    """Whether something keeps it: adjtimex(2) answers TIME_ERROR (5) while nobody does."""
    # struct timex has 208 bytes where long has 64 bits; all zero it asks and sets nothing.
    answer: int = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    return answer in range(5)


def _alone(*argv: str, stdin: str = "") -> Trial:
    """In a network namespace of its own."""
    return _run(["unshare", "--net", *argv], stdin=stdin)


def _run(argv: list[str], *, stdin: str = "") -> Trial:
    try:
        process.run(argv, stdin=stdin)
    except process.ProcessFailed as error:
        return Trial(works=False, reason=next(_lines(error.output), str(error)))
    return Trial(works=True)


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.splitlines() if line.strip())


def _tried(trial: Callable[[], None]) -> Trial:
    try:
        trial()
    except OSError as error:
        return Trial(works=False, reason=str(error))
    return Trial(works=True)


def _sctp() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM, _IPPROTO_SCTP).close()


def _cgroup() -> None:
    """Controllers can only be passed on to a group where the hierarchy is v2 and this is its root, or delegated."""
    there = set((_CGROUP / "cgroup.controllers").read_text().split())
    if missing := _CONTROLLERS - there:
        raise OSError(f"no controllers {', '.join(sorted(missing))} in {_CGROUP}")
    group = _CGROUP / f"hydria-doctor-{os.getpid()}"
    group.mkdir()
    group.rmdir()
