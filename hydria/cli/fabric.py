"""`hydria fabric`: the bridges, software PFs and test hosts of a machine without SR-IOV NICs."""

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hydria.base import config, process
from hydria.base.errors import Conflict, HydriaError
from hydria.fabric import hosts, management, software, teardown
from hydria.sriov.software import SoftwareNics

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Bridges, software PFs and test hosts on this machine."
)

FabricOption = Annotated[
    str | None,
    typer.Option("--fabric", metavar="NAME", help="Needed where there are several."),
]
_DEFAULTS = config.Fabric()


@app.command()
def up(
    name: Annotated[str, typer.Option("--fabric", "--name", help="Network namespace that holds it.")] = _DEFAULTS.name,
    network: Annotated[list[str], typer.Option(help="Physical network.")] = list(_DEFAULTS.physical_networks),  # noqa: B006 - Typer only reads it
    vfs: Annotated[int, typer.Option(min=0, help="VFs per software PF.")] = _DEFAULTS.vfs,
    management_prefix: Annotated[str, typer.Option(help="Default: the first free /20 of 198.18.0.0/15.")] = "",
) -> None:
    """Make the fabric, or what is missing of it."""
    prefix = management_prefix or management.prefix_of(name) or management.pick_management_prefix()
    software.SoftwareFabric(
        config.Fabric(kind="software", name=name, vfs=vfs, physical_networks=tuple(network), management_prefix=prefix)
    ).ensure()
    print(f"Fabric {name} is up, management prefix {prefix}.")


@app.command()
def down(fabric: FabricOption = None) -> None:
    """Remove a fabric with everything in it, also what a crash left."""
    remains = teardown.remains()
    if fabric is None and len(remains) > 1 and teardown.DEFAULT not in remains:
        raise Conflict(f"There are several fabrics ({', '.join(remains)}): say which with --fabric.")
    removed = teardown.down(fabric or (remains[0] if len(remains) == 1 else teardown.DEFAULT))
    print("\n".join(f"removed {line}" for line in removed) or "There was nothing to remove.")


@app.command(context_settings={"allow_interspersed_args": True})
def add_host(
    name: str,
    *,
    network: Annotated[str, typer.Option(help="Physical network, such as public.")],
    command: Annotated[list[str] | None, typer.Argument(help="After --: run it there, end with its status.")] = None,
    address: Annotated[list[str] | None, typer.Option(help="ADDRESS[/LENGTH]; default: free ones.")] = None,
    fabric: FabricOption = None,
    rm: Annotated[bool, typer.Option("--rm", help="Remove the host when the command has ended.")] = False,
) -> None:
    """Put a test host on a network: a namespace NAME, as `ip netns` shows it, with a NIC `eth0`."""
    chosen = teardown.the_fabric(fabric)
    host = hosts.add(chosen, name, network, address or ())
    if not command:
        print(f"Host {name} is on {network} with {', '.join(host.addresses)}.")
        return
    try:
        status = _run_inside(name, command)
    finally:
        if rm:
            hosts.remove(chosen, name)
    raise typer.Exit(status)


@app.command()
def remove_host(name: str, fabric: FabricOption = None) -> None:
    """Kill what runs in a test host and remove it."""
    hosts.remove(teardown.the_fabric(fabric), name)
    print(f"Host {name} is removed.")


@app.command("list")
def list_() -> None:
    """The fabrics of this machine."""
    table = Table("Name", "Management", "Address", "Hosts")
    for name in teardown.fabrics():
        link = management.find(name)
        prefix = management.prefix_of(name) or ""
        table.add_row(name, link.name if link else "missing", prefix, str(len(hosts.listing(name))))
    Console().print(table)


@app.command()
def show(fabric: FabricOption = None) -> None:
    """Test hosts, software PFs and where their VFs are."""
    name = teardown.the_fabric(fabric)
    console = Console()
    pfs = Table("PF", "Physical network", "Link", "VFs", "In use", title=f"Fabric {name}")
    for pf in SoftwareNics(name, software.pfs_of(name)).scan():
        away = [vf.id.kernel_name for vf in pf.vfs if not vf.at_home]
        used = f"{len(away)}: {', '.join(away)}" if away else "0"
        pfs.add_row(pf.name, pf.physical_network, "up" if pf.link_up else "down", str(pf.numvfs), used)
    console.print(pfs)
    table = Table("Host", "Physical network", "Addresses")
    for host in hosts.listing(name):
        table.add_row(host.name, host.physical_network, ", ".join(host.addresses))
    console.print(table)


def _run_inside(name: str, command: Sequence[str]) -> int:
    """In the foreground: it has our terminal, whose Ctrl-C it gets itself; a SIGTERM to us is passed on to it."""
    child = process.start(["ip", "netns", "exec", name, *command], stdin=0, stdout=1, stderr=2)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGTERM, signal.SIGHUP)}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        status = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    # As a shell says that a signal ended it.
    return status if status >= 0 else 128 - status


def main() -> None:
    try:
        app()
    except HydriaError as error:
        sys.exit(f"hydria fabric: {error}")


if __name__ == "__main__":
    main()
