"""`python -m hydria.agent.config_drive`: what the cloud says to a new amphora, before its agent starts.

Reads the config drive that Nova attaches: files below /etc/hydria, the hostname, the management NIC's addresses. All of
it is checked before anything is written, and kept: a later boot without the drive comes up the same. Needs neither udev
nor a network. What it prints goes to the console, so nothing of a file's content is in it.
"""

import contextlib
import os
import re
import socket
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from hydria.agent import drivers, network_data, volumes
from hydria.agent.netlink import Link, Netlink
from hydria.agent.netlink import Route as KernelRoute
from hydria.base import cloud_config
from hydria.base.errors import HydriaError, Retryable, Terminal

LABEL = "config-2"
DOCUMENTS = "openstack/latest"
NETWORK_DATA = "network_data.json"
HOSTNAME = Path("/etc/hostname")
NETWORKD = Path("/run/systemd/network")
SYSCTL = Path("/proc/sys/net/ipv6/conf")
PATIENCE = 5.0
"""Seconds that a first boot waits for a config drive or a NIC: without them the amphora is of no use."""
_LOOK_SECONDS = 0.05
KMSG = Path("/dev/kmsg")
_ERROR, _INFO = 3, 6
"""Levels of syslog(2)."""
_HOSTNAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,62}[A-Za-z0-9])?")


class BadMetaData(Terminal):
    """The text names the field."""


class Plan(Struct, frozen=True):
    """All that a config drive asks for."""

    files: tuple[cloud_config.File, ...] = ()
    hostname: str | None = None
    nic: network_data.Nic = network_data.FIRST_NIC


class _MetaData(Struct):
    hostname: str | None = None
    name: str | None = None


def plan(documents: dict[str, bytes]) -> Plan:
    """By name of the document. Raises BadUserData, BadMetaData or BadNetworkData; says so before anything is done."""
    network = documents.get(NETWORK_DATA)
    # The network's document is kept, for boots without the drive.
    kept = () if network is None else (cloud_config.File(NETWORK_DATA, network, cloud_config.DEFAULT_MODE),)
    return Plan(
        files=(*cloud_config.files(documents.get("user_data", b"")), *kept),
        hostname=_hostname(documents.get("meta_data.json", b"{}")),
        nic=network_data.FIRST_NIC if network is None else network_data.management_nic(network),
    )


def _hostname(document: bytes) -> str | None:
    """Its first label: a cloud may add a domain."""
    try:
        data = msgspec.json.decode(document, type=_MetaData)
    except msgspec.MsgspecError as error:
        raise BadMetaData(f"Reading meta_data.json: {error}") from error
    name = (data.hostname or data.name or "").partition(".")[0]
    if name and not _HOSTNAME.fullmatch(name):
        raise BadMetaData(f"Reading meta_data.json: hostname {name!r} is not one")
    return name or None


def read(directory: Path) -> dict[str, bytes]:
    names = ("meta_data.json", "user_data", NETWORK_DATA)
    return {name: (directory / name).read_bytes() for name in names if (directory / name).is_file()}


def ensure_files(files: Iterable[cloud_config.File], directory: Path) -> list[str]:
    """All or none; which were written. One that is so already is left alone."""
    changed = [file for file in files if not _is_there(file, directory / file.path)]
    with contextlib.ExitStack() as undo:
        for file in changed:
            path = directory / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            new = _new(path)
            undo.callback(new.unlink, missing_ok=True)
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as target:
                os.fchmod(target.fileno(), file.mode)
                target.write(file.content)
                target.flush()
                os.fsync(target.fileno())
        for file in changed:
            _new(directory / file.path).replace(directory / file.path)
    return [file.path for file in changed]


def _is_there(file: cloud_config.File, path: Path) -> bool:
    return path.is_file() and path.stat().st_mode & 0o777 == file.mode and path.read_bytes() == file.content


def _new(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def ensure_hostname(name: str) -> None:
    if socket.gethostname() != name:
        socket.sethostname(name)
    ensure_files([cloud_config.File(HOSTNAME.name, f"{name}\n".encode(), 0o644)], HOSTNAME.parent)


def ensure_nic(netlink: Netlink, nic: network_data.Nic, networkd: Path = NETWORKD) -> Link:
    """Up, with its addresses, or handed to systemd-networkd if others say them. Raises Retryable: it is not there."""
    link = _link(netlink, nic.mac)
    if nic.modes:
        text = network_data.networkd_file(replace(nic, mac=link.mac))
        networkd.mkdir(parents=True, exist_ok=True)
        ensure_files([cloud_config.File("10-hydria-management.network", text.encode(), 0o644)], networkd)
        return link
    with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
        # Otherwise any router of the network could give it addresses and routes that nobody said.
        (SYSCTL / link.name / "accept_ra").write_text("0")
    netlink.set_link(link.index, up=True, mtu=nic.mtu)
    present = netlink.addresses().get(link.index, set())
    for address in nic.addresses:
        if address not in present:
            netlink.add_address(link.index, address)
    for route in nic.routes:
        netlink.set_route(KernelRoute(route.destination, route.gateway, link.index))
    return link


def _link(netlink: Netlink, mac: str | None) -> Link:
    links = [link for link in netlink.links() if not link.is_loopback and link.mac and mac in (None, link.mac)]
    if not links:
        wanted = "any NIC" if mac is None else f"the management NIC {mac}"
        raise Retryable(f"Looking for {wanted}: there is none")
    return min(links, key=lambda link: link.index)


def drive(patience: float) -> volumes.Volume | None:
    """Looks at what is there; then loads drivers of disk controllers, and looks again until `patience` is over."""
    found = volumes.find(LABEL)
    if found is None and drivers.load(drivers.STORAGE):
        found = volumes.find(LABEL)
    pause = threading.Event()
    for _ in range(int(patience / _LOOK_SECONDS)):
        if found is not None:
            break
        pause.wait(_LOOK_SECONDS)
        found = volumes.find(LABEL)
    return found


def management(nic: network_data.Nic) -> Link:
    with Netlink() as netlink:
        try:
            return ensure_nic(netlink, nic)
        except Retryable:
            drivers.load(drivers.NETWORK)
        pause = threading.Event()
        for _ in range(int(PATIENCE / _LOOK_SECONDS)):
            with contextlib.suppress(Retryable):
                return ensure_nic(netlink, nic)
            pause.wait(_LOOK_SECONDS)
        return ensure_nic(netlink, nic)


def run() -> None:
    directory = Path(cloud_config.DIRECTORY)
    kept = directory / NETWORK_DATA
    volume = drive(0.0 if kept.exists() else PATIENCE)
    if volume is None:
        _say(_ERROR, f"no config drive ({LABEL}): this boot is like the last")
        documents = {NETWORK_DATA: kept.read_bytes()} if kept.exists() else {}
    else:
        with volumes.mounted(volume) as root:
            documents = read(root / DOCUMENTS)
    wanted = plan(documents)
    written = ensure_files(wanted.files, directory)
    if wanted.hostname is not None:
        ensure_hostname(wanted.hostname)
    link = management(wanted.nic)
    how = ", ".join(wanted.nic.modes or map(str, wanted.nic.addresses))
    _say(_INFO, f"{volume.device if volume else 'kept'}: wrote {', '.join(written) or 'nothing'}; {link.name} {how}")


def _say(level: int, text: str) -> None:
    """To the kernel's log, because no journal runs yet: a line of level 3 is on the console even of a quiet boot."""
    with contextlib.suppress(OSError), KMSG.open("w") as kmsg:
        kmsg.write(f"<{level}>hydria-config-drive: {text}\n")


def main() -> int:
    """1: the drive cannot be used, and the console says why; nothing was written."""
    try:
        run()
    except (HydriaError, OSError) as error:
        _say(_ERROR, f"{error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
