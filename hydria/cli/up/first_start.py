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

FreePort = Callable[[str, int, socket.SocketKind], int]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line said; None or empty: as it was, or the default."""

    fabric: Literal["software"] = "software"
    fabric_name: str | None = None
    host_names: tuple[str, ...] = ()
    bind: str | None = None
    vfs: int | None = None


def first_config(root: Path, options: Options, fabric: Fabric, free_port: FreePort) -> Config:
    """Everything below `root`, generated passwords, free ports."""
    passwords = {user: secrets.token_urlsafe(24) for user in USERS}
    wake = root / "wake"
    default = Config()
    replace = msgspec.structs.replace
    machine = str(ipaddress.ip_network(fabric.management_prefix)[1])
    bind = options.bind or "127.0.0.1"
    config = replace(
        default,
        database=replace(default.database, url=f"sqlite:///{root}/hydria.db"),
        identity=replace(default.identity, password=passwords["hydria"]),
        api=replace(default.api, bind_port=free_port(bind, default.api.bind_port, socket.SOCK_STREAM)),
        controller=replace(
            default.controller,
            heartbeat_bind_host=machine,
            heartbeat_bind_port=free_port("", default.controller.heartbeat_bind_port, socket.SOCK_DGRAM),
            wake_socket=str(wake) if len(str(wake)) < SOCKET_PATH_LIMIT else None,
        ),
        certificates=replace(default.certificates, directory=str(root / "certificates")),
        cloud=replace(
            default.cloud,
            bind_port=free_port(bind, default.cloud.bind_port, socket.SOCK_STREAM),
            database_url=f"sqlite:///{root}/cloud.db",
            state_dir=str(root / "cloud"),
            passwords=passwords,
        ),
        fabric=fabric,
    )
    heartbeats = replace(config.controller, heartbeat_address=f"{machine}:{config.controller.heartbeat_bind_port}")
    named = replace(options, host_names=options.host_names or (socket.gethostname(),), bind=bind)
    return with_options(replace(config, controller=heartbeats), named)


def with_options(config: Config, options: Options) -> Config:
    """A later start's options win over what was remembered; a fabric can't change its kind or name. Raises Invalid."""
    fabric = config.fabric
    for name, given, is_now in (
        ("--fabric", options.fabric, fabric.kind),
        ("--fabric-name", options.fabric_name, fabric.name),
    ):
        if given is not None and given != is_now:
            raise Invalid(f"{name} {given}: this state directory was made with {is_now}, and its servers live there.")
    replace = msgspec.structs.replace
    if options.vfs is not None:
        fabric = replace(fabric, vfs=options.vfs)
    config = replace(config, fabric=fabric)
    if options.host_names:
        config = replace(config, cloud=replace(config.cloud, hosts=hosts(options.host_names, config)))
    return config if options.bind is None else _bound(config, options.bind)


def hosts(names: tuple[str, ...], config: Config) -> tuple[Host, ...]:
    """Each has PFs of its own, as hosts do."""
    networks = config.fabric.physical_networks
    return tuple(Host(name=name, pfs=software_pfs(networks, number)) for number, name in enumerate(names))


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
