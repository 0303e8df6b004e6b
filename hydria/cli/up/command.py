"""`hydria up`: cloud, api and controller of one machine. Wires; the parts know each other through this file only."""

import functools
import logging
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from hydria.base import log, private_file
from hydria.base.config import Config, load
from hydria.base.notify import notify
from hydria.cli.service import SUPERVISOR
from hydria.cli.up import first_start, ports, seed, the_fabric
from hydria.cli.up.answers import await_answer, http_answers, udp_bound
from hydria.cli.up.child import Child
from hydria.cli.up.clouds import clouds_yaml
from hydria.cli.up.state import StateDirectory
from hydria.cli.up.supervisor import supervise
from hydria.drivers.noop import NOTHING_IS_REAL

logger = log.Logger(__name__)
app = typer.Typer()

SERVICES = ("cloud", "api", "controller")


@app.command()
def up(
    *,
    state_dir: Annotated[Path, typer.Option(metavar="DIR", help="Holds everything; made at the first start.")],
    fabric: Annotated[
        Literal["software", "sriov"] | None,
        typer.Option(help="software: bridges and macvlans; sriov: this machine's NICs. [software]"),
    ] = None,
    fabric_name: Annotated[str | None, typer.Option(metavar="NAME", help="Network namespace of the fabric.")] = None,
    host_name: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Compute host's name; more than once for several.")
    ] = None,
    bind: Annotated[str | None, typer.Option(metavar="ADDRESS", help="What the APIs listen on. [127.0.0.1]")] = None,
    vfs: Annotated[int | None, typer.Option(metavar="N", min=1, max=256, help="VFs per software PF. [8]")] = None,
    pf: Annotated[
        list[str] | None,
        typer.Option(metavar="[HOST:]PF=NETWORK", help="A NIC and its physical network; more than once for several."),
    ] = None,
    bridge: Annotated[
        list[str] | None,
        typer.Option(metavar="NETWORK=BRIDGE", help="This machine's bridge for a physical network's normal ports."),
    ] = None,
    hypervisor: Annotated[
        Literal["namespace", "qemu"] | None,
        typer.Option(help="namespace: servers are containers; qemu: virtual machines, from images. [namespace]"),
    ] = None,
    noop: Annotated[
        bool,
        typer.Option("--noop", help="Pretend: any id is taken, all is ACTIVE at once, nothing is made. Not as root."),
    ] = False,
) -> None:
    """Run cloud, api and controller on this machine, in the foreground, until SIGTERM or Ctrl-C.

    A later start finds everything as it was; an option given then wins over what was remembered.
    """
    os.umask(0o077)
    log.setup()
    state = StateDirectory(state_dir.absolute())
    options = first_start.Options(
        fabric=fabric,
        fabric_name=fabric_name,
        host_names=tuple(host_name or ()),
        bind=bind,
        vfs=vfs,
        pfs=tuple(pf or ()),
        bridges=tuple(bridge or ()),
        hypervisor=hypervisor,
        noop=noop,
    )
    with state.held():
        _log_to(state.logs / "up.log")
        config = _configuration(state, options)
        if noop:
            logger.warning(NOTHING_IS_REAL)
        the_fabric.ensure(config)
        _check_ports(config)
        private_file.write(state.clouds, clouds_yaml(config).encode())
        children = {name: _child(name, state) for name in SERVICES}
        try:
            supervise(list(children.values()), functools.partial(_until_ready, state, config, children))
        finally:
            notify("STOPPING=1")


def _configuration(state: StateDirectory, options: first_start.Options) -> Config:
    before = state.load()
    if before is None:
        config = first_start.first_config(state.root, options, the_fabric.choose(options), ports.choose, load(None))
    else:
        config = first_start.with_options(before, options)
    the_fabric.check(config, before)
    if config != before:
        state.save(config)
    first_start.check_environment(config, load(state.config))
    return config


def _check_ports(config: Config) -> None:
    ports.check_free(config.cloud.bind_host, config.cloud.bind_port, ports.TCP)
    ports.check_free(config.api.bind_host, config.api.bind_port, ports.TCP)
    for port in (config.metrics.cloud_port, config.metrics.controller_port):
        if port:
            ports.check_free(config.metrics.bind_host, port, ports.TCP)
    ports.check_free("", config.controller.heartbeat_bind_port, ports.UDP)


def _child(name: str, state: StateDirectory) -> Child:
    return Child(
        name,
        (sys.executable, "-m", "hydria.cli.main", name, "--config", str(state.config)),
        log_file=state.logs / f"{name}.log",
        clock=time.monotonic,
        environment={SUPERVISOR: str(os.getpid())},
    )


def _until_ready(state: StateDirectory, config: Config, children: dict[str, Child]) -> None:
    """Runs beside the supervision: wait for each, seed, then say so once."""
    await_answer(children["cloud"], lambda: http_answers(config.identity.auth_url))
    seed.ensure(config)
    await_answer(children["api"], lambda: http_answers(config.cloud.load_balancer_url))
    await_answer(children["controller"], lambda: udp_bound(config.controller.heartbeat_bind_port))
    state.ready.touch()
    notify("READY=1")
    urls = f"load balancer API {config.cloud.load_balancer_url}, identity {config.identity.auth_url}"
    ready = (
        "Hydria is ready (--noop: load balancers are pretended)" if config.drivers.kind == "noop" else "Hydria is ready"
    )
    print(f"{ready}: {urls}, export OS_CLIENT_CONFIG_FILE={state.clouds} OS_CLOUD=demo", flush=True)


def _log_to(path: Path) -> None:
    """What the supervisor itself says, above all why a service died, is kept beside the services' logs."""
    root = logging.getLogger()
    handler = logging.FileHandler(path)
    handler.setFormatter(root.handlers[0].formatter)
    root.addHandler(handler)
