"""From the create request to the first byte through the VIP, and where the time goes. Writes docs/benchmarks.md.

One load balancer after the other, each a full graph in one POST: VIP and three members on VFs, no amphora before.
"""

import argparse
import datetime as dt
import os
import re
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import page
from rich.console import Console
from rich.progress import track
from rich.table import Table

from hydria.cli.demo import guide
from hydria.cli.demo.client import Client, graph
from hydria.cli.demo.stage import Stage, TestHost
from hydria.cli.demo.traffic import first_byte

BACKENDS = ("192.0.2.10", "192.0.2.11", "192.0.2.12")
GOAL_SECONDS = 1.0

MOMENTS = (
    ("server requested", "log/controller.log", "server created"),
    ("server runs", "log/cloud.log", "server runs"),
    ("agent listens", "console", "hydria.agent: listening"),
    ("firewall in place", "console", "firewall replaced"),
    ("HAProxy runs", "console", "haproxy runs"),
    ("spec applied", "console", "spec applied"),
)
"""What a line of a log tells: moment, file, text. `console` is what the amphora itself prints."""
ORDER = ("POST answered", "reconcile begins", *(moment for moment, _, _ in MOMENTS), "first byte")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--ordinary", action="store_true", help="without VFs; print only")
    parser.add_argument("--no-page", action="store_true", help="print only")
    arguments = parser.parse_args()
    console = Console()
    with Stage(f"bench-{os.getpid()}", host_names=[guide.HOST]) as stage:
        client = _prepared(stage)
        users = Client(stage.state.clouds, "demo")
        numbers = track(range(arguments.runs + 1), "creating", console=console, transient=True)
        # The first one fills caches (routes, tokens, byte code); it is the demo's case, not the typical one.
        runs = [_run(stage, users, client, number, sriov=not arguments.ordinary) for number in numbers][1:]
    console.print(_table(runs))
    total = [run["first byte"] for run in runs]
    if not arguments.no_page and not arguments.ordinary:
        page.insert(_section(runs))
    if statistics.median(total) > GOAL_SECONDS:
        sys.exit(f"The median is {statistics.median(total):.2f} s; the goal is under {GOAL_SECONDS:g} s.")


def _prepared(stage: Stage) -> TestHost:
    for number, address in enumerate(BACKENDS):
        stage.add_host(f"backend{number}", "members", [address]).serve()
    admin, service = (Client(stage.state.clouds, cloud) for cloud in ("admin", "service"))
    flavor = {"id": "bench", "name": "bench", "vcpus": 1, "ram": 1024, "disk": 3, "os-flavor-access:is_public": False}
    service.call("POST", "/flavors", {"flavor": flavor}, service="compute")
    data = '{"compute_flavor": "bench", "sriov_vip": true, "allow_member_sriov": true}'
    profile = admin.create("flavorprofiles", name="bench", provider_name="amphora", flavor_data=data)
    admin.create("flavors", name="bench", flavor_profile_id=profile["id"])
    return stage.add_host("client", "public")


def _run(stage: Stage, users: Client, client: TestHost, number: int, *, sriov: bool) -> dict[str, float]:
    """Seconds since the request was sent, by moment."""
    subnet = users.subnet("members-subnet")["id"]
    port = {"protocol_port": 80, "subnet_id": subnet, "request_sriov": sriov}
    members = [{"address": address, **port} for address in BACKENDS]
    flavor = {"flavor_id": users.named("flavors", "bench")["id"]} if sriov else {}
    body = graph(f"bench{number}", users.subnet("public-subnet")["id"], members, **flavor)
    marks: dict[str, float] = {}
    began = dt.datetime.now(dt.UTC)
    seconds, balancer = first_byte(users, client, body, marks)
    users.await_active(balancer["id"])
    moments = {**marks, **dict(_moments(stage, began)), "first byte": seconds}
    users.delete("loadbalancers", balancer["id"], cascade=True)
    users.await_gone(balancer["id"])
    return moments


def _moments(stage: Stage, began: dt.datetime) -> Iterator[tuple[str, float]]:
    """Of the lines since `began`."""
    root = stage.state.root
    for moment, place, text in MOMENTS:
        paths = root.glob("cloud/servers/*/console.log") if place == "console" else [root / place]
        times = [when for path in paths for when, line in _lines(path) if when >= began and text in line]
        if times:
            yield moment, (min(times) - began).total_seconds()
    for when, line in _lines(root / "log" / "controller.log"):
        if when >= began and (took := re.search(r"reconciled .*milliseconds=(\d+)", line)):
            yield "reconcile begins", (when - began).total_seconds() - int(took[1]) / 1000
            return


def _lines(path: Path) -> Iterator[tuple[dt.datetime, str]]:
    for line in path.read_text(errors="replace").splitlines():
        if stamp := re.match(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3})Z ", line):
            yield dt.datetime.fromisoformat(stamp[1]).replace(tzinfo=dt.UTC), line


def _rows(runs: list[dict[str, float]]) -> Iterator[tuple[str, float, float, float]]:
    for moment in ORDER:
        if times := [run[moment] for run in runs if moment in run]:
            yield moment, statistics.median(times), min(times), max(times)


def _table(runs: list[dict[str, float]]) -> Table:
    table = Table("since the request was sent (ms)", "median", "min", "max", title=f"{len(runs)} creates")
    for moment, *times in _rows(runs):
        table.add_row(moment, *(f"{seconds * 1000:.0f}" for seconds in times))
    return table


def _section(runs: list[dict[str, float]]) -> str:
    lines = [
        f"\n## Create to first byte, {dt.datetime.now(dt.UTC):%Y-%m-%d}\n",
        f"{page.machine()}; software VFs, `namespace` hypervisor; {len(runs)} creates one after the other, each one",
        "POST with listener, pool and three members, VIP and members on VFs. Milliseconds since the request.\n",
        "| moment | median | min | max |",
        "|---|---|---|---|",
    ]
    lines += [f"| {moment} | {a * 1000:.0f} | {b * 1000:.0f} | {c * 1000:.0f} |" for moment, a, b, c in _rows(runs)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
