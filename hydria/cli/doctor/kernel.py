"""Checks of the kernel, its features and the programs that run on it. Pure."""

import re
from collections.abc import Iterator

from msgspec import Struct

from hydria.cli.doctor.facts import Host
from hydria.cli.doctor.finding import Finding, Severity

NEEDED_KERNEL = (5, 10)
KERNEL_FOR_VFS = (5, 14)
"""The first whose link messages carry IFLA_PARENT_DEV_NAME, by which a VF is found inside a guest."""
NEEDED_HAPROXY = (2, 6)


_BETTER_KERNEL = "apt-get install linux-image-$(dpkg --print-architecture) && reboot"
"""Debian's whole kernel: the `cloud` one lacks drivers of NICs and more."""


class Feature(Struct, frozen=True):
    severity: Severity
    """Where it does not work."""
    subject: str
    without: str
    """What there is not without it."""
    mend: str = _BETTER_KERNEL


FEATURES = {
    "network-namespaces": Feature("error", "network namespaces", "no server of the embedded cloud starts"),
    "veth": Feature("error", "veth", "no normal port and no management network"),
    "bridge": Feature("error", "bridge", "no normal port and no management network"),
    "conntrack": Feature("error", "connection tracking by nftables", "no firewall, so no amphora"),
    "macvlan": Feature("warning", "macvlan", "no software fabric; VFs of real NICs do not need it"),
    "tap": Feature("note", "taps", "no normal port and no management network for virtual machines"),
    "macvtap": Feature("note", "macvtap", "no VFs of the software fabric for virtual machines"),
    "nft-nat": Feature("warning", "NAT by nftables", "no UDP and SCTP listeners"),
    "ipv6": Feature("warning", "IPv6", "no IPv6 VIPs and members"),
    "vlan": Feature("note", "VLAN links", "no VLAN networks for normal ports; VFs do not need it"),
    "vlan-filtering": Feature(
        "note", "VLAN filtering of bridges", "no VLAN networks for normal ports; VFs do not need it"
    ),
    "sctp": Feature("note", "SCTP", "no health monitors of type SCTP"),
    "cgroup-v2": Feature(
        "note",
        "cgroup v2 with cpu, memory and pids",
        "servers run without their flavor's limits",
        "mount -t cgroup2 cgroup2 /sys/fs/cgroup",
    ),
}

NOT_ROOT = Finding("root", "error", "user", "only root may try and read what is to be checked", "sudo hydria doctor")


def check(host: Host) -> Iterator[Finding]:
    yield _version(host)
    for name, feature in FEATURES.items():
        if (trial := host.features.get(name)) is None:
            continue
        if trial.works:
            yield Finding(f"feature-{name}", "ok", feature.subject, "works")
        else:
            text = f"does not work, {feature.without}: {trial.reason}"
            yield Finding(f"feature-{name}", feature.severity, feature.subject, text, feature.mend)
    yield _nftables(host)
    yield _haproxy(host)
    yield _bubblewrap(host)
    yield _keepalived(host)
    yield _clock(host)


def _version(host: Host) -> Finding:
    version = numbers(host.kernel)
    text = f"Linux {host.kernel}"
    if version < NEEDED_KERNEL:
        return Finding("kernel-version", "error", "kernel", f"{text} is older than 5.10", _BETTER_KERNEL)
    if version < KERNEL_FOR_VFS:
        severity: Severity = "error" if host.nics else "note"
        text = f"{text} is older than 5.14, before which a VF inside a guest cannot be found by its PCI address"
        return Finding("kernel-version", severity, "kernel", text, _BETTER_KERNEL)
    return Finding("kernel-version", "ok", "kernel", text)


def _nftables(host: Host) -> Finding:
    if host.programs.get("nft") is None:
        text = "is not installed: no amphora starts without a firewall"
        return Finding("nftables", "error", "nftables", text, "apt-get install nftables")
    if not host.nftables.works:
        text = f"an amphora's rule set is refused: {host.nftables.reason}"
        return Finding("nftables", "error", "nftables", text, _BETTER_KERNEL)
    return Finding("nftables", "ok", "nftables", f"{host.programs['nft']} loads an amphora's rule set")


def _haproxy(host: Host) -> Finding:
    said = host.programs.get("haproxy")
    if said is None:
        return Finding("haproxy", "error", "HAProxy", "is not installed", "apt-get install haproxy")
    if numbers(said) < NEEDED_HAPROXY:
        text = f"{said} is older than 2.6: no change without a reload"
        return Finding("haproxy", "error", "HAProxy", text, "apt-get update && apt-get install haproxy")
    return Finding("haproxy", "ok", "HAProxy", said)


def _bubblewrap(host: Host) -> Finding:
    said = host.programs.get("bwrap")
    if said is None:
        text = "is not installed: the namespace hypervisor cannot start servers"
        return Finding("bubblewrap", "error", "bubblewrap", text, "apt-get install bubblewrap")
    if not host.bubblewrap.works:
        text = f"cannot make a sandbox, so no server starts: {host.bubblewrap.reason}"
        return Finding("bubblewrap", "error", "bubblewrap", text, "sysctl -w user.max_net_namespaces=10000")
    return Finding("bubblewrap", "ok", "bubblewrap", f"{said} makes a sandbox")


def _keepalived(host: Host) -> Finding:
    said = host.programs.get("keepalived")
    if said is None:
        text = "is not installed: no load balancers of topology ACTIVE_STANDBY"
        return Finding("keepalived", "note", "keepalived", text, "apt-get install keepalived")
    return Finding("keepalived", "ok", "keepalived", said)


def _clock(host: Host) -> Finding:
    if host.clock_synchronised:
        return Finding("clock", "ok", "clock", "is synchronised")
    text = "is not synchronised: certificates and tokens of other machines may seem expired or not valid yet"
    return Finding("clock", "warning", "clock", text, "timedatectl set-ntp true")


def numbers(text: str) -> tuple[int, ...]:
    """The first version in a text.

    >>> numbers("HAProxy version 2.6.12-1+deb12u4 2026/10/17")
    (2, 6)
    >>> numbers("6.1.0-56-amd64")
    (6, 1)
    """
    match = re.search(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else ()
