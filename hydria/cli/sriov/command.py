"""`hydria sriov`: looks at this host's SR-IOV NICs, gives PFs their VFs and takes them away again."""

import datetime as dt
import json
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console

from hydria.base.config import Config, load
from hydria.base.errors import Conflict, NotFound
from hydria.cli.doctor import books
from hydria.cli.sriov import host, tables
from hydria.cli.sriov.changes import changes
from hydria.cli.sriov.host import Machine
from hydria.sriov import persistence, preparation
from hydria.sriov.inventory import Pf
from hydria.sriov.preparation import Device
from hydria.sriov.records import Records

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Look at and prepare this host's SR-IOV NICs."
)

ConfigFile = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Says which PF is on which physical network.")
]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]
PfName = Annotated[str, typer.Argument(metavar="PF", help="Its link's name or its PCI address.")]

_progress = Console(stderr=True)
_ANY = Machine.of(Config())
"""Without a configuration, which to prepare a PF there need not be."""


@app.command()
def enable(
    pf: PfName,
    *,
    vfs: Annotated[int, typer.Option(metavar="N", help="How many.")],
    persist: Annotated[bool, typer.Option("--persist", help="Also after a reboot, by udev rules.")] = False,
    as_json: Json = False,
) -> None:
    """Give a PF its VFs and bring it up.

    Another number than it has is given only while none of its VFs is in use, for all of them go away for a moment.
    """
    device, now = _set(pf, vfs)
    if vfs:
        preparation.bring_up(device)
    if persist:
        persistence.persist(device, vfs)
    _say(device, vfs, now, as_json=as_json)


@app.command()
def disable(
    pf: PfName,
    *,
    persist: Annotated[bool, typer.Option("--persist", help="Also after a reboot: remove the udev rules.")] = False,
    as_json: Json = False,
) -> None:
    """Take a PF's VFs away. Refused while any is in use. The PF itself stays up."""
    device, now = _set(pf, 0)
    if persist:
        persistence.forget(device)
    _say(device, 0, now, as_json=as_json)


@app.command("list")
def list_(
    *,
    config: ConfigFile = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="The VFs too.")] = False,
    as_json: Json = False,
) -> None:
    """The PFs of this host."""
    found = Machine.load(config).pfs()
    if as_json:
        _print_json([tables.pf_json(pf, _persisted(pf)) for pf in found])
        return
    if not found:
        print("This machine has no NIC with SR-IOV.")
        return
    console = _console()
    console.print(tables.pf_table(found))
    if verbose:
        console.print(tables.vf_table([vf for pf in found for vf in pf.vfs]))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="PF|VF", help="A link's name, a PCI address, or PF/INDEX.")],
    *,
    config: ConfigFile = None,
    as_json: Json = False,
) -> None:
    """One PF with its VFs, or one VF."""
    found = Machine.load(config).pfs()
    console = _console()
    if (pair := host.vf_named(name, found)) is not None:
        vf, pf = pair
        if as_json:
            _print_json(msgspec.to_builtins(vf))
        else:
            console.print(tables.facts_table(tables.vf_facts(vf, pf)))
        return
    pf = host.pf_named(name, found)
    if as_json:
        _print_json(tables.pf_json(pf, _persisted(pf)))
        return
    console.print(tables.facts_table(tables.pf_facts(pf, _persisted(pf))))
    if pf.vfs:
        console.print(tables.vf_table(pf.vfs))


@app.command()
def take_back(
    name: Annotated[str, typer.Argument(metavar="VF", help="PF/INDEX, its PCI address or its link's name.")],
    *,
    config: ConfigFile = None,
    force: Annotated[bool, typer.Option("--force", help="Also from a server that has it.")] = False,
) -> None:
    """Take a VF back that a lost guest has left, and make it as it was before. May run twice.

    Refused for a VF that a server has, and where no configuration leads to the books that say so.
    """
    machine = Machine.load(config)
    pair = host.vf_named(name, machine.pfs())
    if pair is None:
        raise NotFound(f"There is no VF {name}: hydria sriov list -v shows them.")
    vf, _ = pair
    if vf.foreign:
        raise Conflict(f"VF {vf.id} is not Hydria's to take: {vf.holder} has it.")
    if vf.at_home:
        print(f"VF {vf.id} is here, as before.")
        return
    claimed = None if config is None else books.read(load(config).cloud.database_url)[1]
    if not force and (claimed is None or vf.id in claimed):
        why = "no configuration says whether a server has it" if claimed is None else "a server has it: delete that"
        raise Conflict(f"VF {vf.id}, with {vf.holder}, is not taken back: {why} (or --force).")
    machine.nics().take_back(vf.id)
    print(f"VF {vf.id} is taken back from {vf.holder}.")


@app.command()
def watch(*, config: ConfigFile = None, as_json: Json = False) -> None:
    """A line per PF, then one per change, until Ctrl-C: links, VFs handed over and given back, PFs gone and new."""
    stop = _stop_on_signal()
    before: tuple[Pf, ...] = ()
    for now in Machine.load(config).watch(stop):
        for change in changes(before, now):
            when = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            if as_json:
                print(json.dumps({"time": when, **msgspec.to_builtins(change)}), flush=True)
            else:
                print(f"{when} {change.text}", flush=True)
        before = now


def _set(name: str, numvfs: int) -> tuple[Device, bool]:
    """Whether anything was done. Nobody hands a VF over between our look at who has them and the change."""
    device = preparation.find(name)
    preparation.plan(msgspec.structs.replace(device, numvfs=numvfs), numvfs, ())  # what cannot be needs no lock
    with Records().locked(device.pci_address), _progress.status(f"{device}: {numvfs} VFs") as status:
        device = preparation.find(device.pci_address)
        steps = preparation.plan(device, numvfs, host.pf_of(device, _ANY.pfs()).vfs)
        preparation.set_numvfs(device, steps)
        if steps and numvfs:
            status.update(f"{device}: waiting for the VFs' driver")
            for vf in preparation.await_drivers(device, numvfs):
                _progress.print(f"VF {vf} has no driver: hydria doctor says why.", style="yellow")
    return device, bool(steps)


def _say(device: Device, numvfs: int, changed: bool, *, as_json: bool) -> None:
    persisted = persistence.persisted(device.pci_address)
    if as_json:
        _print_json(tables.pf_json(host.pf_of(device, _ANY.pfs()), persisted))
        return
    how = "now has" if changed else "has, as before,"
    print(f"{device} {how} {numvfs or 'no'} VFs{_at_boot(numvfs, persisted)}.")


def _at_boot(numvfs: int, persisted: int | None) -> str:
    if persisted == numvfs or (persisted is None and numvfs == 0):
        return ", and after a reboot"
    return f"; after a reboot it has {'none' if persisted is None else persisted}: --persist would change that"


def _persisted(pf: Pf) -> int | None:
    return persistence.persisted(pf.pci_address) if pf.pci_address else None


def _console() -> Console:
    """What is piped somewhere is not cut to a terminal's width."""
    console = Console()
    return console if console.is_terminal else Console(width=200)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    return stop
