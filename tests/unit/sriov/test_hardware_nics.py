"""What the inventory of real NICs says of each shape of machine."""

import logging
import threading
from pathlib import Path

import pytest
from fake_kernel import FakeKernel

from hydria.sriov.hardware import HardwareNics, _spoofed
from hydria.sriov.inventory import VfCounters, VfId


@pytest.fixture
def kernel() -> FakeKernel:
    kernel = FakeKernel()
    kernel.add_pf("eth0", "0000:01:00.0", 2)
    kernel.add_pf("eth1", "0000:02:00.0", 0)
    return kernel


def nics(kernel: FakeKernel, records: Path, *names: str) -> HardwareNics:
    return HardwareNics(dict.fromkeys(names, "public"), records=records, kernel=kernel)


def test_scan(kernel: FakeKernel, tmp_path: Path) -> None:
    first, second = nics(kernel, tmp_path, "eth0", "eth1").scan()
    assert (first.name, first.physical_network, first.driver, first.pci_address) == (
        "eth0",
        "public",
        "igb",
        "0000:01:00.0",
    )
    assert (first.link_up, first.speed, first.numvfs, first.totalvfs) == (True, 1000, 2, 7)
    assert [(vf.id, vf.at_home, vf.pci_address) for vf in first.vfs] == [
        (VfId("eth0", index), True, f"0000:01:10.{index}") for index in range(2)
    ]
    assert (second.numvfs, second.free(())) == (0, [])


def test_only_pfs_that_are_configured(kernel: FakeKernel, tmp_path: Path) -> None:
    assert [pf.name for pf in nics(kernel, tmp_path, "eth1").scan()] == ["eth1"]


def test_pf_that_is_not_there_is_said_once(
    kernel: FakeKernel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    found = nics(kernel, tmp_path, "eth0", "ens9")
    for _ in range(3):
        assert [pf.name for pf in found.scan()] == ["eth0"]
    kernel.add_pf("ens9", "0000:09:00.0", 1)
    for _ in range(2):
        assert [pf.name for pf in found.scan()] == ["eth0", "ens9"]
    assert [record.message for record in caplog.records] == [
        "PFs are not there pfs=ens9",
        "PFs are there again pfs=ens9",
    ]


def test_link_down(kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.pfs_["eth0"].link_up = False
    (pf,) = nics(kernel, tmp_path, "eth0").scan()
    assert (pf.link_up, pf.speed) == (False, None)


def test_watch_ends(kernel: FakeKernel, tmp_path: Path) -> None:
    stop = threading.Event()
    seen = nics(kernel, tmp_path, "eth0").watch(stop)
    assert [pf.name for pf in next(seen)] == ["eth0"]
    stop.set()
    assert list(seen) == []


def test_counters(kernel: FakeKernel, tmp_path: Path) -> None:
    counted = nics(kernel, tmp_path, "eth0", "ens9").counters()
    assert counted == {VfId("eth0", index): VfCounters(rx_packets=0) for index in range(2)}


@pytest.mark.parametrize(
    ("statistics", "spoofed"),
    [
        ({"rx_packets": 9, "vf_rx": 1}, {}),
        ({"tx_spoofed": 5}, {}),
        ({"vf0_spoofed": 1, "vf1_spoofed": 2, "vf10_spoofed": 3}, {0: 1, 1: 2, 10: 3}),
        ({"spoof_drops_vf_3": 4, "VF 3 anti-spoof": 1}, {3: 5}),
    ],
    ids=["none", "of the whole PF", "of each VF", "several"],
)
def test_spoofed(statistics: dict[str, int], spoofed: dict[int, int]) -> None:
    assert _spoofed(statistics) == spoofed
