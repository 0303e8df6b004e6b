"""What a fabric on real NICs refuses before it changes anything. The machine's devices are a tree of files."""

from pathlib import Path

import pytest

from hydria.base import config
from hydria.base.errors import Terminal
from hydria.fabric.sriov import SriovFabric

PFS = {"enp1s0": "public", "enp2s0": "members"}


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    for name, attribute in (("enp1s0", "sriov_totalvfs"), ("enp2s0", "sriov_totalvfs"), ("eno1", "irq")):
        device = tmp_path / "class/net" / name / "device"
        device.mkdir(parents=True)
        (device / attribute).write_text("7\n")
    (tmp_path / "class/net/enp1s0v0/device/physfn").mkdir(parents=True)
    return tmp_path


def fabric(sysfs: Path, pfs: dict[str, str], bridges: dict[str, str] | None = None) -> SriovFabric:
    options = config.Fabric(kind="sriov", bridge_mappings=bridges or {})
    return SriovFabric(options, [config.Host(name="a", pfs=pfs)], sysfs=sysfs, records=sysfs / "run")


def test_devices_as_configured_are_fine(sysfs: Path) -> None:
    made = fabric(sysfs, PFS)
    made.check()
    assert made.pfs == PFS


@pytest.mark.parametrize(
    ("pfs", "bridges", "reason"),
    [
        pytest.param({}, {}, "No PF is configured", id="none"),
        pytest.param({"enp9s0": "public"}, {}, "--pf enp9s0=public: this machine has no", id="unknown PF"),
        pytest.param({"eno1": "public"}, {}, "--pf eno1=public: eno1 is no SR-IOV device", id="no SR-IOV"),
        pytest.param({"enp1s0v0": "public"}, {}, "enp1s0v0 is a VF, not a PF", id="VF"),
        pytest.param({"enp1s0": "mgmt"}, {}, "cannot be called 'mgmt'", id="reserved name"),
        pytest.param(PFS, {"moon": "br0"}, r"--bridge moon=br0: .*'moon' \(there are: members, public\)", id="network"),
        pytest.param(PFS, {"public": "hy-br9"}, "--bridge public=hy-br9: .* no bridge hy-br9", id="no bridge"),
        pytest.param(PFS, {"public": "lo"}, "--bridge public=lo: lo is no bridge", id="not a bridge"),
    ],
)
def test_devices_that_are_not_as_configured(sysfs: Path, pfs: dict, bridges: dict, reason: str) -> None:
    with pytest.raises(Terminal, match=reason):
        fabric(sysfs, pfs, bridges).check()
    assert not (sysfs / "run").exists()


def test_one_pf_belongs_to_one_host(sysfs: Path) -> None:
    hosts = [config.Host(name=name, pfs={"enp1s0": "public"}) for name in ("a", "b")]
    with pytest.raises(Terminal, match="PF enp1s0 of host b is another host's"):
        SriovFabric(config.Fabric(kind="sriov"), hosts, sysfs=sysfs)
