"""What a VF gives instead of a normal port: round trips, requests per second, throughput. Writes docs/benchmarks.md.

First without a load balancer: from the client to a namespace with a VF, and to one behind the bridge over the PF. Then
through two load balancers that are alike but for their NICs, made by a Hydria of its own on this machine's NICs.
Client and backend are namespaces, each with a NIC: the last VF of its PF, or any other NIC cabled to the same network.
"""

import argparse
import contextlib
import datetime as dt
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import load
import msgspec
import page
from figures import KINDS, Figures, Kind
from places import bridge_over, guest, last_free_vf, nic_in_namespace, on_what, pf_of
from rich.console import Console

from hydria.base import config
from hydria.base.errors import HydriaError
from hydria.cli.demo.client import Client, graph
from hydria.cli.demo.stage import Stage, TestHost, await_condition
from hydria.cli.demo.traffic import RequestFailed, ask
from hydria.fabric import management, teardown
from hydria.fabric.addresses import subnets
from hydria.fabric.sriov import SriovFabric
from hydria.sriov import namespaces
from hydria.sriov.inventory import VfId, VfSettings
from hydria.sriov.netlink import Netlink

CLIENT, BACKEND = 250, 10
"""Last digits of their addresses."""
GUESTS: Mapping[Kind, int] = {"VF": 240, "normal port": 241}
MACS: Mapping[Kind, str] = {"VF": "fa:16:3e:be:0c:01", "normal port": "fa:16:3e:be:0c:02"}
WIRE = "Without a load balancer, client to a namespace"
BALANCED = "Through a load balancer (HTTP listener, one member; VIP and member on the same kind)"
ECHO_SECONDS = 0.06
"""An amphora answers 20 pings per second."""


@dataclass(frozen=True)
class Bench:
    pfs: Mapping[str, str]
    """Physical network → PF."""
    bridges: Mapping[str, str]
    client: Path
    backend: Path
    figures: Figures
    console: Console

    @property
    def name(self) -> str:
        return f"bench-{os.getpid()}"

    def in_turn(self, layer: str, measure: Callable[[Kind], Iterator[tuple[str, str, float]]]) -> None:
        for run in range(self.figures.runs):
            for kind in KINDS:
                for what, unit, value in measure(kind):
                    self.figures.add(kind, layer, what, unit, value)
                    self.console.print(f"{run + 1}/{self.figures.runs} {kind}: {what} {value:.4g} {unit}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--public", metavar="PF", help="that clients are on")
    parser.add_argument("--members", metavar="PF", help="that the backend is on")
    parser.add_argument("--client", metavar="NIC", help="the client's, in no other use [last VF of --public]")
    parser.add_argument("--backend", metavar="NIC", help="the backend's, in no other use [last VF of --members]")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each figure [5]")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="write them to this file, not to the page")
    parser.add_argument("--page-of", type=Path, metavar="FILE", help="measure nothing: write its figures to the page")
    arguments = parser.parse_args()
    try:
        if arguments.page_of:
            figures = msgspec.json.decode(arguments.page_of.read_bytes(), type=Figures)
        elif arguments.public and arguments.members:
            figures = measure(**{name: getattr(arguments, name) for name in MEASURED})
        else:
            parser.error("--public and --members are needed.")
    except HydriaError as error:
        sys.exit(f"bench: {error}")
    if arguments.figures:
        arguments.figures.write_bytes(msgspec.json.encode(figures))
    else:
        page.insert(figures.section())


MEASURED = ("public", "members", "client", "backend", "runs", "seconds")


def measure(
    *,
    public: str,
    members: str,
    client: str | None = None,
    backend: str | None = None,
    runs: int,
    seconds: float,
    emulation: str = "",
) -> Figures:
    """Raises HydriaError. Afterwards every NIC is where it was."""
    pfs = {"public": pf_of(public, "public"), "members": pf_of(members, "members")}
    netdevs = {"public": client or last_free_vf(pfs["public"]), "members": backend or last_free_vf(pfs["members"])}
    drivers = {pf.driver: f" at {pf.speed / 1000:g} Gbit/s" if pf.speed else "" for pf in pfs.values()}
    places = [f"{who} on {on_what(nic)}" for who, nic in (("client", client), ("backend", backend))]
    nics = f"PFs of driver {', '.join(driver + speed for driver, speed in drivers.items())}; {', '.join(places)}"
    figures = Figures(f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", nics, seconds, runs, emulation)
    console = Console()
    with contextlib.ExitStack() as stack:
        bridges = {
            network: stack.enter_context(bridge_over(pf.name, f"bench-{network}")) for network, pf in pfs.items()
        }
        namespaces_of = {
            network: stack.enter_context(
                nic_in_namespace(f"bench-{os.getpid()}-{network}", netdevs[network], [_address(network, number)])
            )
            for network, number in (("public", CLIENT), ("members", BACKEND))
        }
        names = {network: pf.name for network, pf in pfs.items()}
        bench = Bench(names, bridges, namespaces_of["public"], namespaces_of["members"], figures, console)
        _without_balancer(bench)
        _through_balancers(bench)
    console.print(figures.table())
    return figures


def _without_balancer(bench: Bench) -> None:
    seconds = bench.figures.seconds
    client = TestHost("client", bench.client, (), [])
    with _guests(bench) as guests:

        def measured(kind: Kind) -> Iterator[tuple[str, str, float]]:
            address = _address("public", GUESTS[kind]).split("/")[0]
            there = namespaces.of_process(guests[kind])
            times = load.ping(client, address, seconds=seconds, every=0.02)
            yield "ping, median", "ms", load.percentile(times, 50)
            yield "ping, 99th percentile", "ms", load.percentile(times, 99)
            yield (
                "TCP stream to it",
                "MB/s",
                load.stream(bench.client, there, address, seconds=seconds, sink_listens=True),
            )
            yield (
                "TCP stream from it",
                "MB/s",
                load.stream(there, bench.client, address, seconds=seconds, sink_listens=False),
            )

        bench.in_turn(WIRE, measured)


@contextlib.contextmanager
def _guests(bench: Bench) -> Iterator[Mapping[Kind, int]]:
    """Process ids. Each guest gets its NIC as an amphora does."""
    host = config.Host(name="bench", pfs={pf: network for network, pf in bench.pfs.items()})
    options = config.Fabric(
        kind="sriov",
        name=f"{bench.name}-wire",
        bridge_mappings=bench.bridges,
        management_prefix=management.pick_management_prefix(),
    )
    fabric = SriovFabric(options, [host])
    fabric.check()
    with contextlib.ExitStack() as stack:
        pids: dict[Kind, int] = {kind: stack.enter_context(guest()) for kind in KINDS}
        stack.callback(teardown.down, fabric.name)
        fabric.ensure()
        fabric.plug(
            port_id=f"bec4{os.getpid():08x}",
            mac=MACS["normal port"],
            physical_network="public",
            pid=pids["normal port"],
            name="eth0",
        )
        nics = fabric.nics()
        (pf,) = (pf for pf in nics.scan() if pf.name == bench.pfs["public"])
        vf: VfId = pf.free(())[0].id
        stack.callback(nics.take_back, vf)
        nics.hand_over(vf, VfSettings(mac=MACS["VF"]), pid=pids["VF"], holder="bench")
        for kind, pid in pids.items():
            with Netlink(namespaces.of_process(pid)) as netlink:
                (name,) = (link.name for link in netlink.links() if link.name != "lo")
            fabric.configure(pid=pid, name=name, addresses=[_address("public", GUESTS[kind])])
        for number in GUESTS.values():
            _await_ping(bench, _address("public", number).split("/")[0])
        yield pids


def _through_balancers(bench: Bench) -> None:
    seconds = bench.figures.seconds
    with contextlib.ExitStack() as stack:
        bench.console.print("starting Hydria")
        stage = stack.enter_context(
            Stage(
                bench.name,
                host_names=["bench"],
                pfs={pf: network for network, pf in bench.pfs.items()},
                bridges=bench.bridges,
            )
        )
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hydria-bench-")))
        client = stage.host("client", bench.client, [_address("public", CLIENT)])
        load.serve(stage.host("backend", bench.backend, [_address("members", BACKEND)]), directory)
        vips = _balancers(stage)
        for vip in vips.values():
            await_condition(f"{vip} answers", lambda vip=vip: _answers(client, vip), 30.0)

        def measured(kind: Kind) -> Iterator[tuple[str, str, float]]:
            vip = vips[kind]
            small, large = (f"http://{vip}{path}" for path in (load.SMALL, load.LARGE))
            times = load.ping(client, vip, seconds=seconds, every=ECHO_SECONDS)
            yield "ping, median", "ms", load.percentile(times, 50)
            half, most = load.latencies(client, small, seconds=seconds)
            yield "request, keep-alive, one at a time, median", "ms", half
            yield "request, keep-alive, one at a time, 99th percentile", "ms", most
            rate = load.request_rate(client, small, seconds=seconds, keep_alive=True)
            yield f"keep-alive, {load.CONNECTIONS} at a time", "requests/s", rate
            rate = load.request_rate(client, small, seconds=seconds, keep_alive=False)
            yield f"a connection for each, {load.CONNECTIONS} at a time", "requests/s", rate
            rate = load.object_rate(client, large, seconds=seconds)
            yield f"objects of 1 MiB, {load.LARGE_CONNECTIONS} at a time", "MB/s", rate

        bench.in_turn(BALANCED, measured)


def _balancers(stage: Stage) -> Mapping[Kind, str]:
    """Kind → VIP, of two that are alike but for their NICs."""
    admin, service, users = (Client(stage.state.clouds, cloud) for cloud in ("admin", "service", "demo"))
    compute = {"id": "bench", "name": "bench", "vcpus": 1, "ram": 1024, "disk": 3, "os-flavor-access:is_public": False}
    service.call("POST", "/flavors", {"flavor": compute}, service="compute")
    vips: dict[Kind, str] = {}
    for kind, name in zip(KINDS, ("vf", "normal"), strict=True):
        is_vf = kind == "VF"
        data = {"compute_flavor": "bench", "sriov_vip": is_vf, "allow_member_sriov": is_vf}
        encoded = msgspec.json.encode(data).decode()
        profile = admin.create("flavorprofiles", name=name, provider_name="amphora", flavor_data=encoded)
        flavor = admin.create("flavors", name=name, flavor_profile_id=profile["id"])
        member = {
            "address": _address("members", BACKEND).split("/")[0],
            "protocol_port": 80,
            "subnet_id": users.subnet("members-subnet")["id"],
            "request_sriov": is_vf,
        }
        body = graph(name, users.subnet("public-subnet")["id"], [member], flavor_id=flavor["id"])
        made = users.await_active(users.create("loadbalancers", **body)["id"], seconds=60)
        members = users.get(f"/pools/{made['pools'][0]['id']}/members")
        got = {made["vip_vnic_type"], *(one["vnic_type"] for one in members)}
        if got != {"direct" if is_vf else "normal"}:
            raise load.BenchFailed(f"Load balancer {name} should have NICs of one kind, {kind}; it has: {got}")
        vips[kind] = made["vip_address"]
    return vips


def _answers(client: TestHost, vip: str) -> bool:
    try:
        return ask(client, f"http://{vip}{load.SMALL}") == "ok"
    except RequestFailed:
        return False


def _await_ping(bench: Bench, address: str) -> None:
    client = TestHost("client", bench.client, (), [])
    argv = ["ping", "-c", "1", "-W", "1", address]
    await_condition(f"{address} answers the client", lambda: client.run(argv, check=False).status == 0, 20.0)


def _address(network: str, number: int) -> str:
    return str(subnets(network)[0].host(number))


if __name__ == "__main__":
    main()
