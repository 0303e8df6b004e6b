"""`hydria demo`: the operator's guide typed and shown in a private fabric, then traffic, firewall, VFs and time."""

import contextlib
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console

from hydria.base.errors import HydriaError
from hydria.cli.demo import guide, show
from hydria.cli.demo.client import Client, graph
from hydria.cli.demo.stage import Stage, TestHost
from hydria.cli.demo.traffic import ask, first_byte, spread

app = typer.Typer()

BACKENDS = {"backend-a": "192.0.2.10", "backend-b": "192.0.2.11", "backend-c": "192.0.2.12"}
REQUESTS = 30


class DemoFailed(HydriaError):
    """Something that the demo is about does not hold."""


@app.command()
def demo() -> None:
    """Show the operator's guide at work: real commands, real traffic. Needs root; leaves nothing behind.

    Stays up until Ctrl-C on a terminal; else ends with status 0, or with 1 and the reason.
    """
    if os.geteuid() != 0:
        raise DemoFailed("The demo makes network namespaces: run it as root.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    console = Console(highlight=False)
    with contextlib.ExitStack() as stack:
        name = f"demo-{os.getpid()}"
        with console.status("Starting hydria up in a private fabric ..."):
            stage = stack.enter_context(Stage(name, host_names=[guide.HOST]))
        # From here on Ctrl-C ends the demo once; a second one must not end the cleaning up.
        stack.callback(_ignore_signals)
        stack.callback(console.print, "Taking everything down.")
        _play(console, stage)
        if sys.stdin.isatty() and console.is_terminal:
            _stay(console, stage)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _play(console: Console, stage: Stage) -> None:
    client_host = stage.add_host("client", "public")
    for name, address in BACKENDS.items():
        stage.add_host(name, "members", [address]).serve()
    show.title(console, f"A client on network public, three HTTP backends on members: {', '.join(BACKENDS.values())}")
    for step in (*guide.OPERATOR, guide.USE):
        _type(console, stage, step)
    others = [address for address in BACKENDS.values() if address not in guide.USE.commands[-1]]
    more = tuple(guide.USE.commands[-1].replace("192.0.2.10", address) for address in others)
    _type(console, stage, guide.Step("   The other backends", "demo", more))
    users = Client(stage.state.clouds, "demo")
    balancer = users.named("loadbalancers", "lb1")
    _show_traffic(console, client_host, balancer["vip_address"])
    _check_vfs(users, balancer)
    show.title(console, "The firewall inside the amphora")
    for path in show.amphora_namespaces(stage.fabric):
        show.command(console, f"nsenter --net={path} nft list ruleset")
    show.title(console, "VFs in use per PF")
    show.command(console, f"hydria fabric show --fabric {stage.fabric}")
    _show_time(console, users, client_host)


def _type(console: Console, stage: Stage, step: guide.Step) -> None:
    show.title(console, f"{step.title}  [dim](OS_CLOUD={step.cloud})[/dim]")
    for line in step.commands:
        console.print(f"$ {line}", style="bold", markup=False, soft_wrap=True)
        with console.status("..."):
            done = stage.openstack(step.cloud, shlex.split(line)[1:])
        console.print(done.stdout.rstrip(), markup=False, soft_wrap=True)


def _show_traffic(console: Console, client: TestHost, vip: str) -> None:
    show.title(console, f"{REQUESTS} requests from the client to the VIP: http://{vip}/")
    show.command(console, f"ip netns exec {client.namespace.name} curl -sS http://{vip}/")
    answers = spread(client, f"http://{vip}/", REQUESTS)
    show.bars(console, answers)
    if set(answers) != set(BACKENDS):
        raise DemoFailed(f"Requests reached {', '.join(sorted(answers))} instead of all backends.")


def _check_vfs(users: Client, balancer: dict[str, Any]) -> None:
    pool = users.named("pools", "pool1")
    kinds = [member["vnic_type"] for member in users.get(f"/pools/{pool['id']}/members")]
    if {balancer["vip_vnic_type"], *kinds} != {"direct"}:
        raise DemoFailed(f"Not every port is a VF: VIP {balancer['vip_vnic_type']}, members {', '.join(kinds)}.")


def _show_time(console: Console, users: Client, client: TestHost) -> None:
    """One POST of the whole graph: what the service needs, without the time that a command line takes to start."""
    members = _members(users, tuple(BACKENDS.values()))
    flavor = users.named("flavors", guide.FLAVOR)["id"]
    body = graph("lb2", users.subnet("public-subnet")["id"], members, flavor_id=flavor)
    seconds, balancer = first_byte(users, client, body)
    show.title(console, "From the create request to the first byte through the VIP")
    console.print(f"{seconds:.2f} s, {balancer['vip_address']}, VIP and member ports on VFs")
    users.await_active(balancer["id"])
    ask(client, f"http://{balancer['vip_address']}/")
    users.delete("loadbalancers", balancer["id"], cascade=True)
    users.await_gone(balancer["id"])


def _members(users: Client, addresses: Sequence[str]) -> list[dict[str, Any]]:
    subnet = users.subnet("members-subnet")["id"]
    port = {"protocol_port": 80, "subnet_id": subnet, "request_sriov": True}
    return [{"address": address, **port} for address in addresses]


def _stay(console: Console, stage: Stage) -> None:
    show.title(console, "It stays up until Ctrl-C. In another terminal:")
    console.print(f"export OS_CLIENT_CONFIG_FILE={stage.state.clouds} OS_CLOUD=demo", markup=False, soft_wrap=True)
    program = f"{os.path.dirname(sys.executable)}/openstack"  # noqa: PTH120 - a venv's own path, not what it links to
    console.print(f"{program} loadbalancer status show lb1", markup=False, soft_wrap=True)
    with contextlib.suppress(KeyboardInterrupt):
        signal.pause()
