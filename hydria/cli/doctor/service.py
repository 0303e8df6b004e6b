"""Checks of what the configuration says against what the host has, and of the service's own files and ports. Pure."""

from collections.abc import Iterator

from hydria.cli.doctor.facts import Configuration, Host, Nic
from hydria.cli.doctor.finding import Finding
from hydria.cli.sriov.changes import is_used
from hydria.sriov.inventory import strays

_OTHERS = 0o077


def check(host: Host) -> Iterator[Finding]:
    configuration = host.configuration
    if configuration is not None:
        # A fabric of software PFs is made by `hydria up` itself: nothing of the machine's own is to be looked at.
        if configuration.fabric != "software":
            yield from _pfs_exist(host, configuration)
            yield from _pfs_mapped(host, configuration)
            yield from _bridges(host, configuration)
            yield from _mtu(host, configuration)
            yield from _strays(host, configuration)
        yield from _ports(configuration)
    yield from _state(host)


def _pfs_exist(host: Host, configuration: Configuration) -> Iterator[Finding]:
    nics = {nic.name: nic for nic in host.nics}
    for pf in configuration.pfs:
        subject = f"PF {pf.pf} of host {pf.host}"
        if pf.pf in nics:
            text = f"is {nics[pf.pf].device}, on physical network {pf.physical_network}"
            yield Finding("pf-exists", "ok", subject, text)
        elif pf.pf in host.links:
            text = f"{configuration.path} names it, but it is no PF: it has no SR-IOV capability, or is a VF itself"
            yield Finding("pf-exists", "error", subject, text, "hydria sriov list")
        else:
            text = f"{configuration.path} names it, but there is no such link"
            yield Finding("pf-exists", "error", subject, text, "hydria sriov list")


def _pfs_mapped(host: Host, configuration: Configuration) -> Iterator[Finding]:
    mapped = {pf.pf for pf in configuration.pfs}
    for nic in host.nics:
        if nic.name not in mapped and nic.device.numvfs:
            text = (
                f"has {nic.device.numvfs} VFs that nobody can get: {configuration.path} puts it on no physical network"
                " (pfs of [[cloud.hosts]])"
            )
            mend = "${EDITOR:-vi} " + configuration.path
            yield Finding("physical-network", "warning", f"PF {nic.device}", text, mend)
    if configuration.fabric == "sriov" and not configuration.pfs:
        text = f"{configuration.path} puts no PF on any: no VF can be had"
        yield Finding("physical-network", "error", "physical networks", text, "${EDITOR:-vi} " + configuration.path)


def _bridges(host: Host, configuration: Configuration) -> Iterator[Finding]:
    for network, bridge in sorted(configuration.bridges.items()):
        subject = f"bridge {bridge} of physical network {network}"
        if bridge not in host.links:
            text = "is not there: no normal ports on that network"
            mend = f"ip link add name {bridge} type bridge && ip link set dev {bridge} up"
            yield Finding("bridge", "error", subject, text, mend)
        elif not host.links[bridge]:
            text = "is down: normal ports on that network carry nothing"
            yield Finding("bridge", "error", subject, text, f"ip link set dev {bridge} up")
        else:
            yield Finding("bridge", "ok", subject, "is there and up")


def _mtu(host: Host, configuration: Configuration) -> Iterator[Finding]:
    nics = {nic.name: nic for nic in host.nics}
    for pf in configuration.pfs:
        networks = [one for one in configuration.networks or () if one.physical_network == pf.physical_network]
        nic = nics.get(pf.pf)
        if nic is None or nic.pf is None or nic.pf.mtu is None or not networks:
            continue
        widest = max(networks, key=lambda network: network.mtu)
        subject = f"MTU of PF {nic.device}"
        if nic.pf.mtu < widest.mtu:
            text = f"is {nic.pf.mtu}, network {widest.name} has {widest.mtu}: no VF of it can have that"
            yield Finding("mtu", "error", subject, text, f"ip link set dev {nic.name} mtu {widest.mtu}")
        else:
            yield Finding("mtu", "ok", subject, f"is {nic.pf.mtu}, enough for network {widest.name} ({widest.mtu})")


def _strays(host: Host, configuration: Configuration) -> Iterator[Finding]:
    if configuration.claimed is None:
        return
    found = [(nic, stray) for nic in host.nics for stray in _of(nic, configuration)]
    for nic, (subject, holder) in found:
        text = f"is away ({holder}), though no server has it; `hydria cloud` takes it back when it starts"
        mend = f"hydria sriov take-back {subject} --config {configuration.path}"
        yield Finding("vf-stray", "warning", f"VF {subject} of {nic.name}", text, mend)
    if not found and any(nic.device.numvfs for nic in host.nics):
        used = sum(is_used(vf) for nic in host.nics if nic.pf for vf in nic.pf.vfs)
        yield Finding("vf-stray", "ok", "VFs that are away", f"{used} are, each has its server or is not ours")


def _of(nic: Nic, configuration: Configuration) -> Iterator[tuple[str, str]]:
    if nic.pf is None:
        return
    holders = {vf.id: vf.holder for vf in nic.pf.vfs}
    for vf in strays([nic.pf], configuration.claimed or ()):
        yield str(vf), holders[vf] or "nobody knows where"


def _ports(configuration: Configuration) -> Iterator[Finding]:
    for port in configuration.ports:
        subject = f"{port.protocol} port {port.number} at {port.address} of {port.service}"
        if port.free:
            yield Finding("port", "ok", subject, "is free")
        elif port.ours:
            yield Finding("port", "ok", subject, f"is served by {port.holder}")
        else:
            text = f"is taken by {port.holder}" if port.holder else port.reason
            text = f"{text}: {port.service} cannot start"
            mend = f"ss -Hlnp --{port.protocol} 'sport = :{port.number}'"
            yield Finding("port", "error", subject, text, mend)


def _state(host: Host) -> Iterator[Finding]:
    for entry in host.state:
        if entry.uid != 0:
            text = f"belongs to user {entry.uid}, who can change what runs as root"
            yield Finding("state-dir", "error", entry.path, text, f"chown -R root:root {entry.path}")
        elif entry.mode & _OTHERS:
            text = f"holds secrets that others may read (mode {entry.mode:04o})"
            yield Finding("state-dir", "error", entry.path, text, f"chmod go-rwx {entry.path}")
        else:
            yield Finding("state-dir", "ok", entry.path, f"is its owner's alone (mode {entry.mode:04o})")
