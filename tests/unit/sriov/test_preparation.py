"""A sysfs tree as data: what may be prepared, and what is written when it is."""

from pathlib import Path

import pytest

from hydria.base.errors import Conflict, HydriaError, Invalid, NotFound, Terminal
from hydria.sriov import persistence, preparation
from hydria.sriov.inventory import Vf, VfId
from hydria.sriov.preparation import Device

PF, VF, PLAIN, DISK, BARE = "0000:01:00.0", "0000:01:10.0", "0000:00:05.0", "0000:03:00.0", "0000:02:00.0"


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """eth0: a PF with 2 of 7 VFs, of which eth1 is the first; eth9: a plain NIC; a PF without a driver; no NIC with
    SR-IOV; br0: no device at all."""
    _pci(tmp_path, PF, "eth0", driver="igb", sriov_totalvfs="7", sriov_numvfs="2", sriov_drivers_autoprobe="1")
    (tmp_path / "class/net/eth0/flags").write_text("0x1003\n")
    _pci(tmp_path, VF, "eth1", driver="igbvf", modalias="pci:none")
    _pci(tmp_path, "0000:01:10.2", None, modalias="pci:none")
    for index, address in enumerate((VF, "0000:01:10.2")):
        (tmp_path / "bus/pci/devices" / PF / f"virtfn{index}").symlink_to(tmp_path / "bus/pci/devices" / address)
        (tmp_path / "bus/pci/devices" / address / "physfn").symlink_to(tmp_path / "bus/pci/devices" / PF)
    _pci(tmp_path, PLAIN, "eth9", driver="virtio_net")
    _pci(tmp_path, BARE, None, sriov_totalvfs="8", sriov_numvfs="0", sriov_drivers_autoprobe="0")
    _pci(tmp_path, DISK, None, driver="nvme", sriov_totalvfs="4", sriov_numvfs="0", pci_class="0x010802")
    (tmp_path / "class/net/br0").mkdir(parents=True)
    return tmp_path


def _pci(
    root: Path,
    address: str,
    netdev: str | None,
    *,
    driver: str | None = None,
    pci_class: str = "0x020000",
    **files: str,
) -> None:
    path = root / "bus/pci/devices" / address
    path.mkdir(parents=True)
    for name, text in {"class": pci_class, **files}.items():
        (path / name).write_text(text + "\n")
    if driver:
        (root / "bus/pci/drivers" / driver).mkdir(parents=True, exist_ok=True)
        (path / "driver").symlink_to(root / "bus/pci/drivers" / driver)
    if netdev:
        (path / "net" / netdev).mkdir(parents=True)
        (path / "net" / netdev / "device").symlink_to(path)
        (root / "class/net").mkdir(parents=True, exist_ok=True)
        (root / "class/net" / netdev).symlink_to(path / "net" / netdev)


def _numvfs(sysfs: Path) -> str:
    return (sysfs / "bus/pci/devices" / PF / "sriov_numvfs").read_text().strip()


def test_devices_are_nics_that_can_have_vfs(sysfs: Path):
    assert preparation.devices(sysfs) == [
        Device(
            pci_address=PF, netdev="eth0", driver="igb", totalvfs=7, numvfs=2, autoprobe=True, is_up=True
        ),
        Device(pci_address=BARE, netdev=None, driver=None, totalvfs=8, numvfs=0, autoprobe=False),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["eth0", PF, "01:00.0", "0000:01:00.0".upper()])
def test_a_pf_is_found_by_link_and_by_pci_address(sysfs: Path, name: str):
    assert preparation.find(name, sysfs).pci_address == PF


@pytest.mark.parametrize(
    ("name", "error", "text"),
    [
        pytest.param("eth1", Invalid, f"eth1 ({VF}) is a VF of eth0 ({PF}): name the PF", id="VF"),
        pytest.param(VF, Invalid, f"{VF} is a VF of eth0", id="VF by PCI address"),
        pytest.param("eth9", Invalid, f"eth9 ({PLAIN}) has no SR-IOV capability. PFs here: eth0", id="plain NIC"),
        pytest.param("br0", Invalid, "br0 has no SR-IOV capability: it is no PCI device", id="no PCI device"),
        pytest.param(DISK, Invalid, f"{DISK} is no network device", id="disk"),
        pytest.param("eth7", NotFound, f"no network device eth7. PFs here: eth0 ({PF}), {BARE}.", id="no such link"),
        pytest.param("0000:07:00.0", NotFound, "no PCI device 0000:07:00.0", id="no such device"),
        pytest.param("../../x", NotFound, "no network device ../../x", id="no name at all"),
        pytest.param("", NotFound, "no network device ''", id="empty"),
    ],
)
def test_what_is_no_pf_is_refused_by_name(sysfs: Path, name: str, error: type[HydriaError], text: str):
    with pytest.raises(error) as caught:
        preparation.find(name, sysfs)
    assert text in str(caught.value)


def _device(**values: object) -> Device:
    return Device(**{
        "pci_address": PF, "netdev": "eth0", "driver": "igb", "totalvfs": 7, "numvfs": 0, "autoprobe": True, **values
    })  # fmt: skip


@pytest.mark.parametrize(
    ("numvfs", "wanted", "steps"),
    [
        pytest.param(0, 4, (4,), id="from none"),
        pytest.param(4, 4, (), id="as many as there are"),
        pytest.param(4, 7, (0, 7), id="more: none first, or the kernel says EBUSY"),
        pytest.param(4, 2, (0, 2), id="fewer"),
        pytest.param(4, 0, (0,), id="none any more"),
        pytest.param(0, 0, (), id="none, as before"),
    ],
)
def test_steps_to_a_number_of_vfs(numvfs: int, wanted: int, steps: tuple[int, ...]):
    assert preparation.plan(_device(numvfs=numvfs), wanted, [Vf(VfId("eth0", i)) for i in range(numvfs)]) == steps


@pytest.mark.parametrize(
    ("device", "wanted", "text"),
    [
        pytest.param({}, 8, f"eth0 ({PF}) cannot have 8 VFs: at most 7", id="more than the device can have"),
        pytest.param({}, -1, f"eth0 ({PF}) cannot have -1 VFs", id="negative"),
        pytest.param({"totalvfs": 0}, 1, "switched off in its firmware", id="none possible"),
        pytest.param({"driver": None, "netdev": None}, 1, f"{PF} has no driver", id="no driver"),
    ],
)
def test_a_number_that_cannot_be_is_refused(device: dict[str, object], wanted: int, text: str):
    with pytest.raises(Invalid) as caught:
        preparation.plan(_device(**device), wanted, ())
    assert text in str(caught.value)


ONE = VfId("eth0", 1)
HELD = [
    pytest.param(Vf(ONE, holder="port 9a1f", at_home=False, pci_address=VF), f"{VF} by port 9a1f", id="ours"),
    pytest.param(Vf(ONE, foreign=True, holder="10.0.0.1 on it", netdev="eth1"), "eth1 by 10.0.0.1", id="up"),
    pytest.param(Vf(ONE, at_home=False), "eth0/1 by somebody unknown", id="gone somewhere"),
]


@pytest.mark.parametrize(("vf", "text"), HELD)
@pytest.mark.parametrize("wanted", [0, 3])
def test_the_number_stays_while_a_vf_is_in_use(vf: Vf, text: str, wanted: int):
    with pytest.raises(Conflict) as caught:
        preparation.plan(_device(numvfs=2), wanted, [Vf(VfId("eth0", 0)), vf])
    assert text in str(caught.value)
    assert f"eth0 ({PF})" in str(caught.value)


def test_as_many_as_there_are_may_be_in_use():
    assert preparation.plan(_device(numvfs=1), 1, [Vf(VfId("eth0", 0), foreign=True, holder="vm")]) == ()


def test_setting_the_number_twice(sysfs: Path):
    for _ in range(2):
        device = preparation.find("eth0", sysfs)
        preparation.set_numvfs(device, preparation.plan(device, 5, ()), sysfs)
        assert _numvfs(sysfs) == "5"


def test_a_step_that_fails_leaves_the_number_that_was(sysfs: Path, monkeypatch: pytest.MonkeyPatch):
    device = preparation.find("eth0", sysfs)
    write = Path.write_text

    def refuse(path: Path, text: str) -> int:
        if text == "7":
            raise OSError(28, "No space left on device")
        return write(path, text)

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(Terminal) as caught:
        preparation.set_numvfs(device, (0, 7), sysfs)
    assert _numvfs(sysfs) == "2"
    assert f"Giving eth0 ({PF}) 7 VFs: No space left on device" in str(caught.value)


def test_vfs_without_a_driver_are_named(sysfs: Path):
    assert preparation.await_drivers(preparation.find("eth0", sysfs), 2, sysfs, seconds=0) == ["0000:01:10.2"]
    assert preparation.await_drivers(preparation.find("eth0", sysfs), 1, sysfs, seconds=0) == []


def test_a_pf_without_a_link_cannot_be_brought_up():
    with pytest.raises(Terminal, match=r"0000:02:00\.0 cannot be brought up"):
        preparation.bring_up(_device(pci_address=BARE, netdev=None))


def test_persisting_twice_and_forgetting_twice(tmp_path: Path):
    device = _device()
    for numvfs in (4, 7, 7):
        path = persistence.persist(device, numvfs, tmp_path)
        assert persistence.persisted(PF, tmp_path) == numvfs
    assert path == tmp_path / f"etc/udev/rules.d/85-hydria-sriov-{PF}.rules"
    assert path.stat().st_mode & 0o777 == 0o644
    assert persistence.persisted(BARE, tmp_path) is None
    assert [persistence.forget(device, tmp_path) for _ in range(2)] == [True, False]
    assert persistence.persisted(PF, tmp_path) is None
    assert list(path.parent.iterdir()) == []


def test_rules_name_the_pf_by_its_pci_address_and_spare_no_quote():
    lines = [line for line in persistence.rules(PF, 3, ip="/sbin/ip").splitlines() if line and line[0] != "#"]
    vfs = 'SUBSYSTEM=="net", ATTR{device/physfn/uevent}=="*PCI_SLOT_NAME=0000:01:00.0*"'
    assert [line.split(", RUN") for line in lines] == [
        ['ACTION=="add", SUBSYSTEM=="net", KERNELS=="0000:01:00.0", ATTR{device/sriov_numvfs}="3"',
         '+="/sbin/ip link set dev $name up"'],
        [f'ACTION!="remove", {vfs}, ENV{{NM_UNMANAGED}}="1", ENV{{ID_NET_MANAGED_BY}}="io.hydria"'],
    ]  # fmt: skip


def test_rules_that_cannot_be_written_are_an_error_with_the_file(tmp_path: Path):
    (tmp_path / "etc").write_text("")
    with pytest.raises(Terminal, match=r"udev rules of eth0 .*85-hydria-sriov-0000:01:00.0.rules"):
        persistence.persist(_device(), 4, tmp_path)
