"""`hydria cloud`, `api`, `controller` and `agent`: each runs one service in the foreground until SIGTERM."""

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from hydria.base import log, process
from hydria.base.config import load

SUPERVISOR = "HYDRIA_SUPERVISOR"
"""Environment variable: the process id of the `hydria up` that we belong to."""

app = typer.Typer()

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file; HYDRIA_SECTION__KEY wins over it.")
]


@app.command()
def cloud(config: ConfigFile = None) -> None:
    """Serve the embedded cloud: identity, compute, network and image APIs for this machine."""
    _run("cloud", config)


@app.command()
def api(config: ConfigFile = None) -> None:
    """Serve the Load Balancer API v2."""
    _run("api", config)


@app.command()
def controller(config: ConfigFile = None) -> None:
    """Reconcile load balancers and receive heartbeats."""
    _run("controller", config)


@app.command()
def agent() -> None:
    """Make this amphora what its spec says. Its configuration is /etc/hydria/agent.json."""
    os.execv(sys.executable, [sys.executable, "-m", "hydria.agent"])  # noqa: S606 - no shell is wanted


def _run(name: str, path: Path | None) -> None:
    _die_with_supervisor()
    config = load(path)
    log.setup(config.log.level)
    importlib.import_module(f"hydria.{name}.service").run(config)


def _die_with_supervisor() -> None:
    """A supervisor that was killed outright must not leave services behind that hold its ports and databases."""
    supervisor = os.environ.get(SUPERVISOR)
    if supervisor is not None:
        process.die_with(int(supervisor))
