"""The configuration of a first start, and what a later start's options change in it. Pure but for free ports."""

import ipaddress
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from hydria.base.config import Config, Fabric, Host
from hydria.base.errors import Invalid
from hydria.fabric.software import software_pfs

USERS = ("admin", "hydria", "demo")
SOCKET_PATH_LIMIT = 100
"""Of a unix socket's path the kernel takes 107 bytes; a sender's temporary name must fit as well."""

LOOPBACK = "127.0.0.1"
PRETENDED_INTERVAL, PRETENDED_TIMEOUT = 30.0, 3600.0
"""Of heartbeats of pretended amphorae. They are never lost; those of an earlier start speak up one by one."""

CLOUD_METRICS_PORT, CONTROLLER_METRICS_PORT = 9878, 9879

FreePort = Callable[[str, int, socket.SocketKind], int]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line said; None or empty: as it was, or the default."""

    fabric: Literal["software", "sriov"] | None = None
    fabric_name: str | None = None
    host_names: tuple[str, ...] = ()
    bind: str | None = None
    vfs: int | None = None
    pfs: tuple[str, ...] = ()
    """[HOST:]PF=PHYSICAL_NETWORK"""
    bridges: tuple[str, ...] = ()
    """PHYSICAL_NETWORK=BRIDGE"""
    hypervisor: Literal["namespace", "qemu"] | None = None
    noop: bool = False


def first_config(root: Path, options: Options, fabric: Fabric, free_port: FreePort, preferred: Config) -> Config:
    """Everything below `root`, generated passwords, free ports: the `preferred` ones where nobody has them."""
    passwords = {user: secrets.token_urlsafe(24) for user in USERS}
    wake = root / "wake"
    default = Config()
    replace = msgspec.structs.replace
    bind = options.bind or LOOPBACK
    machine = LOOPBACK if options.noop else str(ipaddress.ip_network(fabric.management_prefix)[1])
    config = replace(
        default,
        drivers=replace(default.drivers, kind="noop" if options.noop else default.drivers.kind),
        database=replace(default.database, url=f"sqlite:///{root}/hydria.db"),
        identity=replace(default.identity, password=passwords["hydria"]),
        api=replace(default.api, bind_port=free_port(bind, preferred.api.bind_port, socket.SOCK_STREAM)),
        controller=replace(
            default.controller,
            heartbeat_bind_host=machine,
            heartbeat_bind_port=free_port("", preferred.controller.heartbeat_bind_port, socket.SOCK_DGRAM),
            wake_socket=str(wake) if len(str(wake)) < SOCKET_PATH_LIMIT else None,
        ),
        certificates=replace(default.certificates, directory=str(root / "certificates")),
        cloud=replace(
            default.cloud,
            bind_port=free_port(bind, preferred.cloud.bind_port, socket.SOCK_STREAM),
            database_url=f"sqlite:///{root}/cloud.db",
            state_dir=str(root / "cloud"),
            passwords=passwords,
            tenant_physical_network=fabric.physical_networks[-1] if options.noop or fabric.kind == "software" else "",
            hypervisor=options.hypervisor or default.cloud.hypervisor,
        ),
        fabric=fabric,
        # Nobody logs in to read metrics: they stay on this machine until somebody says otherwise.
        metrics=replace(
            default.metrics,
            cloud_port=free_port(default.metrics.bind_host, CLOUD_METRICS_PORT, socket.SOCK_STREAM),
            controller_port=free_port(default.metrics.bind_host, CONTROLLER_METRICS_PORT, socket.SOCK_STREAM),
        ),
    )
    heartbeats = replace(config.controller, heartbeat_address=f"{machine}:{config.controller.heartbeat_bind_port}")
    if options.noop:
        heartbeats = replace(heartbeats, heartbeat_interval=PRETENDED_INTERVAL, heartbeat_timeout=PRETENDED_TIMEOUT)
        return with_options(replace(config, controller=heartbeats), replace(options, bind=bind))
    named = replace(options, host_names=options.host_names or (socket.gethostname(),), bind=bind)
    return with_options(replace(config, controller=heartbeats), named)


def with_options(config: Config, options: Options) -> Config:
    """A later start's options win over what was remembered; fabric and hypervisor stay. Raises Invalid."""
    _refuse_other_drivers(options, config)
    fabric = config.fabric
    for name, given, is_now in (
        ("--fabric", options.fabric, fabric.kind),
        ("--fabric-name", options.fabric_name, fabric.name),
        ("--hypervisor", options.hypervisor, config.cloud.hypervisor),
    ):
        if given is not None and given != is_now:
            raise Invalid(f"{name} {given}: this state directory was made with {is_now}, and its servers live there.")
    _refuse_others_options(options, fabric)
    replace = msgspec.structs.replace
    if options.vfs is not None:
        fabric = replace(fabric, vfs=options.vfs)
    if options.bridges:
        fabric = replace(fabric, bridge_mappings=_bridges(options.bridges))
    config = replace(config, fabric=fabric)
    made = _sriov_hosts(options, config) if fabric.kind == "sriov" else _software_hosts(options, config)
    config = replace(config, cloud=replace(config.cloud, hosts=made))
    return config if options.bind is None else _bound(config, options.bind)


_TOLD_TO_CLIENTS = (
    ("api", "bind_host"),
    ("api", "bind_port"),
    ("cloud", "bind_host"),
    ("cloud", "bind_port"),
    ("cloud", "load_balancer_url"),
    ("identity", "auth_url"),
    ("controller", "heartbeat_bind_port"),
)
"""Options, by section, that others rest on: the catalogue, clouds.yaml, amphorae."""


def check_environment(config: Config, of_services: Config) -> None:
    """`of_services`: as the services see it, where the environment wins. Raises Invalid."""
    for section, name in _TOLD_TO_CLIENTS:
        ours, theirs = (getattr(getattr(one, section), name) for one in (config, of_services))
        if ours != theirs:
            raise Invalid(
                f"HYDRIA_{section.upper()}__{name.upper()} is {theirs}, and clients of this state directory are told "
                f"{ours}. Unset it{'; --bind says the address' if name == 'bind_host' else ''}."
            )


def _refuse_other_drivers(options: Options, config: Config) -> None:
    """What is pretended and what is real never meet in one state directory."""
    noop = config.drivers.kind == "noop"
    if options.noop and not noop:
        raise Invalid("--noop: this state directory was made without it, and its load balancers are real.")
    if noop and not options.noop:
        raise Invalid("This state directory was made with --noop: its load balancers are pretended. Give --noop again.")
    if noop:
        for name in ("fabric", "fabric_name", "host_names", "vfs", "pfs", "bridges", "hypervisor"):
            if getattr(options, name):
                raise Invalid(f"--noop has no fabric and no servers: {_OPTIONS[name]} means nothing with it.")


_OPTIONS = {
    "fabric": "--fabric",
    "fabric_name": "--fabric-name",
    "host_names": "--host-name",
    "vfs": "--vfs",
    "pfs": "--pf",
    "bridges": "--bridge",
    "hypervisor": "--hypervisor",
}


def _refuse_others_options(options: Options, fabric: Fabric) -> None:
    """An option that this kind of fabric would pass over in silence."""
    if fabric.kind == "sriov" and options.vfs is not None:
        raise Invalid("--vfs is for software PFs; a NIC's VFs are made by: hydria sriov enable PF --vfs N")
    for name, given in (("--pf", options.pfs), ("--bridge", options.bridges)):
        if given and fabric.kind != "sriov":
            raise Invalid(f"{name} {given[0]}: only with --fabric sriov; a software fabric makes its own.")


def _software_hosts(options: Options, config: Config) -> tuple[Host, ...]:
    """Each has PFs of its own, as hosts do."""
    if not options.host_names:
        return config.cloud.hosts
    networks = config.fabric.physical_networks
    named = enumerate(options.host_names)
    return tuple(Host(name=name, pfs=software_pfs(networks, number)) for number, name in named)


def _sriov_hosts(options: Options, config: Config) -> tuple[Host, ...]:
    """Names and PFs that are not given stay, as far as one can tell which belong together."""
    before = config.cloud.hosts
    names = options.host_names or tuple(host.name for host in before)
    if options.pfs:
        return _hosts_with(names, options.pfs)
    if not before:
        raise Invalid("--fabric sriov: say which NICs, --pf PF=PHYSICAL_NETWORK for each.")
    if len(names) == len(before) == 1:
        return (Host(name=names[0], pfs=before[0].pfs),)
    if set(names) != {host.name for host in before}:
        raise Invalid(f"--host-name {names[0]}: say which PFs are whose, --pf HOST:PF=PHYSICAL_NETWORK for each.")
    return before


def _hosts_with(names: tuple[str, ...], texts: tuple[str, ...]) -> tuple[Host, ...]:
    pfs: dict[str, dict[str, str]] = {name: {} for name in names}
    for text in texts:
        left, network = _pair("--pf", text, "[HOST:]PF=PHYSICAL_NETWORK")
        # A link's name has no colon.
        host, _, pf = left.rpartition(":")
        if not host and len(names) > 1:
            raise Invalid(f"--pf {text}: say whose of {', '.join(names)} it is: --pf HOST:PF=PHYSICAL_NETWORK")
        if host and host not in pfs:
            raise Invalid(f"--pf {text}: there is no host {host} (--host-name: {', '.join(names)})")
        if any(pf in own for own in pfs.values()):
            raise Invalid(f"--pf {text}: PF {pf} is given twice.")
        pfs[host or names[0]][pf] = network
    return tuple(Host(name=name, pfs=own) for name, own in pfs.items())


def _bridges(texts: tuple[str, ...]) -> dict[str, str]:
    bridges: dict[str, str] = {}
    for text in texts:
        network, bridge = _pair("--bridge", text, "PHYSICAL_NETWORK=BRIDGE")
        if bridges.setdefault(network, bridge) != bridge:
            raise Invalid(f"--bridge {text}: physical network '{network}' has bridge {bridges[network]} already.")
    return bridges


def _pair(option: str, text: str, form: str) -> tuple[str, str]:
    left, _, right = text.partition("=")
    if not left.rpartition(":")[2] or not right:
        raise Invalid(f"{option} {text}: expected {form}")
    return left, right


def _bound(config: Config, bind: str) -> Config:
    try:
        address = ipaddress.ip_address(bind)
    except ValueError as error:
        raise Invalid(f"--bind {bind}: {error}") from error
    if address.is_unspecified:
        raise Invalid(f"--bind {bind}: give one address of this machine; the catalogue's URLs carry it.")
    replace = msgspec.structs.replace
    host = f"[{address}]" if address.version == 6 else str(address)
    cloud_url = f"http://{host}:{config.cloud.bind_port}"
    return replace(
        config,
        identity=replace(config.identity, auth_url=f"{cloud_url}/identity/v3"),
        api=replace(config.api, bind_host=bind),
        cloud=replace(
            config.cloud,
            bind_host=bind,
            load_balancer_url=f"http://{host}:{config.api.bind_port}",
        ),
    )
