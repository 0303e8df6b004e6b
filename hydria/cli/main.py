"""The `hydria` command: finds the subcommand. Each imports what it needs when it runs, so that help is quick."""

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from hydria.base.errors import HydriaError

COMMANDS = {
    "up": ("hydria.cli.up.command", "Run cloud, api and controller on this machine, in the foreground."),
    "demo": ("hydria.cli.demo.command", "Show the operator's guide at work in a private fabric."),
    "fabric": ("hydria.cli.fabric", "Bridges, software PFs and test hosts of a machine without SR-IOV NICs."),
    "sriov": ("hydria.cli.sriov.command", "Look at and prepare this host's SR-IOV NICs."),
    "doctor": ("hydria.cli.doctor.command", "What is wrong with this host, and the command that mends it."),
    "image": ("hydria.cli.image.command", "Build, look at and upload the image that amphorae boot from."),
    "amphora": ("hydria.cli.amphora.command", "Amphorae, what they were booted from, and rolling failover."),
    "cloud": ("hydria.cli.service", "Serve the embedded cloud."),
    "api": ("hydria.cli.service", "Serve the Load Balancer API v2."),
    "controller": ("hydria.cli.service", "Reconcile load balancers and receive heartbeats."),
    "agent": ("hydria.cli.service", "Make this amphora what its spec says."),
    "version": ("hydria.cli.version", "Print the version."),
}
"""Name → module with a Typer application named `app`, and the line that `hydria --help` shows."""


class Lazy(TyperGroup):
    """Help needs one line per command: only the command that runs is imported."""

    _importing = False

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base class's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, text = COMMANDS[cmd_name]
        if not self._importing:
            return TyperCommand(cmd_name, help=text)
        command = typer.main.get_command(importlib.import_module(module).app)
        if isinstance(command, TyperGroup) and cmd_name in command.commands:
            command = command.commands[cmd_name]
        command.name = cmd_name
        return command

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        self._importing = True
        return super().resolve_command(ctx, args)


app = typer.Typer(cls=Lazy, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.callback()
def hydria() -> None:
    """Load balancers on SR-IOV virtual functions, behind the OpenStack Load Balancer API v2."""


def main() -> None:
    """A foreseen error is one line on standard error and exit status 1; anything else is a bug and shows itself."""
    try:
        app()
    except HydriaError as error:
        print(f"hydria: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
