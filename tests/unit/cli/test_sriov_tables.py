"""What people and programs are shown of PFs and VFs."""

import io
from collections.abc import Sequence

import pytest
from rich.console import Console
from rich.table import Table

from hydria.base.config import Cloud, Config, Fabric, Host
from hydria.cli.sriov import tables
from hydria.cli.sriov.host import Machine, vf_named
from hydria.sriov.inventory import Pf, Vf, VfId, VfSettings

USED = Vf(
    VfId("eth0", 1),
    VfSettings(mac="02:00:00:00:00:01", vlan=100, trust=True, max_tx_rate=50),
    at_home=False,
    holder="port 9a1f",
    pci_address="0000:01:10.2",
    driver="igbvf",
)
FREE = Vf(VfId("eth0", 0), pci_address="0000:01:10.0", netdev="eth0v0", driver="igbvf")
PF = Pf(
    name="eth0", physical_network="public", driver="igb", pci_address="0000:01:00.0", numa_node=0, link_up=True,
    speed=25000, totalvfs=7, mac="52:54:00:aa:00:01", mtu=1500, vfs=(FREE, USED),
)  # fmt: skip
BARE = Pf(name="0000:02:00.0", physical_network="", driver="", pci_address="0000:02:00.0", link_up=False, totalvfs=8)


def rows(table: Table) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=250)
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if "│" in line]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        pytest.param(
            tables.pf_table([PF, BARE]),
            [
                ["eth0", "0000:01:00.0", "igb", "0", "up", "25 Gbit/s", "1/2/7", "public", "legacy"],
                ["0000:02:00.0", "0000:02:00.0", "none", "-", "down", "-", "0/0/8", "-", "legacy"],
            ],
            id="PFs",
        ),
        pytest.param(
            tables.vf_table([FREE, USED]),
            [
                ["eth0/0", "0000:01:10.0", "eth0v0", "igbvf", "-", "-", "on", "off", "auto", "-", "-"],
                [
                    *("eth0/1", "0000:01:10.2", "-", "igbvf", "02:00:00:00:00:01", "100", "on", "on", "auto"),
                    *("..50 Mbit/s", "port 9a1f"),
                ],
            ],
            id="VFs",
        ),
    ],
)
def test_tables(table: Table, expected: Sequence[Sequence[str]]):
    assert rows(table) == expected


def test_json_has_the_fields_of_the_inventory():
    shown = tables.pf_json(PF, 4)
    assert set(Pf.__struct_fields__) < shown.keys()
    assert (shown["numvfs"], shown["used"], shown["persisted"]) == (2, 1, 4)
    assert shown["vfs"][1]["id"] == {"pf": "eth0", "index": 1}
    assert set(Vf.__struct_fields__) == shown["vfs"][1].keys()


@pytest.mark.parametrize(
    ("vf", "text"),
    [
        (FREE, "-"),
        (USED, "port 9a1f"),
        (Vf(FREE.id, foreign=True, holder="up with 10.0.0.1"), "up with 10.0.0.1 (not given by Hydria)"),
        (Vf(FREE.id, at_home=False), "somebody unknown"),
    ],
)
def test_holder(vf: Vf, text: str):
    assert tables.holder(vf) == text


@pytest.mark.parametrize(
    ("name", "found"), [("eth0/0", FREE), ("eth0v0", FREE), ("0000:01:10.2", USED), ("eth0", None), ("", None)]
)
def test_a_vf_is_found_by_any_name(name: str, found: Vf | None):
    pair = vf_named(name, (BARE, PF))
    assert (pair and pair[0]) == found


def test_physical_networks_are_those_of_all_hosts_unless_the_fabric_is_software():
    hosts = (Host(name="a", pfs={"eth0": "public"}), Host(name="b", pfs={"eth1": "members"}))
    real = Config(cloud=Cloud(hosts=hosts), fabric=Fabric(kind="sriov", name="own"))
    assert Machine.of(real) == Machine({"eth0": "public", "eth1": "members"}, "own")
    assert Machine.of(Config(cloud=Cloud(hosts=hosts), fabric=Fabric(kind="software"))).physical_networks == {}
