"""Looks at this host and puts what it sees into one `Host`. Judges nothing."""

import platform
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from hydria.base import process
from hydria.base.config import Config
from hydria.base.errors import Conflict
from hydria.cli.doctor import books, trials
from hydria.cli.doctor.facts import Configuration, ConfiguredPf, Entry, Host, Nic, Port
from hydria.cli.sriov.host import Machine
from hydria.cli.up import ports
from hydria.cloud.hypervisor import qemu_program
from hydria.sriov import persistence, preparation
from hydria.sriov.inventory import Pf
from hydria.sriov.netlink import Netlink

_PROGRAMS = {"haproxy": "-v", "nft": "--version", "bwrap": "--version", "keepalived": "--version",
             qemu_program.PROGRAM: "--version", qemu_program.IMAGE_PROGRAM: "--version"}  # fmt: skip
_STATE_FILES = ("", "hydria.toml", "clouds.yaml", "certificates", "hydria.db", "cloud.db")
_NETWORKD = Path("/run/systemd/netif/links")


def host(config: Config | None, config_path: Path | None, state_dir: Path | None) -> Host:
    """`config` None: none was named."""
    with Netlink() as netlink:
        links = {link.name: link.is_up for link in netlink.links()}
    return Host(
        kernel=platform.release(),
        cpu_vendor=_cpu_vendor(),
        features=trials.features(),
        programs={name: _version(name, option) for name, option in _PROGRAMS.items()},
        bubblewrap=trials.sandbox(),
        nftables=trials.firewall(),
        kvm=trials.kvm(),
        iommu_groups=len(list(Path("/sys/kernel/iommu_groups").glob("*"))),
        vfio_pci=_vfio_pci(),
        clock_synchronised=trials.clock(),
        links=links,
        nics=_nics(config),
        configuration=None if config is None else _configuration(config, config_path),
        state=() if state_dir is None else tuple(_state(state_dir)),
    )


def _nics(config: Config | None) -> tuple[Nic, ...]:
    pfs = {pf.pci_address: pf for pf in Machine.of(config or Config()).pfs()}
    found = ((device, pfs.get(device.pci_address)) for device in preparation.devices())
    return tuple(
        Nic(
            device=device,
            pf=pf,
            persisted=persistence.persisted(device.pci_address),
            managed={} if pf is None else _managed(pf),
        )
        for device, pf in found
    )


def _managed(pf: Pf) -> dict[str, str]:
    """Links of free VFs that a program of this host configures."""
    names = [vf.netdev for vf in pf.vfs if vf.netdev]
    found = {name: "systemd-networkd" for name in names if _networkd_has(name)}
    if names and Path("/run/NetworkManager").exists():
        found |= {name: "NetworkManager" for name in names if name in _network_manager_has()}
    return found


def _networkd_has(name: str) -> bool:
    try:
        index = Path(f"/sys/class/net/{name}/ifindex").read_text().strip()
        state = (_NETWORKD / index).read_text()
    except OSError:
        return False
    return "ADMIN_STATE=" in state and "ADMIN_STATE=unmanaged" not in state


def _network_manager_has() -> set[str]:
    try:
        said = process.run(["nmcli", "--terse", "--fields", "DEVICE,STATE", "device"]).stdout
    except process.ProcessFailed:
        return set()
    pairs = (line.rpartition(":") for line in said.splitlines())
    return {name for name, _, state in pairs if state != "unmanaged"}


def _configuration(config: Config, path: Path | None) -> Configuration:
    networks, claimed = books.read(config.cloud.database_url)
    return Configuration(
        path=str(path or "the configuration"),
        fabric=config.fabric.kind,
        hypervisor=config.cloud.hypervisor,
        pfs=tuple(ConfiguredPf(one.name, pf, network) for one in config.cloud.hosts for pf, network in one.pfs.items()),
        bridges=config.fabric.bridge_mappings,
        ports=tuple(_ports(config)),
        networks=networks,
        claimed=claimed,
    )


def _ports(config: Config) -> Iterator[Port]:
    cloud, api, metrics = config.cloud, config.api, config.metrics
    yield _port("cloud", cloud.bind_host, cloud.bind_port, "tcp")
    yield _port("api", api.bind_host, api.bind_port, "tcp")
    # Its address is the management network's, which `hydria up` makes: not there yet is no hindrance.
    yield _port("controller", "", config.controller.heartbeat_bind_port, "udp")
    for service, number in (("cloud", metrics.cloud_port), ("controller", metrics.controller_port)):
        if number:
            yield _port(f"{service}'s metrics", metrics.bind_host, number, "tcp")


def _port(service: str, address: str, number: int, protocol: Literal["tcp", "udp"]) -> Port:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    shown = address or "any address"
    try:
        ports.check_free(address, number, kind)
    except Conflict as error:
        holder, ours = _listener(number, protocol)
        reason = str(error).rstrip(".")
        return Port(
            service=service, address=shown, number=number, protocol=protocol,
            free=False, reason=reason, holder=holder, ours=ours,
        )  # fmt: skip
    return Port(service=service, address=shown, number=number, protocol=protocol, free=True)


def _listener(number: int, protocol: str) -> tuple[str, bool]:
    """Who listens there, and whether it is a Hydria."""
    said = process.run(["ss", "-Hlnp", f"--{protocol}", f"sport = :{number}"], check=False).stdout
    match = re.search(r'\(\("([^"]*)",pid=(\d+)', said)
    if match is None:
        return "", False
    try:
        words = Path(f"/proc/{match[2]}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        words = []
    return f"{match[1]} (process {match[2]})", any(re.search(r"\bhydria\b", word) for word in words)


def _state(root: Path) -> Iterator[Entry]:
    for name in _STATE_FILES:
        path = root / name
        if path.exists():
            status = path.stat()
            yield Entry(str(path), status.st_mode & 0o7777, status.st_uid)


def _vfio_pci() -> Literal["loaded", "available", "missing"]:
    if Path("/sys/module/vfio_pci").exists():
        return "loaded"
    try:
        process.run(["modprobe", "--dry-run", "--quiet", "vfio-pci"])
    except process.ProcessFailed:
        return "missing"
    return "available"


def _cpu_vendor() -> str:
    match = re.search(r"^vendor_id\s*: (\S+)", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return match[1] if match else ""


def _version(program: str, option: str) -> str | None:
    try:
        done = process.run([program, option], check=False)
    except process.ProcessFailed:
        return None
    return next(iter((done.stdout or done.stderr).splitlines()), program)
